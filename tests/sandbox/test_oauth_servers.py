"""The played OAuth servers refuse what real ones refuse: otherwise our tests prove nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.server import SandboxServer

VERIFIER = "v" * 64
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-client-secret"}
BACK = "http://127.0.0.1:8000/volta"
ASK = {
    "response_type": "code",
    "client_id": "sandbox-client",
    "redirect_uri": BACK,
    "scope": "a b",
    "state": "s",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
PATHS = {
    "google": ("o/oauth2/v2/auth", "token"),
    "microsoft": ("common/oauth2/v2.0/authorize", "common/oauth2/v2.0/token"),
    "hubspot": ("oauth/authorize", "oauth/v3/token"),
}


async def consent(sandbox: SandboxServer, vendor: str = "google", **other: str) -> httpx.Response:
    url = f"{sandbox.url}/{vendor}/{PATHS[vendor][0]}"
    return await sandbox.http.get(url, params={**ASK, "decision": "allow", **other})


async def code(sandbox: SandboxServer, vendor: str = "google") -> str:
    answer = await consent(sandbox, vendor)
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == ["s"]
    return query["code"][0]


async def token(sandbox: SandboxServer, vendor: str = "google", **fields: str) -> Any:
    url = f"{sandbox.url}/{vendor}/{PATHS[vendor][1]}"
    answer = await sandbox.http.post(url, data={**CLIENT, **fields})
    return answer.json()


async def exchanged(sandbox: SandboxServer, vendor: str = "google", **other: str) -> Any:
    fields = {
        "grant_type": "authorization_code",
        "code": await code(sandbox, vendor),
        "code_verifier": VERIFIER,
        "redirect_uri": BACK,
    }
    return await token(sandbox, vendor, **{**fields, **other})


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "somebody"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
        {"redirect_uri": "javascript:x"},
        {"response_type": "token"},
    ],
)
async def test_a_wrong_question_gets_no_code(sandbox: SandboxServer, wrong: dict[str, str]) -> None:
    assert (await consent(sandbox, **wrong)).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"redirect_uri": "http://elsewhere.example/"}, "redirect_uri_mismatch"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_a_wrong_exchange_gets_no_token(
    sandbox: SandboxServer, wrong: dict[str, str], error: str
) -> None:
    assert (await exchanged(sandbox, **wrong))["error"] == error


@pytest.mark.parametrize("vendor", PATHS)
async def test_codes_and_rotated_tokens_work_once(sandbox: SandboxServer, vendor: str) -> None:
    await sandbox.put(vendor, rotate=True)
    used = await code(sandbox, vendor)
    fields = {
        "grant_type": "authorization_code",
        "code": used,
        "code_verifier": VERIFIER,
        "redirect_uri": BACK,
    }
    first = await token(sandbox, vendor, **fields)
    assert (await token(sandbox, vendor, **fields))["error"] == "invalid_grant"
    renew = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await token(sandbox, vendor, **renew)
    assert second["refresh_token"] != first["refresh_token"]
    spent = await token(sandbox, vendor, **renew)
    assert spent.get("error") == "invalid_grant" or spent["status"] == "BAD_REFRESH_TOKEN"


async def test_a_revoked_consent_is_over(sandbox: SandboxServer) -> None:
    given = await exchanged(sandbox)
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    me = f"{sandbox.url}/google/oauth2/v3/userinfo"
    assert (await sandbox.http.get(me, headers=bearer)).json()["sub"] == "1001"
    gone = {**CLIENT, "token": given["refresh_token"]}
    revoke = f"{sandbox.url}/google/revoke"
    assert (await sandbox.http.post(revoke, data=gone)).status_code == 200
    assert (await sandbox.http.get(me, headers=bearer)).status_code == 401
    renew = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await token(sandbox, **renew))["error"] == "invalid_grant"


async def test_what_is_listed_holds_no_whole_secret(sandbox: SandboxServer) -> None:
    given = await exchanged(sandbox)
    listed = str(await sandbox.requests(vendor="google"))
    for secret in (
        CLIENT["client_secret"],
        VERIFIER,
        given["refresh_token"],
        given["access_token"],
    ):
        assert secret not in listed


async def test_a_person_sees_a_page_with_two_ways(sandbox: SandboxServer) -> None:
    page = await consent(sandbox, decision="")
    assert page.status_code == 200
    assert "Permitir" in page.text
    assert "Negar" in page.text
    denied = await consent(sandbox, decision="deny")
    assert "error=access_denied" in denied.headers["location"]
