"""Notices meet their messages: before or after us, by wamid or by the attempt's id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select

from app.conversations.inbound.service import apply_known_statuses
from app.conversations.inbox.models import Message, MessageAttempt, MessageStatus
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.consents.models import ConsentEntry
from tests.conversations.inbound.line import Line, drain
from tests.kernel.queue_probe import effects


async def sent(line: Line, client: httpx.AsyncClient, **fields: str) -> UUID:
    """A message of ours in a thread that the contact began."""
    if not await line.conversations():
        await line.tell(client, line.message())
    [thread] = await line.conversations()
    message = Message(
        id=new_id(),
        conversation_id=thread.id,
        number_id=line.id,
        contact_id=thread.contact_id,
        direction="out",
        author="user",
        kind="text",
        text="Bom dia!",
        provider_at=now(),
        **{"status": "accepted", **fields},
    )
    async with line.world.work() as work:
        work.session.add(message)
    return message.id


async def row(line: Line, message_id: UUID) -> Message:
    [found] = [m for m in await line.messages() if m.id == message_id]
    return found


async def test_notices_move_a_message_forward_only_and_all_are_kept(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    id_ = await sent(line, anonymous, wamid="wamid.a")
    read, delivered, first = (
        line.status("wamid.a", word, 1_780_001_000 + at)
        for word, at in (("read", 9), ("delivered", 5), ("sent", 1))
    )
    for notice, status in ((delivered, "delivered"), (first, "delivered"), (read, "read")):
        await line.deliver(anonymous, line.change(statuses=[notice]))
        await drain(line.world)
        assert (await row(line, id_)).status == status
    again = line.change(statuses=[first, delivered, read, line.status("wamid.a", "deleted")])
    await line.deliver(anonymous, again)
    await drain(line.world)
    found = await row(line, id_)
    assert found.status == "read"
    assert [found.sent_at, found.delivered_at, found.read_at] == [
        datetime.fromtimestamp(1_780_001_000 + at, UTC) for at in (1, 5, 9)
    ]
    async with line.world.work() as work:
        assert await work.session.scalar(select(func.count(MessageStatus.id))) == 4
    told = await effects(line.world, "conversations.message_status_changed")
    assert [t["status"] for t in told] == ["delivered", "read"]


async def test_a_notice_before_its_wamid_is_known_is_applied_then(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    id_ = await sent(line, anonymous, status="sending")
    await line.deliver(anonymous, line.change(statuses=[line.status("wamid.b", "delivered")]))
    await drain(line.world)
    assert (await row(line, id_)).status == "sending"
    async with line.world.work() as work:
        message = (await work.session.scalars(select(Message).where(Message.id == id_))).one()
        message.wamid, message.status = "wamid.b", "accepted"
        await apply_known_statuses(work, message)
        assert message.status == "delivered"
    assert (await row(line, id_)).status == "delivered"


async def test_notice_and_wamid_at_the_same_moment_never_miss_each_other(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    ids = [await sent(line, anonymous, status="sending") for _ in range(8)]
    for i in range(8):
        notice = line.status(f"wamid.race{i}", "delivered")
        await line.deliver(anonymous, line.change(statuses=[notice]))

    async def learn(i: int) -> None:
        async with line.world.work() as work:
            where = Message.id == ids[i]
            message = (await work.session.scalars(select(Message).where(where))).one()
            message.wamid, message.status = f"wamid.race{i}", "accepted"
            await apply_known_statuses(work, message)

    await asyncio.gather(drain(line.world, at_once=4), *(learn(i) for i in range(8)))
    assert {(await row(line, id_)).status for id_ in ids} == {"delivered"}


async def test_an_unknown_outcome_is_resolved_by_the_attempts_own_id(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    id_ = await sent(line, anonymous, status="unknown")
    attempt = MessageAttempt(id=new_id(), message_id=id_, state="unknown")
    async with line.world.work() as work:
        work.session.add(attempt)
    told: dict[str, Any] = {"biz_opaque_callback_data": str(attempt.id)}
    odd: dict[str, Any] = {"biz_opaque_callback_data": "not ours"}
    await line.deliver(
        anonymous,
        line.change(
            statuses=[
                line.status("wamid.c", "sent", **told),
                line.status("wamid.x", "sent", **odd),
            ]
        ),
    )
    await drain(line.world)
    found = await row(line, id_)
    assert (found.wamid, found.status) == ("wamid.c", "sent")
    async with line.world.work() as work:
        settled = (await work.session.scalars(select(MessageAttempt))).one()
        assert (settled.state, settled.wamid) == ("accepted", "wamid.c")
        assert settled.finished_at is not None


async def test_the_vendors_opt_out_is_noted_once(line: Line, anonymous: httpx.AsyncClient) -> None:
    id_ = await sent(line, anonymous, wamid="wamid.d")
    errors = [{"code": 131050, "title": "User has stopped marketing messages"}]
    failed = line.status("wamid.d", "failed", errors=errors)
    for word in ("failed", "sent"):
        notice = failed if word == "failed" else line.status("wamid.d", "sent", 1_780_000_001)
        await line.deliver(anonymous, line.change(statuses=[notice]))
        await drain(line.world)
    found = await row(line, id_)
    assert (found.status, found.error_code) == ("failed", "131050")
    async with line.world.work() as work:
        entry = (await work.session.scalars(select(ConsentEntry))).one()
        assert (entry.source, entry.category, entry.is_opt_in) == (
            "provider_error", "marketing", False,
        )  # fmt: skip
