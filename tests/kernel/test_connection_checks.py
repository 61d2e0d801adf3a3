"""The test button: one real call per provider, its outcome shown, kept, and saying what to do."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from sqlalchemy import select

from app.core.ids import new_id
from app.kernel.connections.models import Connection
from app.kernel.connections.rules import PROVIDERS
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Runtime
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.kernel.consent import ROOT, connected
from tests.sandbox.server import SandboxServer

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
WRONG_GUID = "0f8fad5b-d9cb-469f-a165-70867728950f"


@pytest.fixture(scope="module")
def pem() -> str:
    private = rsa.generate_private_key(65537, 2048)
    # PKCS#1, as DocuSign hands them out.
    text = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return text.decode()


def credentials(provider: str, sandbox: SandboxServer, pem: str, right: bool) -> dict[str, Any]:
    """Configuration and secret of a provider, accepted by the sandbox or not."""
    token = "right-token-1234" if right else "wrong-token-1234"
    api_key = {"secret": {"api_key": token}}
    known: dict[str, dict[str, Any]] = {
        "whatsapp": {
            "config": {"phone_number_id": "106540352242922"},
            "secret": {"access_token": token},
        },
        "telegram": {
            "config": {"chat_id": "42"},
            "secret": {"bot_token": "7001234567:AAHtoken" if right else "no-bot-token"},
        },
        "openai": api_key,
        "anthropic": api_key,
        "gemini": api_key,
        "google-maps": api_key,
        "openai-compatible": {
            "config": {"base_url": f"{sandbox.url}/openai/v1", "model": "m"},
            **api_key,
        },
        "clicksign": {
            "config": {"environment": "sandbox"},
            "secret": {"access_token": token},
        },
        "docusign": {
            "config": {
                "integration_key": GUID if right else WRONG_GUID,
                "user_id": GUID,
                "environment": "sandbox",
            },
            "secret": {"private_key": pem},
        },
        "zoom": {
            "config": {"account_id": "account-1", "client_id": "client-12"},
            "secret": {"client_secret": token},
        },
        "stripe": {"secret": {"api_key": f"sk_test_{'right' if right else 'wrong'}1234"}},
    }
    return known[provider]


async def made(client: httpx.AsyncClient, provider: str, given: dict[str, Any]) -> str:
    answer = await client.post(
        ROOT, json={"provider": provider, "name": "Teste", **given}, headers=key()
    )
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def tried(client: httpx.AsyncClient, connection: str) -> tuple[Any, Any]:
    """What the button told, and what the connection says afterwards."""
    told = await client.post(f"{ROOT}/{connection}/test")
    assert told.status_code == 200, told.text
    return told.json(), (await client.get(f"{ROOT}/{connection}")).json()


BY_KEYS = sorted(name for name, provider in PROVIDERS.items() if not provider.by_consent)


@pytest.mark.parametrize("provider", BY_KEYS)
async def test_right_and_wrong_credentials(
    owner: httpx.AsyncClient, vendors: SandboxServer, pem: str, provider: str
) -> None:
    # The sandbox refuses this integration key: its list of tokens names the other one.
    if provider == "docusign":
        await vendors.put("keys", tokens=[GUID])
    right = await made(owner, provider, credentials(provider, vendors, pem, True))
    told, shown = await tried(owner, right)
    assert (told["ok"], told["reason"], told["detail"]) == (True, "ok", ""), told
    assert (shown["status"], shown["status_reason"]) == ("active", None)
    assert shown["checked_at"] == told["checked_at"]
    if provider in ("telegram", "whatsapp"):
        assert told["account"]
    await owner.delete(f"{ROOT}/{right}")
    given = credentials(provider, vendors, pem, False)
    wrong = await made(owner, provider, given)
    told, shown = await tried(owner, wrong)
    assert (told["ok"], told["reason"]) == (False, "credentials-refused"), told
    assert (shown["status"], shown["status_reason"]) == ("error", told["detail"])
    for secret in given["secret"].values():
        assert secret not in str(told)
    audit = (await owner.get("/api/v1/admin/audit")).json()["items"]
    assert (audit[0]["action"], audit[0]["facts"]["outcome"]) == (
        "connection.tested",
        "credentials-refused",
    )


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"error": {"code": "http-503"}}, "unavailable"),
        ({"error": {"code": "http-429"}}, "rate-limited"),
        ({"error": {"code": "http-404"}}, "not-found"),
        ({"error": {"code": "http-409"}}, "unexpected-answer"),
        ({"drop_answer": 1}, "unavailable"),
    ],
)
async def test_every_other_end_says_what_to_do(
    owner: httpx.AsyncClient, vendors: SandboxServer, knobs: dict[str, Any], reason: str
) -> None:
    connection = await made(owner, "openai", {"secret": {"api_key": "right-token"}})
    await vendors.put("keys/knobs", **knobs)
    told, shown = await tried(owner, connection)
    assert (told["ok"], told["reason"]) == (False, reason)
    assert len(told["detail"]) > 20
    assert shown["status"] == "error"
    await vendors.put("keys/knobs")
    told, shown = await tried(owner, connection)
    assert (told["ok"], shown["status"]) == (True, "active")


async def test_a_slow_vendor_meets_a_deadline(
    owner: httpx.AsyncClient, vendors: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.integrations.checks.client.DEADLINE_S", 0.3)
    connection = await made(owner, "openai", {"secret": {"api_key": "right-token"}})
    await vendors.put("keys/knobs", latency_ms=5000)
    began = time.monotonic()
    told, _ = await tried(owner, connection)
    assert told["reason"] == "unavailable"
    assert time.monotonic() - began < 3


async def test_docusign_asks_for_consent_once(
    owner: httpx.AsyncClient, vendors: SandboxServer, pem: str
) -> None:
    await vendors.put("keys", consent_required=True)
    connection = await made(owner, "docusign", credentials("docusign", vendors, pem, True))
    told, _ = await tried(owner, connection)
    assert told["reason"] == "consent-required"
    assert "/oauth/auth?response_type=code&scope=signature+impersonation" in told["detail"]


async def test_a_key_that_is_no_key(owner: httpx.AsyncClient, vendors: SandboxServer) -> None:
    given = credentials("docusign", vendors, "-----BEGIN NONSENSE-----" + "x" * 300, True)
    told, _ = await tried(owner, await made(owner, "docusign", given))
    assert (told["reason"], "PEM" in told["detail"]) == ("credentials-refused", True)


@pytest.mark.parametrize("vendor", ["google", "microsoft", "hubspot"])
async def test_consents_are_tested_with_their_token(
    owner: httpx.AsyncClient, vendors: SandboxServer, vendor: str
) -> None:
    made_by = await connected(owner, vendors, vendor)
    told, shown = await tried(owner, made_by["id"])
    assert (told["ok"], told["account"]) == (True, made_by["account_name"])
    await vendors.put(f"{vendor}/knobs", error={"code": "http-503"})
    told, shown = await tried(owner, made_by["id"])
    assert (told["reason"], shown["status"]) == ("unavailable", "error")
    await vendors.put(f"{vendor}/knobs")
    # Withdrawn at the vendor while our token still seems good for an hour.
    await vendors.put(vendor, ended=["1001"])
    told, shown = await tried(owner, made_by["id"])
    assert (told["ok"], told["reason"]) == (False, "consent-ended")
    assert shown["status"] == "expired"
    off = await owner.patch(f"{ROOT}/{made_by['id']}", json={"is_enabled": False})
    assert off.status_code == 200
    answer = await owner.post(f"{ROOT}/{made_by['id']}/test")
    assert (answer.status_code, answer.json()["code"]) == (409, "connection-disabled")


async def test_keys_are_tried_out_before_they_are_stored(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    path = "/api/v1/signature-providers/clicksign/test"
    for token, is_ok in (("right-token", True), ("wrong-token", False)):
        given = {"config": {"environment": "sandbox"}, "secret": {"access_token": token}}
        told = (await owner.post(path, json=given)).json()
        assert told["ok"] is is_ok
    bad = await owner.post(path, json={"config": {"environment": "moon"}, "secret": {}})
    assert bad.status_code == 422
    unknown = await owner.post(path.replace("clicksign", "openai"), json={"secret": {}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-provider")
    async with world.work() as work:
        assert (await work.session.scalars(select(Connection))).all() == []


async def test_other_slices_note_how_a_call_went(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    connection = await made(owner, "openai", {"secret": {"api_key": "right-token"}})
    async with world.work() as work:
        await ConnectionService(work).note(UUID(connection), "error", "The key was refused.")
        await ConnectionService(work).note(new_id(), "error", "Gone meanwhile.")
    shown = (await owner.get(f"{ROOT}/{connection}")).json()
    assert (shown["status"], shown["status_reason"]) == ("error", "The key was refused.")
    status = (await owner.get("/api/v1/integrations/status")).json()["openai"]
    assert (status["connected"], status["status_reason"]) == (False, "The key was refused.")


async def test_a_new_key_has_a_clean_slate(
    owner: httpx.AsyncClient, vendors: SandboxServer
) -> None:
    connection = await made(owner, "openai", {"secret": {"api_key": "wrong-token"}})
    await tried(owner, connection)
    shown = await owner.patch(f"{ROOT}/{connection}", json={"secret": {"api_key": "right-token"}})
    assert (shown.json()["status"], shown.json()["checked_at"]) == ("active", None)


async def test_a_key_that_left_the_ring_is_to_be_entered_again(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, runtime: Runtime
) -> None:
    connection = await made(owner, "openai", {"secret": {"api_key": "right-token"}})
    async with world.work() as work:
        (await work.session.scalars(select(Connection))).one().secret = "v2.gone.x.y"
    told, _ = await tried(owner, connection)
    assert (told["reason"], "enter them again" in told["detail"]) == ("credentials-refused", True)
