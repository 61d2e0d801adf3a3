"""Whose turn it is: even among agents, never over capacity, the oldest first; for real at once."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.contracts.conversations import ConversationAssigned
from app.conversations.inbox.assignment import AssignmentService
from app.conversations.inbox.jobs import give_to_who_came
from app.conversations.inbox.models import Conversation
from app.conversations.inbox.schemas import AssignmentCreate, AssignmentSettingPut
from app.core.clock import now
from app.kernel.audit.models import AuditEntry
from app.kernel.departments.schemas import DepartmentCreate
from app.kernel.departments.service import DepartmentService
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User
from tests.factories.conversations import make_number
from tests.factories.tenants import World

ROOT = Path(__file__).parents[2]
WORKERS, CHATS, AGENTS = 10, 140, 7


async def agents(world: World, count: int) -> list[UUID]:
    """Members who are online."""
    ids = [(await world.member("agent")).id for _ in range(count)]
    async with world.work() as work:
        await work.session.execute(
            update(User).where(User.id.in_(ids)).values(status="online", status_at=now())
        )
        await work.session.execute(
            update(UserSession).where(UserSession.user_id.in_(ids)).values(last_seen_at=now())
        )
    return ids


async def chats(world: World, count: int, department_id: UUID | None = None) -> list[UUID]:
    """Waiting ones, the oldest first."""
    number = await make_number(world)
    async with world.runtime.database.system_driver() as driver:
        contacts = await driver.fetch(
            "INSERT INTO contacts (tenant_id, id, name) SELECT $1, gen_random_uuid(), 'Ana' "
            "FROM generate_series(1, $2) RETURNING id",
            world.tenant.id,
            count,
        )
    begun = now() - timedelta(hours=1)
    async with world.work() as work:
        rows = [
            Conversation(
                contact_id=contact["id"], number_id=number, last_message_at=begun,
                waiting_since=begun + timedelta(seconds=at), department_id=department_id,
            )
            for at, contact in enumerate(contacts)
        ]  # fmt: skip
        work.session.add_all(rows)
        await work.session.flush()
        return [row.id for row in rows]


async def setting(world: World, strategy: str, capacity: int) -> None:
    async with world.work() as work:
        body = AssignmentSettingPut.model_validate({"strategy": strategy, "capacity": capacity})
        await AssignmentService(work).put(body)


async def give(world: World, limit: int) -> int:
    async with world.work() as work:
        return await AssignmentService(work).give_waiting(limit)


async def held(world: World) -> Counter[UUID | None]:
    async with world.work() as work:
        rows = await work.session.execute(
            select(Conversation.assignee_id, func.count()).group_by(Conversation.assignee_id)
        )
        return Counter({assignee: count for assignee, count in rows})


async def rush(world: World, limit: int = 3) -> None:
    async def worker() -> None:
        while await give(world, limit):
            pass

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


@pytest.mark.parametrize("strategy", ["round_robin", "least_busy"])
async def test_ten_workers_at_once_are_even(world: World, strategy: str) -> None:
    team = await agents(world, AGENTS)
    await setting(world, strategy, 1000)
    await chats(world, CHATS + 3)
    await rush(world)
    found = await held(world)
    assert set(found) == set(team), "everything was given"
    assert max(found.values()) - min(found.values()) <= 1


async def test_capacity_is_never_exceeded_and_the_oldest_goes_first(world: World) -> None:
    team = await agents(world, 3)
    await setting(world, "round_robin", 4)
    ids = await chats(world, 20)
    await rush(world)
    assert await held(world) == dict.fromkeys(team, 4) | {None: 8}
    async with world.work() as work:
        given = await work.session.scalars(
            select(Conversation.id).where(Conversation.assignee_id.is_not(None))
        )
        assert set(given) == set(ids[:12])
        first = await work.session.get(Conversation, ids[0])
        assert first is not None
        first.status = "closed"
    await rush(world)
    async with world.work() as work:
        following = await work.session.get(Conversation, ids[12])
        assert following is not None
        assert following.assignee_id is not None
    assert (await held(world))[None] == 7


async def test_nobody_offline_or_of_another_department_is_given_anything(world: World) -> None:
    [inside, outside] = await agents(world, 2)
    await world.member("agent")
    await setting(world, "round_robin", 10)
    async with world.work() as work:
        department = await DepartmentService(work).create(DepartmentCreate(name="Financeiro"))
        await DepartmentService(work).set_members(department.id, [inside])
        empty = await DepartmentService(work).create(DepartmentCreate(name="Vazio"))
    await chats(world, 30, empty.id)
    await chats(world, 4, department.id)
    await rush(world, limit=5)
    assert await held(world) == {inside: 4, None: 30}
    assert outside not in await held(world)


async def test_by_hand_and_in_turn_at_once_wait_for_each_other(world: World) -> None:
    team: Sequence[UUID] = await agents(world, 3)
    await setting(world, "least_busy", 100)
    ids = await chats(world, 40)

    async def by_hand(conversation_id: UUID, user_id: UUID) -> None:
        async with world.work() as work:
            await AssignmentService(work).assign(
                conversation_id, AssignmentCreate(assignee_id=user_id)
            )

    await asyncio.gather(
        rush(world, 2), *(by_hand(id_, team[at % 3]) for at, id_ in enumerate(ids[::4]))
    )
    found = await held(world)
    assert sum(found.values()) == 40
    assert None not in found


@pytest.mark.timeout(120)
async def test_four_processes_give_a_thousand_to_a_large_team(
    world: World, environment: dict[str, str]
) -> None:
    team = await agents(world, 120)
    await setting(world, "round_robin", 8)
    ids = await chats(world, 1000)
    command = [sys.executable, "-m", "tests.conversations.assign_runner", str(world.tenant.id)]
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    ended = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    shares = [int(said) for said, _ in ended]
    assert sum(shares) == 960, shares
    assert await held(world) == dict.fromkeys(team, 8) | {None: 40}
    async with world.work() as work:
        waiting = await work.session.scalars(
            select(Conversation.id).where(Conversation.assignee_id.is_(None))
        )
        assert set(waiting) == set(ids[960:]), "the oldest went first"
        told = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == ConversationAssigned.name)
        )
    assert told == 960, "each was given once"
    print(f"960 conversations to 120 agents by four processes: {shares}")


async def test_tenants_whose_people_are_all_away_keep_no_other_tenant_waiting(
    world: World, stranger: World
) -> None:
    away, present = sorted((world, stranger), key=lambda w: w.tenant.id)
    [left], [given] = await chats(away, 1), await chats(present, 1)
    [agent] = await agents(present, 1)
    for one in (away, present):
        async with one.work() as work:
            await AssignmentService(work).put(AssignmentSettingPut(strategy="round_robin"))
    await give_to_who_came(world.runtime, 1)
    async with away.work() as work:
        assert (await work.session.get_one(Conversation, left)).assignee_id is None
    async with present.work() as work:
        assert (await work.session.get_one(Conversation, given)).assignee_id == agent
