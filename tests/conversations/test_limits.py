"""What the vendor limits: an account's people of a day, numbers that must rest, refusals."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from app.contracts.whatsapp import NumberInTrouble
from app.conversations.inbox.models import Message
from app.conversations.numbers.service import NumberService
from app.conversations.templates.models import MessageTemplate
from app.core.clock import now
from app.kernel.consents.service import ConsentService
from app.kernel.work import Runtime
from tests.factories.commerce import key
from tests.factories.conversations import Chat, at_sandbox, make_chat, make_number, make_template
from tests.factories.sending import (
    CAMPAIGN,
    hurry,
    message,
    number_of,
    owe,
    standing,
    template,
    text,
    workers,
)
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects
from tests.sandbox.server import SandboxServer, until

BULK = 24
"""More than leave at the number's pace before the first refusal is known."""
DAY = timedelta(hours=24)


@pytest.fixture
async def here(world: World, runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return at_sandbox(runtime, sandbox.url)


async def chats(world: World, number_id: Any, count: int, **fields: Any) -> list[Chat]:
    found = [await make_chat(world, number_id=number_id, **fields) for _ in range(count)]
    for chat in found:
        async with world.work() as work:
            await ConsentService(work).heed(chat.contact_id, "whatsapp", "quero receber")
    return found


async def stand(found: list[Chat], wanted: dict[str, int], seconds: float = 15) -> None:
    """Wait until so many messages stand so."""

    async def met() -> bool:
        states = await standing(found)
        return {name: states.count(name) for name in set(states)} == wanted

    await until(met, seconds)


async def test_an_accounts_people_of_a_day_are_counted_over_its_numbers(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    numbers = [await make_number(world, messaging_limit=3) for _ in range(2)]
    await make_template(world, "novidades", category="marketing")
    never = [c for n in numbers for c in await chats(world, n, 3, wrote=None)]
    [recent] = await chats(world, numbers[0], 1)
    for chat in [*never, recent]:
        await owe(chat, template("novidades"), CAMPAIGN)
    async with workers(here, 2):
        await stand(never, {"accepted": 3, "queued": 3})
        await stand([recent], {"accepted": 1})
        await asyncio.sleep(0.5)
        waiting = [m for c in never for m in await c.messages() if m.error_code == "limit-reached"]
        assert len(waiting) == 3, "each was asked for, and none of them left"
        resumes = [m.send_after - now() for m in waiting if m.send_after]
        assert all(DAY - timedelta(minutes=1) < wait <= DAY for wait in resumes)
        assert len(await sandbox.requests(vendor="whatsapp")) == 4
        # Who was reached today takes nothing more; an answer to a person takes nothing at all.
        [reached, *_] = [c for c in never if await standing([c]) == ["accepted"]]
        await owe(reached, template("novidades"), CAMPAIGN)
        await owe(recent, text("Oi, Ana!"))
        await stand([reached, recent], {"accepted": 4})
        async with world.work() as work:
            await work.session.execute(
                update(Message).where(Message.opened_at.is_not(None))
                .values(opened_at=now() - DAY)
            )  # fmt: skip
            await work.session.execute(update(Message).values(send_after=None))
        await hurry(world)
        await stand(never, {"accepted": 7})


async def test_a_number_taken_for_spam_rests_its_bulk_and_nothing_else(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    spam, other = await make_number(world), await make_number(world)
    await make_template(world, "novidades", category="marketing")
    await make_template(world, "pedido_pronto")
    bulk = await chats(world, spam, BULK)
    theirs = await chats(world, other, 2)
    phone = (await number_of(world, spam)).phone_number_id
    await sandbox.put("whatsapp", spam=[phone])
    for chat in [*bulk, *theirs]:
        await owe(chat, template("novidades"), CAMPAIGN)

    async def stopped() -> bool:
        return (await number_of(world, spam)).campaigns_stopped_at is not None

    async with workers(here):
        await until(stopped, 10)
        begun = now()
        await owe(bulk[0], text("Bom dia! Em que posso ajudar?"))
        await stand(theirs, {"accepted": 2})
        await stand(bulk, {"queued": BULK, "accepted": 1})
        replied = (now() - begun).total_seconds()
        asked = [r for r in await sandbox.requests(vendor="whatsapp") if r["verdict"] == "refused"]
        await asyncio.sleep(1.2)
        again = [r for r in await sandbox.requests(vendor="whatsapp") if r["verdict"] == "refused"]
        print(
            f"\n131048: {len(asked)} of {BULK} bulk sends asked, the reply left in {replied:.2f} s"
        )
        assert len(asked) < BULK
        assert len(again) == len(asked), "nothing more is asked for until a person resumes it"
        assert (await number_of(world, other)).campaigns_stopped_at is None
        assert (await number_of(world, spam)).is_active
        await sandbox.put("whatsapp", spam=[])
        async with world.work() as work:
            await NumberService(work).resume_campaigns(spam)
            await work.session.execute(update(Message).values(send_after=None))
        await hurry(world)
        await stand(bulk, {"accepted": BULK + 1})
    assert len(await effects(world, NumberInTrouble.name)) == 1


@pytest.mark.parametrize(("code", "same_account"), [("130429", False), ("80007", True)])
async def test_too_fast_pauses_the_number_or_the_account_and_keeps_the_order(
    world: World, here: Runtime, sandbox: SandboxServer, code: str, same_account: bool
) -> None:
    number, twin = await make_number(world), await make_number(world)
    [chat], [other] = await chats(world, number, 1), await chats(world, twin, 1)
    await sandbox.put("whatsapp/knobs", error={"code": code, "times": 1})
    first = await owe(chat, text("um"))

    async def refused() -> bool:
        return (await message(world, first)).error_code == code

    async with workers(here):
        await until(refused, 10)
        until_at = (await message(world, first)).send_after
        await owe(chat, text("dois"))
        await owe(other, text("outro"))
        await stand([chat, other], {"accepted": 3})
    assert until_at is not None
    requests = await sandbox.requests(vendor="whatsapp")
    went = {r["body"]["text"]["body"]: r for r in requests if r["verdict"] == "accepted"}
    assert went["um"]["id"] < went["dois"]["id"], "who was refused still goes first"
    if same_account:
        left = datetime.fromisoformat(went["outro"]["received_at"])
        assert left > until_at - timedelta(seconds=0.2), "its other numbers waited, too"
    else:
        assert went["outro"]["id"] < went["um"]["id"]


@pytest.mark.parametrize("code", ["190", "131042", "131031"])
async def test_what_only_a_person_can_mend_is_told_once_and_bulk_rests(
    world: World, here: Runtime, sandbox: SandboxServer, code: str, owner: httpx.AsyncClient
) -> None:
    number, twin = await make_number(world), await make_number(world)
    await make_template(world, "novidades", category="marketing")
    [chat, bulk] = await chats(world, number, 2)
    await sandbox.put("whatsapp/knobs", error={"code": code, "times": 2})
    await owe(chat, text("Oi"))
    await owe(chat, text("Oi de novo"))
    async with workers(here):
        await stand([chat], {"failed": 2})
        assert {m.error_code for m in await chat.messages()} == {code}
        row, other = await number_of(world, number), await number_of(world, twin)
        assert row.campaigns_stopped_at is not None
        assert (other.campaigns_stopped_at is not None) is (code != "190"), "its whole account"
        assert ((row.check_error or "").startswith("190")) is (code == "190")
        card = (await owner.get(f"/api/v1/whatsapp/numbers/{number}/health")).json()
        wanted = {"campaigns-stopped"} | ({"check-failed"} if code == "190" else set())
        assert wanted <= set(card["problems"])
        await owe(bulk, template("novidades"), CAMPAIGN)
        await asyncio.sleep(1)
        assert await standing([bulk]) == ["queued"]
        assert len(await effects(world, NumberInTrouble.name)) == (1 if code == "190" else 2)
    if code == "190":
        path = f"/api/v1/whatsapp/numbers/{number}"
        answer = await owner.patch(path, json={"access_token": "EAAGnovo"}, headers=key())
        assert answer.is_success
        row = await number_of(world, number)
        assert (row.campaigns_stopped_at, row.check_error) == (None, None)


async def test_a_template_that_rests_at_the_vendor_is_not_sent_again(
    world: World, here: Runtime, sandbox: SandboxServer, owner: httpx.AsyncClient
) -> None:
    number = await make_number(world)
    await make_template(world, "pedido_pronto")
    [chat] = await chats(world, number, 1)
    await sandbox.put("whatsapp/knobs", error={"code": "132015", "times": 1})
    await owe(chat, template("pedido_pronto"))
    async with workers(here):
        await stand([chat], {"failed": 1})
    async with world.work() as work:
        row = (await work.session.scalars(select(MessageTemplate))).one()
    assert row.status == "paused"
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=template("pedido_pronto"), headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "template-not-approved")


async def test_who_had_enough_marketing_waits_a_day_and_is_answered_meanwhile(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    number = await make_number(world)
    await make_template(world, "novidades", category="marketing")
    [chat] = await chats(world, number, 1)
    await sandbox.put("whatsapp/knobs", error={"code": "131049", "times": 1})
    first = await owe(chat, template("novidades"), CAMPAIGN)

    async def refused() -> bool:
        return (await message(world, first)).error_code == "131049"

    async with workers(here):
        await until(refused, 10)
        await owe(chat, text("Pois não?"))
        await stand([chat], {"queued": 1, "accepted": 1})
    again = (await message(world, first)).send_after
    assert again is not None
    assert again - now() > DAY - timedelta(minutes=1)


@pytest.mark.parametrize("code", ["131047", "131026", "100"])
async def test_what_never_works_fails_at_once_and_touches_nothing_else(
    world: World, here: Runtime, sandbox: SandboxServer, code: str
) -> None:
    number = await make_number(world)
    [chat] = await chats(world, number, 1)
    await sandbox.put("whatsapp/knobs", error={"code": code, "times": 1})
    await owe(chat, text("Oi"))
    async with workers(here):
        await stand([chat], {"failed": 1})
        await owe(chat, text("Oi"))
        await stand([chat], {"failed": 1, "accepted": 1})
    row = await number_of(world, number)
    assert (row.campaigns_stopped_at, row.check_error, row.is_active) == (None, None, True)
    assert len(await sandbox.requests(vendor="whatsapp")) == 2
