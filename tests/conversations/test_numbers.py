"""WhatsApp numbers: connected with secrets that never come out, kept in step with their routes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from app.conversations.inbox.models import Conversation, Message
from app.conversations.numbers.models import WhatsAppNumber, WhatsAppRoute
from app.conversations.numbers.news import NumberNews
from app.conversations.numbers.service import NumberService
from app.core.clock import now
from app.kernel.contacts.models import Contact
from app.kernel.tenants.service import ensure_tenant
from app.kernel.work import Runtime, system_work
from tests.factories.tenants import World
from tests.factories.whatsapp import APP_SECRET, TOKEN, VERIFY, make_number, node, number_body
from tests.sandbox.server import SandboxServer

Json = Any
NUMBERS = "/api/v1/whatsapp/numbers"
KEY = {"Idempotency-Key": "numero-1"}


async def route_of(runtime: Runtime, phone_number_id: str) -> UUID | None:
    async with system_work(runtime) as session:
        statement = select(WhatsAppRoute.owner_id).where(
            WhatsAppRoute.phone_number_id == phone_number_id
        )
        found: UUID | None = await session.scalar(statement)
        return found


@pytest.mark.parametrize("token", ["EAAGção-token", "EAAG token de outro", "EAAG\ntoken123"])
async def test_a_token_that_fits_no_header_is_refused_at_the_door(
    owner: httpx.AsyncClient, token: str
) -> None:
    refused = await owner.post(NUMBERS, json=number_body(access_token=token), headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-request")
    assert refused.json()["errors"][0]["pointer"] == "/body/access_token"
    assert token not in refused.text
    assert (await owner.get(NUMBERS)).json()["items"] == []


async def test_a_number_is_connected_and_shows_no_secret(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    body = number_body()
    answer = await owner.post(NUMBERS, json=body, headers=KEY)
    assert answer.status_code == 201, answer.text
    number = answer.json()
    assert number["display_phone"] == "+551140028922"
    assert (number["quality"], number["per_second"]) == ("unknown", 80)
    shown = answer.text + (await owner.get(NUMBERS)).text
    assert not [secret for secret in (TOKEN, APP_SECRET, VERIFY) if secret in shown]
    assert await route_of(runtime, body["phone_number_id"]) == world.tenant.id
    async with world.work() as work:
        service = NumberService(work)
        row = await service.get(UUID(number["id"]))
        assert TOKEN not in row.token
        assert service.account(row).token == TOKEN
        assert service.verify_token(row) == VERIFY
    assert (await owner.delete(f"{NUMBERS}/{number['id']}")).status_code == 204
    assert await route_of(runtime, body["phone_number_id"]) is None


async def test_a_number_that_another_tenant_holds_is_refused_without_a_name(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    body = number_body()
    assert (await owner.post(NUMBERS, json=body, headers=KEY)).status_code == 201
    for client in (outsider, owner):
        refused = await client.post(NUMBERS, json=body, headers={"Idempotency-Key": "numero-2"})
        assert (refused.status_code, refused.json()["code"]) == (409, "whatsapp-number-taken")
        assert world.tenant.slug not in refused.text
    assert (await outsider.get(NUMBERS)).json()["items"] == []
    assert await route_of(runtime, body["phone_number_id"]) == world.tenant.id


async def test_a_plan_bounds_how_many_numbers_there_are(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    await ensure_tenant(runtime, world.tenant.slug, limits={"whatsapp_numbers": 1})
    first = await owner.post(NUMBERS, json=number_body(), headers=KEY)
    assert first.status_code == 201
    body = number_body()
    refused = await owner.post(NUMBERS, json=body, headers={"Idempotency-Key": "numero-2"})
    assert (refused.status_code, refused.json()["code"]) == (409, "limit-reached")
    assert await route_of(runtime, body["phone_number_id"]) is None
    await owner.delete(f"{NUMBERS}/{first.json()['id']}")
    again = await owner.post(NUMBERS, json=body, headers={"Idempotency-Key": "numero-3"})
    assert again.status_code == 201


@pytest.mark.parametrize(
    "url", ["https://169.254.169.254", "https://10.0.0.1/graph", "ftp://x.example", "https://u@a.b"]
)
async def test_an_address_inside_is_refused(url: str, owner: httpx.AsyncClient) -> None:
    answer = await owner.post(NUMBERS, json=number_body(base_url=url), headers=KEY)
    assert answer.status_code == 422
    assert (await owner.get(NUMBERS)).json()["items"] == []


async def test_a_token_never_follows_to_another_address(
    owner: httpx.AsyncClient, world: World
) -> None:
    row = await make_number(world)
    path = f"{NUMBERS}/{row.id}"
    refused = await owner.patch(path, json={"base_url": "https://elsewhere.example"})
    assert (refused.status_code, refused.json()["code"]) == (422, "whatsapp-token-needed")
    assert (await owner.get(path)).json()["base_url"] is None
    moved = await owner.patch(
        path, json={"base_url": "https://elsewhere.example", "access_token": "outro-token"}
    )
    assert moved.json()["base_url"] == "https://elsewhere.example"


async def test_two_app_secrets_are_good_while_one_takes_over(
    owner: httpx.AsyncClient, world: World
) -> None:
    row = await make_number(world)
    path = f"{NUMBERS}/{row.id}"
    none = await owner.post(f"{path}/end-rotation")
    assert (none.status_code, none.json()["code"]) == (409, "whatsapp-no-previous-secret")
    rotated = await owner.post(f"{path}/rotate-secret", json={"app_secret": "segredo-numero-dois"})
    assert rotated.json()["is_rotating_secret"] is True

    async def secrets() -> tuple[str, ...]:
        async with world.work() as work:
            service = NumberService(work)
            return service.app_secrets(await service.get(row.id))

    assert await secrets() == ("segredo-numero-dois", APP_SECRET)
    await owner.post(f"{path}/rotate-secret", json={"app_secret": "segredo-numero-dois"})
    assert await secrets() == ("segredo-numero-dois", APP_SECRET)
    assert (await owner.post(f"{path}/end-rotation")).json()["is_rotating_secret"] is False
    assert await secrets() == ("segredo-numero-dois",)


async def test_the_test_button_refreshes_what_the_vendor_says(
    owner: httpx.AsyncClient, world: World, sandbox: SandboxServer
) -> None:
    row = await make_number(world, base_url=f"{sandbox.url}/graph", api_version="v24.0")
    await sandbox.put("whatsapp", quality="YELLOW", limit_tier="TIER_2K", tokens=[TOKEN])
    checked = (await owner.post(f"{NUMBERS}/{row.id}/test")).json()
    assert (checked["ok"], checked["number"]["messaging_limit"]) == (True, 2000)
    assert checked["number"]["quality"] == "yellow"
    assert checked["number"]["verified_name"] == "Pizzaria Bella Massa"
    await sandbox.put("whatsapp", tokens=["another"], quality="GREEN", limit_tier="TIER_250")
    checked = (await owner.post(f"{NUMBERS}/{row.id}/test")).json()
    assert (checked["ok"], checked["code"]) == (False, "190")
    assert TOKEN not in str(checked)
    assert checked["number"]["quality"] == "yellow"
    assert checked["number"]["check_error"]
    refused = await owner.post(f"{NUMBERS}/{row.id}/register", json={"pin": "123456"})
    assert (refused.status_code, refused.json()["provider_code"]) == (409, "190")
    await sandbox.put("whatsapp", tokens=[])
    registered = await owner.post(f"{NUMBERS}/{row.id}/register", json={"pin": "123456"})
    assert registered.json()["ok"] is True


YESTERDAY = now() - timedelta(hours=25)


async def message(world: World, number: WhatsAppNumber, contact: UUID, **facts: Any) -> None:
    async with world.work() as work:
        statement = select(Conversation.id).where(Conversation.contact_id == contact)
        conversation = await work.session.scalar(statement)
        if conversation is None:
            row = Conversation(contact_id=contact, number_id=number.id)
            work.session.add(row)
            await work.session.flush()
            conversation = row.id
        told = {"direction": "out", "author": "bot", "kind": "text", "status": "sent"} | facts
        told.setdefault("provider_at", now())
        if told["direction"] == "out" and told["status"] != "failed":
            told.setdefault("sent_at", told["provider_at"])
        work.session.add(
            Message(conversation_id=conversation, number_id=number.id, contact_id=contact, **told)
        )


async def contact_of(world: World, name: str) -> UUID:
    async with world.work() as work:
        row = Contact(name=name)
        work.session.add(row)
        await work.session.flush()
        return row.id


async def test_the_health_card_counts_the_last_day(owner: httpx.AsyncClient, world: World) -> None:
    waba = node()
    row = await make_number(world, waba_id=waba)
    twin = await make_number(world, waba_id=waba)
    ana, bia, caio, davi = [
        await contact_of(world, name) for name in ("Ana", "Bia", "Caio", "Davi")
    ]
    ago = now() - timedelta(hours=1)
    inbound = {"direction": "in", "author": "contact", "status": "received"}
    # Ana and Caio had not written: each counts once, as the sender noted.
    await message(world, row, ana, kind="template", delivered_at=now(), opened_at=ago)
    await message(world, row, ana, kind="template", read_at=now())
    # Bia wrote before: a template within her window takes nothing of the limit.
    await message(world, row, bia, provider_at=ago, **inbound)
    await message(world, row, bia, kind="template")
    await message(world, twin, caio, kind="template", opened_at=ago)
    await message(world, row, davi, kind="template", status="failed", error_code="131026")
    await message(world, row, davi, kind="template", provider_at=YESTERDAY, opened_at=YESTERDAY)
    async with world.work() as work:
        held = await NumberService(work).get(row.id, lock=True)
        held.messaging_limit, held.last_webhook_at = 2, now()
    card = (await owner.get(f"{NUMBERS}/{row.id}/health")).json()
    assert (card["limit"], card["limit_used"], card["limit_left"]) == (2, 2, 0)
    assert (card["sent"], card["delivered"], card["read"], card["received"]) == (3, 2, 1, 1)
    assert (card["failed"], card["error_rate"], card["errors"]) == (1, 0.25, {"131026": 1})
    assert card["problems"] == ["limit-reached", "many-errors"]
    in_use = await owner.delete(f"{NUMBERS}/{row.id}")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "whatsapp-number-in-use")
    assert (await owner.get(f"{NUMBERS}/{row.id}")).status_code == 200


PHONE = "551140028922"


@pytest.mark.parametrize(
    ("field", "value", "changed"),
    [
        (
            "phone_number_quality_update",
            {"display_phone_number": PHONE, "event": "UPGRADE", "current_limit": "TIER_10K"},
            {"messaging_limit": 10_000},
        ),
        (
            "phone_number_quality_update",
            {
                "display_phone_number": PHONE,
                "event": "FLAGGED",
                "max_daily_conversations_per_business": "TIER_UNLIMITED",
                "current_limit": "TIER_1K",
            },
            {"quality": "red", "messaging_limit": None},
        ),
        (
            "phone_number_quality_update",
            {"display_phone_number": PHONE, "event": "THROUGHPUT_UPGRADE"},
            {"per_second": 1000},
        ),
        ("phone_number_quality_update", {"display_phone_number": "19995550100"}, {}),
        (
            "phone_number_name_update",
            {
                "display_phone_number": PHONE,
                "decision": "APPROVED",
                "requested_verified_name": "Bella Massa",
            },
            {"verified_name": "Bella Massa"},
        ),
        (
            "phone_number_name_update",
            {
                "display_phone_number": PHONE,
                "decision": "REJECTED",
                "requested_verified_name": "Pizza!!!",
            },
            {},
        ),
        (
            "business_capability_update",
            {"max_daily_conversations_per_business": 2000},
            {"messaging_limit": 2000},
        ),
        (
            "account_update",
            {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}},
            {"status": "banned", "campaigns_stopped_why": "DISABLED_UPDATE: DISABLE"},
        ),
        (
            "account_update",
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}],
            },
            {"status": "restricted"},
        ),
        ("account_update", {"event": "SOMETHING_NEW"}, {}),
        ("account_update", {"ban_info": "odd"}, {}),
    ],
)
async def test_account_webhooks_change_the_number(
    field: str, value: dict[str, Json], changed: dict[str, Json], world: World
) -> None:
    row = await make_number(world)
    names = ("quality", "status", "messaging_limit", "verified_name", "per_second")
    before = {name: getattr(row, name, None) for name in names}
    for _ in range(2):  # deliveries are repeated
        async with world.work() as work:
            assert await NumberNews(work).apply(row.waba_id, field, value)
    async with world.work() as work:
        found = await NumberService(work).get(row.id)
        assert {name: getattr(found, name) for name in names} | changed == (
            before | changed | {n: getattr(found, n) for n in changed}
        )
        assert {n: getattr(found, n) for n in changed} == changed
        assert not await NumberNews(work).apply(row.waba_id, "messages", {})
        told = await work.session.scalar(
            text("SELECT count(*) FROM audit_entries WHERE action = 'whatsapp.number_changed'")
        )
    assert told == (1 if set(changed) & set(names) else 0)


async def test_a_ban_is_lifted_and_campaigns_resume(owner: httpx.AsyncClient, world: World) -> None:
    row = await make_number(world)
    for state, stopped in (("DISABLE", True), ("REINSTATE", False)):
        value = {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}}
        async with world.work() as work:
            await NumberNews(work).apply(row.waba_id, "account_update", value)
        number = (await owner.get(f"{NUMBERS}/{row.id}")).json()
        assert (number["campaigns_stopped_at"] is not None) is stopped
    async with world.work() as work:
        await NumberNews(work).stop_campaigns(row.id, "131048", "Spam rate limit hit")
    path = f"{NUMBERS}/{row.id}"
    assert (await owner.get(path)).json()["campaigns_stopped_why"].startswith("131048")
    resumed = await owner.post(f"{path}/resume-campaigns")
    assert resumed.json()["campaigns_stopped_at"] is None


async def test_only_those_with_the_grant_change_numbers(
    app: Any, world: World, outsider: httpx.AsyncClient
) -> None:
    row = await make_number(world)
    assert (await outsider.get(f"{NUMBERS}/{row.id}")).status_code == 404
    agent = await world.member("agent")
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {agent.token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=headers
    ) as client:
        refused = await client.patch(f"{NUMBERS}/{row.id}", json={"name": "Meu"})
    assert refused.status_code == 403
    async with world.work() as work:
        assert (await NumberService(work).get(row.id)).name == "Atendimento"
