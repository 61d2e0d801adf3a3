"""Two engines on one URL, and the rule that every transaction declares whose data it may see.

The tenant engine's connections start as role ``app_tenant`` (a server setting at connect), so
plans are cached per role, and a transaction declares only its tenant. That declaration rides in
the same protocol message as BEGIN: no round trip of its own (spec/kernel-facts A.4 measured a
separate one at 24 % of the requests per second). A scope is used up by the BEGIN that carries
it: a transaction begun behind the Session's back has none and sees no rows.

PgBouncer in transaction mode must be told to pass ``role`` at start-up, or give the tenant
engine a user of its own whose default role is ``app_tenant``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import QueuePool

from app.core.ddl import TENANT_ROLE

if TYPE_CHECKING:  # the stubs are generic, the class itself is not
    RawConnection = asyncpg.Connection[asyncpg.Record]
else:
    RawConnection = asyncpg.Connection


class ScopedConnection(RawConnection):
    """A driver connection whose next BEGIN also declares the tenant, in one message."""

    _next_scope: str = ""

    def declare(self, tenant_id: UUID | None) -> None:
        """Set whose rows the next transaction sees; None: nobody's."""
        # str(UUID) is hexadecimal and dashes only, so it is safe inside the literal below.
        self._next_scope = "" if tenant_id is None else str(tenant_id)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        if not args and query.startswith("BEGIN"):
            scope, self._next_scope = self._next_scope, ""
            query = f"{query.rstrip(';')}; SET LOCAL app.tenant_id = '{scope}';"
        return await super().execute(query, *args, timeout=timeout)


_PATIENCE_S = 10.0
_BY_INDEX = {"enable_seqscan": "off"}
"""For hot statements, whose every look-up has its index: a plan made while a table was small would
else be kept while it grows, those of foreign keys among them."""


def _server_settings(tenant: bool) -> dict[str, str]:
    found = {
        "application_name": "largo-tenant" if tenant else "largo-system",
        "jit": "off",
        "lock_timeout": "2000",
        "statement_timeout": "30000",
        "idle_in_transaction_session_timeout": "60000",
    }
    if tenant:
        found["role"] = TENANT_ROLE
    return found


def _replace_unfit(connection: Any, record: Any, proxy: Any) -> None:
    """Have the pool replace a connection that is closed, or not done; costs no trip.

    Closed: without it a restart of Postgres leaves the pool full of dead connections: what is
    sent past SQLAlchemy, as by ``system_driver``, fails without telling it. Not done: whoever was
    cancelled while BEGIN or COMMIT was under way may leave a transaction behind, in which the next
    one would be a savepoint, under a scope that is somebody else's.
    """
    driver = connection.driver_connection
    if driver.is_closed():
        raise DisconnectionError("closed by the server")
    if driver.is_in_transaction() or driver._top_xact is not None:
        driver.terminate()
        raise DisconnectionError("somebody's transaction has not ended")


class Drivers:
    """A few connections of the tenant role for hot single statements, the last used first.

    Neither engine nor asyncpg's pool: each would cost such a statement more than its own encoding,
    100 and 60 us for greenlets, tasks and resets that a statement without a transaction needs not.
    """

    def __init__(self, url: URL, size: int) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._places = asyncio.Semaphore(size)
        self._idle: list[RawConnection] = []
        self.size, self.used = size, 0

    @asynccontextmanager
    async def held(self) -> AsyncIterator[RawConnection]:
        """A connection outside any transaction. Raises the engines' own TimeoutError."""
        await self._take_place()
        self.used += 1
        try:
            driver = await self._open()
            try:
                yield driver
            except asyncpg.PostgresError:
                self._keep(driver)  # the statement failed, not the connection
                raise
            except BaseException:
                driver.terminate()  # perhaps in the middle of something
                raise
            self._keep(driver)
        finally:
            self.used -= 1
            self._places.release()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()  # at once: no timer is worth setting
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._places.acquire()
        except TimeoutError as error:
            raise PoolTimeout("every connection for single statements is taken") from error

    async def _open(self) -> RawConnection:
        while self._idle:
            driver = self._idle.pop()
            if not driver.is_closed():
                return driver
        settings = _server_settings(tenant=True) | _BY_INDEX
        return await asyncpg.connect(self._dsn, server_settings=settings)

    def _keep(self, driver: RawConnection) -> None:
        if not driver.is_closed():
            self._idle.append(driver)

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def close(self) -> None:
        """Close what nobody holds."""
        while self._idle:
            await self._idle.pop().close()


