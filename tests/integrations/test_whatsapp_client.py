"""What is particular to WhatsApp: payloads, addresses, error classes, echoes."""

from __future__ import annotations

import httpx
import pytest

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    GatewayRefused,
    MessagingCredentials,
    Refusal,
)
from app.core.guard import Guard
from app.core.http import Answer
from app.integrations.whatsapp.cloud import CloudApi, address
from app.integrations.whatsapp.errors import AMBIGUOUS, MEANINGS, failure_of
from app.integrations.whatsapp.graph import Graph
from tests.sandbox.server import SandboxServer

SHOP = MessagingCredentials(token="EAAGsecretTokenOfTheShop", sender="109876543210987")


def client(http: httpx.AsyncClient, sandbox: SandboxServer) -> CloudApi:
    return CloudApi(Graph(http, Guard(), f"{sandbox.url}/graph/", "v23.0"))


async def test_the_request_is_the_one_the_vendor_documents(
    sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    await client(http, sandbox).send_text(
        credentials=SHOP,
        to="+55 (11) 98765-4321",
        text="Saiu para entrega",
        reference="0199-attempt",
    )
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert entry["path"] == "/graph/v23.0/109876543210987/messages"
    assert entry["body"] == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "5511987654321",
        "type": "text",
        "text": {"body": "Saiu para entrega", "preview_url": False},
        "biz_opaque_callback_data": "0199-attempt",
    }


async def test_a_person_without_a_visible_number_is_reached_by_user_id(
    sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    sent = await client(http, sandbox).send_text(
        credentials=SHOP, to="BR.13491208655302741918", text="Oi", reference="r"
    )
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert entry["body"]["recipient"] == "BR.13491208655302741918"
    assert "to" not in entry["body"]
    assert sent.address is None


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("+5511987654321", {"to": "5511987654321"}),
        ("55 11 98765.4321", {"to": "5511987654321"}),
        ("US.ENT.11815799212886844830", {"recipient": "US.ENT.11815799212886844830"}),
    ],
)
def test_addresses_in_the_vendors_words(given: str, wire: dict[str, str]) -> None:
    assert address(given) == wire


async def test_an_address_that_is_no_phone_is_refused_for_good(
    sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    with pytest.raises(GatewayRefused) as caught:
        await client(http, sandbox).send_text(
            credentials=SHOP, to="ana@example.com", text="Oi", reference="r"
        )
    assert (caught.value.code, caught.value.action) == ("131009", Refusal.PERMANENT)


@pytest.mark.parametrize("code", sorted(AMBIGUOUS))
async def test_a_vague_error_is_an_unknown_outcome(
    code: int, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    await sandbox.put("whatsapp/knobs", error={"code": str(code)})
    with pytest.raises(GatewayOutcomeUnknown):
        await client(http, sandbox).send_text(
            credentials=SHOP, to="5511987654321", text="Oi", reference="r"
        )


async def test_a_wrong_base_url_is_refused_and_seen(
    sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    """It ends at the catch-all: recorded, and nothing was sent."""
    astray = CloudApi(Graph(http, Guard(), f"{sandbox.url}/elsewhere", "v23.0"))
    with pytest.raises(GatewayRefused) as caught:
        await astray.send_text(credentials=SHOP, to="5511987654321", text="Oi", reference="r")
    assert caught.value.code == "http-404"
    assert [entry["vendor"] for entry in await sandbox.requests()] == ["unknown"]


def test_the_pair_limit_waits_and_concerns_one_recipient_only() -> None:
    refused = failure_of(Answer(400, {"error": {"code": 131056, "message": "x"}}, 2.0), "token")
    assert isinstance(refused, GatewayRefused)
    assert (refused.action, refused.retry_after_s) == (Refusal.RETRY_PAIR, 6.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"error": {"code": 999999, "message": "new"}}), Refusal.PERMANENT),
        (Answer(429, {"error": {"code": 999999, "message": "new"}}), Refusal.RETRY),
        (Answer(401, {"error": {"code": 999999, "message": "new"}}), Refusal.AUTH),
        (Answer(500, {"error": {"code": 999999, "is_transient": True}}), Refusal.RETRY),
        (Answer(500, {"error": {"code": 999999, "message": "new"}}), None),
    ],
)
def test_a_code_we_do_not_know_is_judged_by_hint_and_status(
    answer: Answer, expected: Refusal | None
) -> None:
    failure = failure_of(answer, "token")
    assert getattr(failure, "action", None) == expected
    assert isinstance(failure, GatewayOutcomeUnknown) == (expected is None)


def test_no_code_is_both_clear_and_ambiguous() -> None:
    assert not AMBIGUOUS & set(MEANINGS)
