"""Orders that arrive together are written together: one trip, one flush of the log for several.

Why: of an order's cost a third is not the order but the waking of a backend, the trip and the
commit. What arrives while a statement runs goes with the next one, so nobody waits for company:
a lone order is written at once, alone. DESIGN §9 has one tenant to a transaction; here several
follow each other in one, each under its own scope (``place_orders`` in alembic/checkout_3.sql),
and row level security binds every statement of theirs as ever.

Nobody pays for his neighbour: a statement has at most one order of a tenant, a tenant is in one
statement at a time, and when one takes long, others go on in another. Whatever fails in company
is tried again without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.database import Database, RawConnection
from app.kernel.telling import Answer, Telling
from app.kernel.work import Runtime

MOST = 8
"""Orders of one statement: more save little and make each wait for all."""
LANES = 4
"""Statements under way at a time, when they take longer than ``PATIENCE_S``; else one."""
PATIENCE_S = 0.02
_PLACE = "SELECT place_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS numbers"
_NOT_ORDINARY = "LG001"
"""What place_order raises to undo what it wrote: blocked, sold out meanwhile, or scarce now."""
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Ready:
    """An order with everything told of it, ready to be written."""

    arguments: tuple[Any, ...]
    order_id: str
    number: asyncio.Future[int | None]
    is_alone: bool = False
    """Failed in company, for whatever reason: the next time nobody shares its fate."""

    @property
    def tenant_id(self) -> UUID:
        tenant_id: UUID = self.arguments[0]
        return tenant_id

    def settle(self, number: int | None) -> None:
        if not self.number.done():
            self.number.set_result(number)


@dataclass(slots=True)
class GroupCommit:
    """The orders of one process on their way to Postgres; get it with ``group_commit``."""

    database: Database
    statements: int = 0
    """How many statements were sent, since the start."""
    _waiting: list[_Ready] = field(default_factory=list)
    _under_way: set[UUID] = field(default_factory=set)
    _lanes: set[asyncio.Task[None]] = field(default_factory=set)
    _slow: int = 0
    """Lanes whose statement takes longer than ``PATIENCE_S``."""

    async def place(
        self, telling: Telling, version: int, order: dict[str, Any], token: str, answer: Answer
    ) -> int | None:
        """Write order, events, jobs and answer, all or nothing; the order's number.

        ``token`` stands in all of them where the number belongs. None when nothing was written,
        as the prices moved on, the intent has an answer already, or the order is not an ordinary
        one. Whatever else fails is None, too: the long way asks for the intent's answer first,
        so an order that was placed after all is not placed again.
        """
        arguments = (
            telling.tenant.id,
            version,
            orjson.dumps(order).decode(),
            token,
            telling.told().decode(),
            answer.key,
            answer.fingerprint,
            answer.status,
            answer.media_type,
            answer.body.decode(),
        )
        number: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Ready(arguments, str(order["id"]), number))
        if self._slow == len(self._lanes):
            self._open_lane()
        return await number

    def _open_lane(self) -> None:
        is_free = any(ready.tenant_id not in self._under_way for ready in self._waiting)
        if is_free and len(self._lanes) < LANES:
            lane = asyncio.create_task(self._drive())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _drive(self) -> None:
        """Write what waits, group by group, until nothing does that is free to go."""
        group: list[_Ready] = []
        try:
            async with self.database.tenant_driver() as driver:
                while group := self._next_group():
                    with self._watched(group):
                        await self._write(driver, group)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, PoolTimeout) as error:
            log.warning("checkout.not_at_once", extra={"error": type(error).__name__})
            if not group:  # there is no connection to be had
                group, self._waiting = self._waiting, []
        finally:
            _settle_all(group)
            # Whoever came while this lane was ending found it still listed.
            asyncio.get_running_loop().call_soon(self._open_lane)

    @contextmanager
    def _watched(self, group: list[_Ready]) -> Iterator[None]:
        """Let others go on in another lane when this statement takes long."""
        slow = 0

        def give_way() -> None:
            nonlocal slow
            slow = 1
            self._slow += 1
            self._open_lane()

        timer = asyncio.get_running_loop().call_later(PATIENCE_S, give_way)
        try:
            yield
        finally:
            timer.cancel()
            self._slow -= slow
            self._under_way.difference_update(ready.tenant_id for ready in group)

    def _next_group(self) -> list[_Ready]:
        """The oldest orders that may go together, tenants in id order."""
        group: list[_Ready] = []
        rest: list[_Ready] = []
        for ready in self._waiting:
            is_free = ready.tenant_id not in self._under_way
            fits = not group or (len(group) < MOST and not (ready.is_alone or group[0].is_alone))
            if is_free and fits:
                self._under_way.add(ready.tenant_id)
                group.append(ready)
            else:
                rest.append(ready)
        self._waiting = rest
        return sorted(group, key=lambda ready: ready.tenant_id)

    async def _write(self, driver: RawConnection, group: list[_Ready]) -> None:
        self.statements += 1
        columns = zip(*(ready.arguments for ready in group), strict=True)
        try:
            numbers = await driver.fetchval(_PLACE, *columns)
        except asyncpg.PostgresError as error:
            self._take_apart(group, error)
        else:
            for ready, number in zip(group, numbers, strict=True):
                ready.settle(number)

    def _take_apart(self, group: list[_Ready], error: asyncpg.PostgresError) -> None:
        """Nothing of the group was written: find the one whose fault it was, or try each alone."""
        if error.sqlstate == _NOT_ORDINARY:
            found = [ready for ready in group if ready.order_id == error.detail]
            _settle_all(found)
            self._waiting[:0] = [ready for ready in group if ready not in found]
        elif len(group) > 1:
            for ready in group:
                ready.is_alone = True
            self._waiting[:0] = group
        else:
            log.warning("checkout.not_at_once", extra={"error": type(error).__name__})
            _settle_all(group)


def _settle_all(group: Iterable[_Ready]) -> None:
    for ready in group:
        ready.settle(None)


def group_commit(runtime: Runtime) -> GroupCommit:
    """The one of this process."""
    key = "checkout.group_commit"
    found: GroupCommit | None = runtime.caches.get(key)
    if found is None:
        found = runtime.caches[key] = GroupCommit(runtime.database)
    return found
