"""Attendance hours: told once in each closure, whoever writes how often; clocks that pause."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.conversations.hours.jobs import AWAY, away
from app.conversations.hours.rules import away_text, opening_text
from app.conversations.inbox.jobs import opened
from app.conversations.inbox.models import Conversation, Message
from app.core.clock import now
from app.core.hours import (
    Schedule,
    WeeklyInterval,
    after_open_time,
    is_open,
    last_closing,
    next_opening,
)
from app.kernel.jobs.service import JobContext
from tests.conversations.inbound.line import Line, make_line
from tests.factories.conversations import make_chat
from tests.factories.tenants import World
from tests.kernel.queue_probe import system

URL = "/api/v1/inbox-hours"
ZONE = ZoneInfo("America/Sao_Paulo")
NEVER: dict[str, Any] = {"timezone": "America/Sao_Paulo", "hours": []}
ALWAYS = NEVER | {
    "hours": [{"weekday": day, "opens": "00:00", "closes": "24:00"} for day in range(7)]
}


def closed_now() -> dict[str, Any]:
    """Hours that ended some minutes ago and begin again tomorrow."""
    local = datetime.now(ZONE)
    closes = (local - timedelta(minutes=2)).strftime("%H:%M")
    opens = (local - timedelta(minutes=62)).strftime("%H:%M")
    days = {(local - timedelta(minutes=62)).weekday(), (local + timedelta(days=1)).weekday()}
    return NEVER | {"hours": [{"weekday": d, "opens": opens, "closes": closes} for d in days]}


@pytest.fixture
async def line(world: World) -> Line:
    return await make_line(world)


def wrote(line: Line) -> dict[str, Any]:
    return line.message(at=int(time.time()))


async def work_off(world: World) -> int:
    """Run what is queued of our tenant's telling; how many jobs there were."""
    found = await system(
        world.runtime, "DELETE FROM pgqueuer WHERE entrypoint = $1 "
        "AND convert_from(payload, 'UTF8')::json->>'tenant_id' = $2 RETURNING payload",
        AWAY, str(world.tenant.id),
    )  # fmt: skip
    for row in found:
        payload = orjson.loads(row["payload"])["payload"]
        await away(JobContext(world.runtime, world.work, world.tenant.id, payload, 1))
    return len(found)


async def told(world: World) -> list[str]:
    async with world.work() as work:
        found = await work.session.scalars(
            select(Message).where(Message.author == "bot").order_by(Message.id)
        )
        return [str(m.text) for m in found]