class Database:
    """The connections of one process; ``tenant_session`` and ``system_session`` open Sessions."""

    def __init__(self, url: str, *, pool_size: int = 12, system_pool_size: int = 5) -> None:
        self.url = make_url(url)
        self.tenant_engine = self._engine(pool_size, tenant=True)
        self.system_engine = self._engine(system_pool_size, tenant=False)
        self._drivers = Drivers(self.url, max(1, pool_size // 2))
        self._tenant_sessions = async_sessionmaker(self.tenant_engine, expire_on_commit=False)
        self._system_sessions = async_sessionmaker(self.system_engine, expire_on_commit=False)

    def _engine(self, size: int, *, tenant: bool) -> AsyncEngine:
        # pool_recycle instead of pool_pre_ping: the ping costs 43 % of a short request.
        engine = create_async_engine(
            self.url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=10,
            pool_recycle=1800,
            pool_use_lifo=True,
            connect_args={
                "connection_class": ScopedConnection,
                "server_settings": _server_settings(tenant),
            },
        )
        event.listen(engine.sync_engine, "checkout", _replace_unfit)
        return engine

    def tenant_session(self, tenant_id: UUID) -> AsyncSession:
        """A Session that sees this tenant's rows and no others."""
        return self._tenant_sessions(info={"tenant_id": tenant_id})

    def system_session(self, tenant_id: UUID | None = None) -> AsyncSession:
        """A Session of the owner: system tables and work across tenants; kernel code only.

        It sees everybody's rows. ``tenant_id`` says whose the rows are that it writes.
        """
        return self._system_sessions(info={"tenant_id": tenant_id})

    @asynccontextmanager
    async def system_driver(self) -> AsyncIterator[RawConnection]:
        """A driver connection of the owner without a transaction: one statement, one trip."""
        async with self.system_engine.connect() as connection:
            yield await _driver(connection)

    @asynccontextmanager
    async def tenant_driver(self) -> AsyncIterator[RawConnection]:
        """The same as the tenant role: it sees no row until the statement itself sets a scope.

        Nothing is left behind to reset, as a scope ends with its statement.
        """
        async with self._drivers.held() as driver:
            yield driver

    def pools(self) -> dict[str, dict[str, int]]:
        """By pool: connections in use, idle, and how many there may be."""
        found = {}
        for name, engine in (("tenant", self.tenant_engine), ("system", self.system_engine)):
            pool = engine.pool
            assert isinstance(pool, QueuePool)  # noqa: S101 - what create_async_engine makes
            found[name] = {
                "used": pool.checkedout(),
                "idle": pool.checkedin(),
                "limit": pool.size(),
            }
        few = self._drivers
        found["driver"] = {"used": few.used, "idle": few.idle, "limit": few.size}
        return found

    async def close(self) -> None:
        """Close every connection of both pools."""
        await self._drivers.close()
        await self.tenant_engine.dispose()
        await self.system_engine.dispose()


@event.listens_for(Session, "after_begin")
def _declare_scope(
    session: Session, transaction: SessionTransaction, connection: Connection
) -> None:
    if transaction.nested or "tenant_id" not in session.info:
        return
    driver: ScopedConnection = connection.connection.driver_connection  # type: ignore[assignment]
    driver.declare(session.info["tenant_id"])


async def raw(session: AsyncSession) -> RawConnection:
    """The driver connection of the Session's own open transaction.

    Begins the transaction when nothing has run yet: SQLAlchemy defers BEGIN to its first
    statement, and a statement sent before it would commit by itself (DESIGN §9, rule 1).
    """
    driver: RawConnection | None = session.info.get("driver")
    if driver is None:
        driver = session.info["driver"] = await begun(await session.connection())
    return driver


@event.listens_for(Session, "after_transaction_end")
def _forget_driver(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop("driver", None)


async def fetch_one(session: AsyncSession, statement: str, *args: Any) -> asyncpg.Record:
    """The one row of a hand-written statement that always answers one."""
    row = await (await raw(session)).fetchrow(statement, *args)
    assert row is not None, "a statement without FROM answers exactly one row"  # noqa: S101
    return row


async def begun(connection: AsyncConnection) -> RawConnection:
    """The driver connection under ``connection``, inside its transaction."""
    fairy = await connection.get_raw_connection()
    adapted: Any = fairy.dbapi_connection
    driver: RawConnection = fairy.driver_connection  # type: ignore[assignment]
    if adapted._transaction is None:
        try:
            await adapted._start_transaction()
        except BaseException:
            driver.terminate()  # SQLAlchemy does not know that it may have begun
            raise
    return driver


async def _driver(connection: AsyncConnection) -> RawConnection:
    fairy = await connection.get_raw_connection()
    driver: RawConnection = fairy.driver_connection  # type: ignore[assignment]
    return driver


class UnsafeDatabase(RuntimeError):
    """The login could bypass or cannot use row level security: the start stops."""


async def verify_isolation(database: Database) -> None:
    """Refuse to serve with a login that does not own the tables or may not become the role.

    Raises UnsafeDatabase with a sentence that says what to do.
    """
    async with database.system_engine.connect() as connection:
        driver = await begun(connection)
        exists = await driver.fetchval("SELECT to_regclass('public.tenants') IS NOT NULL")
        if not exists:
            raise UnsafeDatabase("The schema is missing: run `alembic upgrade head` first.")
        if not await driver.fetchval(
            "SELECT pg_has_role(current_user, c.relowner, 'USAGE') FROM pg_class c "
            "WHERE c.oid = 'public.tenants'::regclass"
        ):
            raise UnsafeDatabase("DATABASE_URL must log in as the owner of the tables.")
        open_tables = await driver.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' "
            "AND a.attname = 'tenant_id' AND a.attnotnull AND NOT c.relrowsecurity"
        )
        if open_tables:
            names = ", ".join(r["relname"] for r in open_tables)
            raise UnsafeDatabase(f"Row level security is off on: {names}. Run the migrations.")
    async with database.tenant_engine.connect() as connection:
        driver = await begun(connection)
        role = await driver.fetchval("SELECT current_user")
        if role != TENANT_ROLE:
            raise UnsafeDatabase(f"The login may not SET ROLE {TENANT_ROLE}: grant it.")
