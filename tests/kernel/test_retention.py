"""What is old and spent goes, in small bites; what is young or still needed stays, at everybody's.

The live stream's own pruning is tested beside it (test_realtime_rules).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.kernel.retention import KEPT, ROWS, prune, prune_now_and_then
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import system

AGES = {kept.table: kept.age for kept in KEPT}


@dataclass(frozen=True)
class Log:
    """How a test writes rows: tenant, parent, label, age, state and how many."""

    table: str
    insert: str
    label: str
    """The column that holds the test's word for a row."""
    spent: str = ""
    needed: tuple[str, ...] = ()
    """States in which a row stays however old it is."""
    parent: str | None = None


IDEMPOTENCY = Log(
    "idempotency_records",
    "INSERT INTO idempotency_records "
    "(tenant_id, id, key, fingerprint, status, media_type, body, created_at) "
    "SELECT $1, gen_random_uuid(), n || gen_random_uuid()::text, '\\x00', 201, $3, "
    "convert_to($2::uuid || $5, 'UTF8'), now() - $4::interval FROM generate_series(1, $6) AS n",
    label="media_type",
)
LOGS = (
    IDEMPOTENCY,
    Log(
        "webhook_deliveries",
        "INSERT INTO webhook_deliveries "
        "(tenant_id, id, endpoint_id, event_id, type, payload, state, created_at) "
        "SELECT $1, gen_random_uuid(), $2, gen_random_uuid(), $3, '{}', $5, now() - $4::interval "
        "FROM generate_series(1, $6)",
        label="type",
        spent="failed",
        needed=("pending",),
        parent="INSERT INTO webhook_endpoints (tenant_id, id, url, events, secret) "
        "VALUES ($1, $2, 'https://erp.example/ganchos', '{*}', 'x')",
    ),
    Log(
        "notices",
        "INSERT INTO notices (tenant_id, id, user_id, event_id, kind, title, body, created_at) "
        "SELECT $1, gen_random_uuid(), $2, gen_random_uuid(), 'tests', $3, coalesce($5, ''), "
        "now() - $4::interval FROM generate_series(1, $6)",
        label="title",
        parent="INSERT INTO users (tenant_id, id, email, name, password_hash, role) "
        "VALUES ($1, $2, $2::uuid || '@loja.example', 'Ana', '!', 'viewer')",
    ),
    Log(
        "schedule_runs",
        "INSERT INTO schedule_runs "
        "(tenant_id, id, schedule_id, tick, reason, state, created_at, ended_at) "
        "SELECT $1, gen_random_uuid(), $2, now() - random() * interval '9 years', $3, $5, "
        "now() - $4::interval, CASE WHEN $5 <> ALL ('{waiting,queued,running,cancelling}') "
        "THEN now() END FROM generate_series(1, $6)",
        label="reason",
        spent="skipped",
        needed=("waiting", "queued", "running", "cancelling"),
        parent="INSERT INTO schedules "
        "(tenant_id, id, name, cron, timezone, entrypoint, decided_until) "
        "VALUES ($1, $2, 'n', '0 7 * * *', 'UTC', 'tests.none', now())",
    ),
)
each_log = pytest.mark.parametrize("log", LOGS, ids=[log.table for log in LOGS])


class Rows:
    """The rows of one log at one tenant, with the test's words for them."""

    def __init__(self, world: World, log: Log, parent: UUID) -> None:
        self.world, self.log, self.parent = world, log, parent

    @classmethod
    async def of(cls, world: World, log: Log) -> Rows:
        parent = new_id()
        if log.parent is not None:
            await system(world.runtime, log.parent, world.tenant.id, parent)
        return cls(world, log, parent)

    async def add(self, label: str, ages: float, state: str | None = None, many: int = 1) -> None:
        """``ages`` is how old they are, in times of what the log keeps."""
        state = self.log.spent if state is None else state
        age = AGES[self.log.table] * ages
        await system(
            self.world.runtime,
            self.log.insert,
            self.world.tenant.id,
            self.parent,
            label,
            age,
            state,
            many,
        )

    async def labels(self) -> list[str]:
        rows = await system(
            self.world.runtime,
            f"SELECT {self.log.label} AS label FROM {self.log.table} "  # noqa: S608 - constants
            "WHERE tenant_id = $1 ORDER BY 1",
            self.world.tenant.id,
        )
        return [row["label"] for row in rows]


@each_log
async def test_old_goes_young_stays_and_needed_stays_however_old(
    world: World, stranger: World, runtime: Runtime, log: Log
) -> None:
    here, there = await Rows.of(world, log), await Rows.of(stranger, log)
    await here.add("old", 1.01)
    await here.add("young", 0.99)
    await there.add("young", 0.5)
    for state in log.needed:
        await here.add("needed", 9, state)
    deleted = await prune(runtime)
    assert deleted[log.table] >= 1
    assert await here.labels() == ["needed"] * len(log.needed) + ["young"]
    assert await there.labels() == ["young"]
    assert (await prune(runtime))[log.table] == 0


@each_log
async def test_a_row_that_somebody_holds_is_left_for_the_next_time(
    world: World, runtime: Runtime, log: Log
) -> None:
    rows = await Rows.of(world, log)
    await rows.add("held", 2)
    await rows.add("old", 2)
    async with runtime.database.system_driver() as driver, asyncio.timeout(5):
        transaction = driver.transaction()
        await transaction.start()
        await driver.execute(
            f"SELECT FROM {log.table} WHERE tenant_id = $1 AND {log.label} = 'held' FOR UPDATE",
            world.tenant.id,
        )
        await prune(runtime)
        assert await rows.labels() == ["held"]
        await transaction.rollback()
    await prune(runtime)
    assert await rows.labels() == []


_COUNT_BITES = """
CREATE TABLE bites (rows bigint);
CREATE FUNCTION note_bite() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO bites SELECT count(*) FROM gone; RETURN NULL; END $$;
CREATE TRIGGER bites AFTER DELETE ON idempotency_records REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION note_bite()
"""
_NO_MORE = """
DROP TRIGGER bites ON idempotency_records; DROP FUNCTION note_bite(); DROP TABLE bites
"""


async def test_much_goes_in_bites_of_a_statement_each(world: World, runtime: Runtime) -> None:
    rows = await Rows.of(world, IDEMPOTENCY)
    await prune(runtime)
    await rows.add("old", 2, many=2 * ROWS + 7)
    await rows.add("young", 0.5, many=3)
    async with runtime.database.system_driver() as driver:
        await driver.execute(_COUNT_BITES)
    try:
        deleted = await prune(runtime)
        found = await system(runtime, "SELECT rows FROM bites")
    finally:
        async with runtime.database.system_driver() as driver:
            await driver.execute(_NO_MORE)
    assert [row["rows"] for row in found] == [ROWS, ROWS, 7]
    assert deleted["idempotency_records"] == 2 * ROWS + 7
    assert await rows.labels() == ["young"] * 3


async def test_the_beat_prunes_now_and_then_and_not_every_second(
    world: World, runtime: Runtime
) -> None:
    rows = await Rows.of(world, IDEMPOTENCY)
    runtime.caches.pop("retention.next", None)
    await rows.add("old", 2)
    await prune_now_and_then(runtime)
    assert await rows.labels() == []
    await rows.add("old", 2)
    await prune_now_and_then(runtime)
    assert await rows.labels() == ["old"], "ten minutes have not passed"
