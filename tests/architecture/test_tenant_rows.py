"""Two tenants have a row in every table; whatever one tries on the other's changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import ForeignKeyConstraint, Table

from app.core.database import RawConnection, begun, raw
from app.kernel.work import Runtime
from tests.architecture.conftest import Owner
from tests.architecture.rows import (
    TENANT_TABLES,
    ancestry,
    insert,
    is_child_once,
    own_column,
    references,
    row_of,
)
from tests.architecture.test_tables import READABLE_OF_QUEUE
from tests.factories.tenants import World, make_world

pytestmark = pytest.mark.usefixtures("clean_pool")

EACH = pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
REFERENCES = [(table, key) for table in TENANT_TABLES for key in references(table)]


@dataclass
class Filled:
    """Two tenants, the id of a row of each in every table, and a tenant without rows."""

    a: World
    b: World
    empty: World
    rows: dict[str, dict[str, UUID]] = field(default_factory=dict)

    def of(self, world: World) -> dict[str, UUID]:
        return self.rows[str(world.tenant.id)]


@pytest.fixture(scope="module")
async def filled(runtime_: Runtime, owner_sql: Owner) -> Filled:
    found = Filled(
        await make_world(runtime_), await make_world(runtime_), await make_world(runtime_)
    )
    for world in (found.a, found.b):
        ids = found.rows[str(world.tenant.id)] = {}
        async with (
            owner_sql.transaction()
        ):  # triggers that write rows of their own wait for its end
            for table in TENANT_TABLES:
                values = {"tenant_id": world.tenant.id, **row_of(table, ids)}
                await owner_sql.execute(insert(table, values), *values.values())
                ids[table.name] = values["id"]
    return found


@pytest.fixture(scope="module")
def runtime_(app: Any) -> Runtime:
    runtime: Runtime = app.runtime
    return runtime


@asynccontextmanager
async def acting(runtime: Runtime, world: World) -> AsyncIterator[RawConnection]:
    """The driver under a transaction of this tenant, from the product's own pool; undone."""
    async with runtime.database.tenant_session(world.tenant.id) as session:
        yield await raw(session)


@asynccontextmanager
async def nobody(runtime: Runtime) -> AsyncIterator[RawConnection]:
    """The same pool, and a transaction that was opened without naming a tenant; undone."""
    async with runtime.database.tenant_engine.connect() as connection:
        yield await begun(connection)


async def _count(driver: Any, table: Table, tenant_id: UUID | None = None) -> int:
    condition = f" WHERE tenant_id = '{tenant_id}'" if tenant_id else ""
    found: int = await driver.fetchval(f'SELECT count(*) FROM "{table.name}"{condition}')  # noqa: S608
    return found


@EACH
async def test_without_a_tenant_there_is_nothing(
    runtime: Runtime, filled: Filled, owner_sql: Owner, table: Table
) -> None:
    assert await _count(owner_sql, table, filled.a.tenant.id) >= 1
    assert await _count(owner_sql, table, filled.b.tenant.id) >= 1
    async with nobody(runtime) as driver:
        assert await _count(driver, table) == 0


@EACH
async def test_a_tenant_sees_its_own_rows_alone(
    runtime: Runtime, filled: Filled, owner_sql: Owner, table: Table
) -> None:
    own = await _count(owner_sql, table, filled.a.tenant.id)
    async with acting(runtime, filled.a) as driver:
        assert await _count(driver, table) == own
        assert await _count(driver, table, filled.b.tenant.id) == 0


@EACH
async def test_without_a_tenant_nothing_is_written(
    runtime: Runtime, filled: Filled, table: Table
) -> None:
    values = row_of(table, filled.of(filled.a))
    async with nobody(runtime) as driver:
        with pytest.raises((asyncpg.NotNullViolationError, asyncpg.InsufficientPrivilegeError)):
            await driver.execute(insert(table, values), *values.values())
    values["tenant_id"] = filled.a.tenant.id
    async with nobody(runtime) as driver:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await driver.execute(insert(table, values), *values.values())


@EACH
async def test_a_tenant_writes_its_own_row(runtime: Runtime, filled: Filled, table: Table) -> None:
    """The counter-check: the same row is refused above for its scope, and for nothing else."""
    ids: dict[str, UUID] = {}
    async with acting(runtime, filled.empty) as driver:
        for one in ancestry(table):
            values = row_of(one, ids)
            await driver.execute(insert(one, values), *values.values())
            ids[one.name] = values["id"]
        scope = await driver.fetchval(
            f'SELECT tenant_id FROM "{table.name}" WHERE id = $1',  # noqa: S608
            ids[table.name],
        )
        assert scope == filled.empty.tenant.id


@EACH
async def test_a_tenant_writes_no_row_of_another(
    runtime: Runtime, filled: Filled, table: Table
) -> None:
    values = {"tenant_id": filled.b.tenant.id, **row_of(table, filled.of(filled.b))}
    async with acting(runtime, filled.a) as driver:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await driver.execute(insert(table, values), *values.values())


@EACH
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
async def test_a_tenant_changes_no_row_of_another(
    runtime: Runtime, filled: Filled, owner_sql: Owner, table: Table, verb: str
) -> None:
    statement = {
        "UPDATE": f'UPDATE "{table.name}" SET created_at = now() WHERE tenant_id = $1',  # noqa: S608
        "DELETE": f'DELETE FROM "{table.name}" WHERE tenant_id = $1',  # noqa: S608
    }[verb]
    before = await _count(owner_sql, table, filled.b.tenant.id)
    may = await owner_sql.fetchval(
        "SELECT has_table_privilege('app_tenant', $1, $2)", table.name, verb
    )
    async with acting(runtime, filled.a) as driver:
        if may:
            assert await driver.execute(statement, filled.b.tenant.id) == f"{verb} 0"
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await driver.execute(statement, filled.a.tenant.id)
    assert await _count(owner_sql, table, filled.b.tenant.id) == before