async def test_hours_are_set_shown_and_removed(
    world: World, line: Line, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    set_ = await owner.put(URL, json=closed_now() | {"away_text": "Voltamos {{next_opening}}"})
    assert set_.status_code == 200, set_.text
    shown = set_.json()
    assert (shown["is_open"], shown["number_id"]) == (False, None)
    assert shown["away_preview"].startswith("Voltamos amanhã às ")
    own = await owner.put(URL, json=ALWAYS | {"number_id": str(line.id)})
    assert (own.json()["is_open"], own.json()["next_opening_at"]) == (True, None)
    again = await owner.put(URL, json=NEVER)
    assert (again.json()["id"], again.json()["away_text"]) == (shown["id"], None)
    assert [row["number_id"] for row in (await owner.get(URL)).json()] == [None, str(line.id)]
    assert (await outsider.get(URL)).json() == []
    for body, code in (
        (NEVER | {"timezone": "Brasilia"}, "invalid-request"),
        (NEVER | {"number_id": str(world.tenant.id)}, "whatsapp-number-not-found"),
        ({**ALWAYS, "hours": ALWAYS["hours"] * 2}, "invalid-request"),
    ):
        refused = await owner.put(URL, json=body)
        assert refused.json()["code"] == code, refused.text
    agent = await world.member("agent")
    mine = {"Authorization": f"Bearer {agent.token}"}
    assert (await owner.put(URL, json=NEVER, headers=mine)).status_code == 403
    assert (await outsider.delete(f"{URL}/{shown['id']}")).status_code == 404
    assert (await owner.delete(f"{URL}/{shown['id']}")).status_code == 204
    assert (await owner.delete(f"{URL}/{shown['id']}")).json()["code"] == "inbox-hours-not-found"
    assert [row["number_id"] for row in (await owner.get(URL)).json()] == [str(line.id)]


async def test_whoever_writes_while_it_is_closed_is_told_once(
    world: World, line: Line, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await line.tell(anonymous, wrote(line))
    assert await work_off(world) == 0, "nobody said when there is nobody"
    text = {"away_text": "{{customer_name}}, voltamos {{next_opening}}."}
    assert (await owner.put(URL, json=closed_now() | text)).is_success
    await line.tell(anonymous, *[wrote(line) for _ in range(20)])
    await asyncio.gather(*[line.tell(anonymous, wrote(line)) for _ in range(10)])
    assert await work_off(world) == 1
    [said] = await told(world)
    assert said.startswith("Maria da Silva, voltamos amanhã às ")
    # Deliveries come again, jobs run again, they write again: it was said.
    await line.tell(anonymous, wrote(line))
    async with world.work() as work:
        chat = (await work.session.scalars(select(Conversation))).one()
    payload = {"conversation_id": str(chat.id)}
    job = JobContext(world.runtime, world.work, world.tenant.id, payload, 2)
    await asyncio.gather(*[away(job) for _ in range(5)])
    await work_off(world)
    assert len(await told(world)) == 1
    assert chat.first_reply_at is None, "the clock of the first reply goes on"
    # In the next closure it is said again.
    async with world.work() as work:
        await work.session.execute(
            update(Conversation).values(away_told_at=now() - timedelta(days=1))
        )
    await line.tell(anonymous, wrote(line))
    await work_off(world)
    assert len(await told(world)) == 2


async def test_nobody_is_told_by_day_or_where_somebody_answers(
    world: World, line: Line, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await owner.put(URL, json=ALWAYS)
    await line.tell(anonymous, wrote(line))
    assert await work_off(world) == 0
    await owner.put(URL, json=closed_now() | {"is_away_told": False})
    await line.tell(anonymous, wrote(line))
    assert await work_off(world) == 0
    # The number's own hours win over those of all others.
    await owner.put(URL, json=closed_now())
    await owner.put(URL, json=ALWAYS | {"number_id": str(line.id)})
    await line.tell(anonymous, wrote(line))
    assert await work_off(world) == 0
    await owner.put(URL, json=closed_now() | {"number_id": str(line.id)})
    async with world.work() as work:
        chat = (await work.session.scalars(select(Conversation))).one()
        work.session.add(
            Message(
                conversation_id=chat.id, number_id=chat.number_id, contact_id=chat.contact_id,
                direction="out", author="phone_app", kind="text", text="Estou aqui!",
                status="sent", wamid="wamid.phone", provider_at=now(),
            )
        )  # fmt: skip
    await line.tell(anonymous, wrote(line))
    assert await work_off(world) == 1
    assert await told(world) == []


async def test_clocks_run_in_open_time_where_they_pause(
    world: World, owner: httpx.AsyncClient
) -> None:
    minutes = {"first_reply_minutes": 30, "resolution_minutes": 60}
    body = {"strategy": "manual", "capacity": 5, **minutes}
    assert (await owner.put("/api/v1/assignment-settings", json=body)).is_success
    hours = closed_now()
    dues = []
    for pauses in (False, True):
        assert (await owner.put(URL, json=hours | {"clocks_pause": pauses})).is_success
        chat = await make_chat(world)
        payload = {"conversation_id": str(chat.id)}
        await opened(JobContext(world.runtime, world.work, world.tenant.id, payload, 1))
        row = await chat.row()
        assert row.first_reply_due_at is not None
        assert row.resolution_due_at is not None
        dues.append((row.first_reply_due_at, row.resolution_due_at, row.created_at))
    first, resolved, began = dues[0]
    assert (first - began, resolved - began) == (timedelta(minutes=30), timedelta(minutes=60))
    schedule = Schedule.from_rows(hours["timezone"], hours["hours"], [])
    opening = next_opening(schedule, dues[1][2])
    assert opening is not None
    assert dues[1][:2] == (opening + timedelta(minutes=30), opening + timedelta(minutes=60))


SHOP = Schedule(
    "America/Sao_Paulo",
    (
        *(WeeklyInterval.of(day, "09:00", "18:00") for day in range(5)),
        WeeklyInterval.of(5, "22:00", "02:00"),
    ),
)


def local(day: int, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ((23, "10:00"), 2, (23, "12:00")),
        ((23, "17:00"), 2, (24, "10:00")),
        ((23, "17:00"), 1, (23, "18:00")),
        ((22, "03:00"), 1, (23, "10:00")),
        ((27, "17:30"), 2, (28, "23:30")),
        ((28, "23:30"), 3, (30, "09:30")),
    ],
)
def test_open_time_passes_when_it_is_open(
    start: tuple[int, str], hours: int, due: tuple[int, str]
) -> None:
    assert after_open_time(SHOP, local(*start), timedelta(hours=hours)) == local(*due)


INSTANTS = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
ZONES = st.sampled_from(["America/Sao_Paulo", "America/New_York", "Europe/Lisbon"])
INTERVALS = st.builds(
    lambda day, opens, span: WeeklyInterval.of(
        day, f"{opens // 60:02}:{opens % 60:02}",
        f"{(opens + span) % 1440 // 60:02}:{(opens + span) % 60:02}",
    ),
    st.integers(0, 6), st.integers(0, 1439), st.integers(30, 600),
)  # fmt: skip
SCHEDULES = st.builds(lambda zone, weekly: Schedule(zone, tuple(weekly)), ZONES,
                      st.lists(INTERVALS, max_size=5))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(schedule=SCHEDULES, at=INSTANTS, minutes=st.integers(1, 900))
def test_open_time_is_counted_minute_by_minute(
    schedule: Schedule, at: datetime, minutes: int
) -> None:
    """Through clock changes, past midnight, over touching and overlapping intervals."""
    due = after_open_time(schedule, at, timedelta(minutes=minutes))
    if due is None:
        return
    if due - at > timedelta(days=4):
        return
    span = int((due - at) / timedelta(minutes=1))
    counted = sum(is_open(schedule, at + timedelta(minutes=n)) for n in range(span))
    assert counted == minutes
    assert is_open(schedule, due - timedelta(minutes=1)), "it ends while open, or as it closes"


@settings(max_examples=150, deadline=None)
@given(schedule=SCHEDULES, at=INSTANTS)
def test_a_closure_began_when_it_was_open_last(schedule: Schedule, at: datetime) -> None:
    since = last_closing(schedule, at)
    if is_open(schedule, at):
        assert since is None
    elif since is not None:
        assert since <= at
        assert not is_open(schedule, since)
        assert is_open(schedule, since - timedelta(minutes=1))
        between = int((at - since) / timedelta(minutes=1))
        steps = range(0, between, max(1, between // 200))
        assert not any(is_open(schedule, since + timedelta(minutes=n)) for n in steps)


def test_what_is_said_names_when_somebody_is_back() -> None:
    at, zone = local(23, "20:00"), "America/Sao_Paulo"
    words = [opening_text(local(*when), at, "pt", zone)
             for when in ((23, "22:00"), (24, "09:00"), (28, "22:00"))]  # fmt: skip
    assert words == ["hoje às 22:00", "amanhã às 09:00", "sábado, 28/11, às 22:00"]
    english = opening_text(local(28, "22:00"), at, "en", zone)
    assert english == "on Saturday, 28 Nov, at 22:00"
    assert away_text(None, None, at, "Ana", "pt", zone).endswith("Voltamos em breve.")
    named = away_text("{{customer_name}}? {{outra}}", None, at, " Ana \n Souza", "pt", zone)
    assert named == "Ana Souza? {{outra}}"