@EACH
async def test_a_tenant_gives_no_row_away(runtime: Runtime, filled: Filled, table: Table) -> None:
    async with acting(runtime, filled.a) as driver:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await driver.execute(
                f'UPDATE "{table.name}" SET tenant_id = $1 WHERE id = $2',  # noqa: S608
                filled.b.tenant.id,
                filled.of(filled.a)[table.name],
            )
    assert refused.value.sqlstate == "42501"


@EACH
@pytest.mark.parametrize("statement", ["TRUNCATE {}", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY"])
async def test_a_tenant_does_not_touch_the_table_itself(
    runtime: Runtime, filled: Filled, table: Table, statement: str
) -> None:
    async with acting(runtime, filled.a) as driver:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await driver.execute(statement.format(f'"{table.name}"'))


@pytest.mark.parametrize(
    ("table", "key"), REFERENCES, ids=[f"{t.name}.{own_column(k)}" for t, k in REFERENCES]
)
async def test_a_row_refers_to_no_row_of_another_tenant(
    runtime: Runtime, filled: Filled, owner_sql: Owner, table: Table, key: ForeignKeyConstraint
) -> None:
    """Foreign keys are checked past row level security: only the composite key refuses."""
    foreign = filled.of(filled.b)[key.referred_table.name]
    values = row_of(table, filled.of(filled.a)) | {own_column(key): foreign}
    if is_child_once(table, key):
        # A second row of the same parent is refused before anybody looks at the key.
        statement = f'UPDATE "{table.name}" SET "{own_column(key)}" = $1 WHERE id = $2'  # noqa: S608
        mine = filled.of(filled.a)[table.name]
        async with acting(runtime, filled.a) as driver:
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await driver.execute(statement, foreign, mine)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await owner_sql.execute(statement, foreign, mine)
        return
    async with acting(runtime, filled.a) as driver:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await driver.execute(insert(table, values), *values.values())
    values["tenant_id"] = filled.a.tenant.id
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await owner_sql.execute(insert(table, values), *values.values())


async def test_a_tenant_reads_no_system_table(runtime: Runtime, filled: Filled) -> None:
    for name in ("tenants", "job_deliveries", "pgqueuer_log", "pgqueuer_schedules"):
        async with acting(runtime, filled.a) as driver:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await driver.fetch(f'SELECT * FROM "{name}"')  # noqa: S608


async def test_enqueueing_is_all_a_tenant_may_do_with_the_queue(
    runtime: Runtime, filled: Filled, owner_sql: Owner
) -> None:
    async with filled.b.work() as work:
        work.enqueue("architecture.probe", {"secret": "of b"}, dedupe_key="once")
    async with filled.b.work() as work:
        work.enqueue("architecture.probe", {"secret": "again"}, dedupe_key="once")
    jobs = await owner_sql.fetch("SELECT * FROM pgqueuer WHERE entrypoint = 'architecture.probe'")
    assert [b"of b" in job["payload"] for job in jobs] == [True], "enqueued, and once"
    refused = [
        "SELECT payload FROM pgqueuer",
        "SELECT headers FROM pgqueuer",
        "SELECT * FROM pgqueuer",
        "SELECT * FROM pgqueuer_statistics",
        "UPDATE pgqueuer SET payload = NULL",
        "DELETE FROM pgqueuer",
        "SELECT id FROM pgqueuer FOR UPDATE",
        "TRUNCATE pgqueuer",
    ]
    for statement in refused:
        async with acting(runtime, filled.a) as driver:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await driver.execute(statement)
    async with acting(runtime, filled.a) as driver:
        await driver.fetch(f"SELECT {', '.join(sorted(READABLE_OF_QUEUE))} FROM pgqueuer")  # noqa: S608
    await owner_sql.execute("DELETE FROM pgqueuer WHERE entrypoint = 'architecture.probe'")


async def test_an_undone_transaction_leaves_no_tenant_behind(
    runtime: Runtime, filled: Filled
) -> None:
    for broken in ("SELECT 1 / 0", "SELECT 1"):
        async with runtime.database.tenant_session(filled.a.tenant.id) as session:
            driver = await raw(session)
            if broken.endswith("0"):
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await driver.execute(broken)
            else:
                await driver.execute(broken)
                await session.commit()
        async with nobody(runtime) as driver:
            assert await driver.fetchval("SELECT count(*) FROM users") == 0


async def test_a_deleted_tenant_leaves_no_row(runtime: Runtime, owner_sql: Owner) -> None:
    """Also of the tables that no foreign key ties to ``tenants`` itself."""
    world = await make_world(runtime)
    ids: dict[str, UUID] = {}
    async with owner_sql.transaction():
        for table in TENANT_TABLES:
            values = {"tenant_id": world.tenant.id, **row_of(table, ids)}
            await owner_sql.execute(insert(table, values), *values.values())
            ids[table.name] = values["id"]
    async with owner_sql.transaction():
        await owner_sql.execute("SET CONSTRAINTS ALL DEFERRED")
        await owner_sql.execute("DELETE FROM tenants WHERE id = $1", world.tenant.id)
    for table in TENANT_TABLES:
        assert await _count(owner_sql, table, world.tenant.id) == 0, table.name
