"""Runs jobs on PgQueuer: delivery counts, tenant fairness, retries, a supervisor, a sweep.

The eight rules of DESIGN §9 live here and in ``UnitOfWork.enqueue``; each has a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from app.contracts.platform import JobHeld
from app.core.ids import new_id
from app.kernel.jobs.places import Place, Places
from app.kernel.telling import JOBS, NOTICE_FAN_OUT
from app.kernel.tenancy import UnknownTenant
from app.kernel.work import Actor, Runtime, WorkFactory, unit_of_work

log = logging.getLogger(__name__)

MAX_DELIVERIES = 8
"""A job delivered more often than this is held for a person to look at."""
_BACKOFF_S = (1, 5, 30, 120, 600, 1800, 3600)
_HEARTBEAT_S = 60.0
_POLL = timedelta(seconds=1)
"""New jobs ring; one handed back for later does not, and waits for the next look."""
_SWEEP_S = 60.0
_BEAT_S = 1.0


class RetryLater(Exception):
    """Raise in a handler to be run again after ``seconds`` without counting as a failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler gets: its own Works for the job's tenant, and the ids it was queued with."""

    runtime: Runtime
    works: WorkFactory
    tenant_id: UUID
    payload: dict[str, Any]
    delivery: int
    """1 for the first; a higher number says an earlier delivery may have got half-way."""
    place: Place = field(default_factory=Place)
    """Among the jobs that run; to be left while this one only waits for a vendor."""


_UNTRACED = nullcontext()

Handler = Callable[[JobContext], Awaitable[None]]
Beat = Callable[[Runtime], Awaitable[object]]
"""What to do every second in each process that runs jobs."""

# Its own committed statement: a worker that dies during the work leaves the count behind.
_COUNT = """
INSERT INTO job_deliveries (id, job_id, tenant_id, entrypoint) VALUES ($1, $2, $3, $4)
ON CONFLICT (job_id) DO UPDATE SET deliveries = job_deliveries.deliveries + 1, updated_at = now()
RETURNING deliveries
"""
_FAILED = "UPDATE job_deliveries SET last_error = $2, updated_at = now() WHERE job_id = $1"
_FORGET = "DELETE FROM job_deliveries WHERE job_id = $1"

# A job is held by rule 4 or not at all: PgQueuer also holds what it could not hand back while
# the database was away. Without its dedupe key, or a twin queued meanwhile would refuse it.
_REQUEUE = """
UPDATE pgqueuer q SET status = 'queued', execute_after = now(), updated = now(), dedupe_key = NULL
WHERE q.status = 'failed'
  AND coalesce((SELECT d.deliveries FROM job_deliveries d WHERE d.job_id = q.id), 0) < $1
"""
# Counts outlive their jobs until here: forgetting each one at its end would cost every job a trip,
# and a crash right after it would deliver the job again as if for the first time.
_ORPHANS = """
DELETE FROM job_deliveries WHERE id IN (
  SELECT d.id FROM job_deliveries d
  WHERE NOT EXISTS (SELECT FROM pgqueuer q WHERE q.id = d.job_id)
  LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
# PgQueuer folds its log into statistics and never deletes from either.
_OLD_LOG = """
DELETE FROM pgqueuer_log WHERE id IN (
  SELECT id FROM pgqueuer_log WHERE aggregated AND created < now() - interval '7 days'
  ORDER BY created LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
_OLD_STATISTICS = """
DELETE FROM pgqueuer_statistics WHERE id IN (
  SELECT id FROM pgqueuer_statistics WHERE created < now() - interval '90 days'
  ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
"""
# What PgQueuer's trigger would send with every insert. A commit that notifies holds a lock of the
# whole cluster over its flush, so all of them would stand in one line: 850 orders a second at most.
# Instead whoever enqueues rings a bell after the commit, and the worker that hears it notifies.
_NOTIFY = """
SELECT pg_notify('ch_pgqueuer', json_build_object('channel', 'ch_pgqueuer', 'operation', 'insert',
  'sent_at', now(), 'table', 'pgqueuer', 'type', 'table_changed_event')::text)
"""
_WAKE_S = 0.005
"""So long a bell waits for more: a burst is one look at the queue."""
_SWEEP_ROWS = 20_000
"""Most rows that one sweep deletes of a kind: short locks, and still 28 million a day."""
_PLATFORM = "SELECT id FROM tenants WHERE is_super_admin"
_NOTICES = NOTICE_FAN_OUT.rpartition(".")[0]


class Held(Exception):
    """The job waits for a person; PgQueuer keeps it with status ``failed``."""


class _Driver(AsyncpgPoolDriver):
    """Says at once when the LISTEN connection is lost; PgQueuer's own probe takes up to 20 s."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], on_lost: Callable[[], None]) -> None:
        super().__init__(pool)
        self._on_lost = on_lost

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        if self._listener_connection is not None:
            self._listener_connection.add_termination_listener(lambda _: self._on_lost())


class Worker:
    """One runner per process, restarted in process when its listener or connection dies."""

    def __init__(
        self,
        runtime: Runtime,
        handlers: dict[str, Handler],
        *,
        heartbeat_timeout_s: float = _HEARTBEAT_S,
        max_deliveries: int = MAX_DELIVERIES,
        beats: Sequence[Beat] = (),
    ) -> None:
        self._runtime, self._handlers = runtime, handlers
        self._concurrency = runtime.settings.worker_concurrency
        self._heartbeat = timedelta(seconds=heartbeat_timeout_s)
        self._max_deliveries = max_deliveries
        self._beats = beats
        self._beating: list[asyncio.Task[None]] = []
        self._places = Places(self._concurrency, self._system, self._wake)
        self._task: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._manager: QueueManager | None = None
        self._waking: asyncio.Task[None] | None = None
        self._rung = False
        self._stopping = False

    async def start(self) -> None:
        """Begin to take jobs; returns at once."""
        self._runtime.bus.listen(JOBS, self._wake)
        self._task = asyncio.create_task(self._supervise(), name="worker")
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="worker-sweep")
        # A task each: a slow one does not hold up the others.
        self._beating = [
            asyncio.create_task(self._beat_forever(beat), name="worker-beat")
            for beat in self._beats
        ]

    async def stop(self, patience_s: float = 10.0) -> None:
        """Finish what runs, take nothing new; what is not done in time is delivered again."""
        self._stopping = True
        with contextlib.suppress(ValueError):  # stopped before
            self._runtime.bus.unlisten(JOBS, self._wake)
        for task in (self._sweeper, self._waking, *self._beating):
            if task is not None:
                task.cancel()
        if self._manager is not None:
            self._manager.shutdown.set()
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, patience_s)
            except TimeoutError:
                log.warning("worker.cut", extra={"patience_s": patience_s})
            except asyncio.CancelledError:
                pass

    async def wait(self) -> None:
        """Until the worker stops; for a process that does nothing else."""
        if self._task is not None:
            await self._task

    async def sweep(self) -> None:
        """Put back what only a lost connection held; delete old log rows and spent counts."""
        await self._system(_REQUEUE, self._max_deliveries)
        for statement in (_ORPHANS, _OLD_LOG, _OLD_STATISTICS):
            await self._system(statement, _SWEEP_ROWS)

    def _wake(self, key: str) -> None:
        """A bell: there are new jobs. A lost one costs at most the time between two looks."""
        self._rung = True
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._notify(), name="worker-wake")

    async def _notify(self) -> None:
        while self._rung:
            self._rung = False
            await asyncio.sleep(_WAKE_S)
            await self._system(_NOTIFY)

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("worker.sweep_failed")
            await asyncio.sleep(_SWEEP_S)

    async def _beat_forever(self, beat: Beat) -> None:
        while True:
            try:
                await beat(self._runtime)
            except Exception:
                log.exception("worker.beat_failed")
            await asyncio.sleep(_BEAT_S)

    async def _supervise(self) -> None:
        delay = 0.5
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._run()
            except Exception:
                # PgQueuer stops when its LISTEN connection dies (rule 5): begin again.
                log.exception("worker.restarts", extra={"in_s": delay})
            if not self._stopping:
                await asyncio.sleep(delay)
                delay = 0.5 if time.monotonic() - began > 60 else min(delay * 2, 15)

    async def _run(self) -> None:
        url = self._runtime.database.url
        pool = await asyncpg.create_pool(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            min_size=1,
            max_size=4,
            server_settings={"application_name": "largo-worker", "jit": "off"},
        )
        try:
            manager = self._manager = QueueManager(Queries(_Driver(pool, self._listener_lost)))
            for name in self._handlers:
                manager.entrypoint(name, on_failure="hold")(self._entry(name))
            if self._stopping:
                return
            await manager.run(
                dequeue_timeout=_POLL,
                # More than may run: the difference waits in Places or is handed back, so that a
                # flood is walked through quickly and whoever stands behind it is found.
                batch_size=self._concurrency * 2,
                max_concurrent_tasks=self._concurrency * 16,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=self._heartbeat,
            )
        finally:
            self._manager = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 5)

    def _listener_lost(self) -> None:
        if self._manager is not None:
            self._manager.shutdown.set()

    def _entry(self, name: str) -> Callable[[Job], Awaitable[None]]:
        async def run(job: Job) -> None:
            try:
                await self._deliver(name, job)
            except asyncio.CancelledError:
                # PgQueuer deletes a cancelled job; one that our own stop cut must come again.
                raise RetryRequested(reason="worker stopped") from None
            except Held as held:
                await self._tell_held(name, job, str(held))
                raise

        return run

    async def _deliver(self, name: str, job: Job) -> None:
        try:
            body = orjson.loads(job.payload or b"")
            tenant_id, payload = UUID(body["tenant_id"]), body["payload"]
            traceparent = body.get("traceparent")
        except (ValueError, KeyError, TypeError) as error:
            await self._count(job, None, name)
            raise Held(f"its payload cannot be read: {error}") from error
        async with self._places.place(tenant_id, job.id, job.priority) as place:
            if self._stopping:
                raise RetryRequested(reason="worker stops")
            delivery = await self._count(job, tenant_id, name)
            with self._span(name, job, tenant_id, delivery, traceparent):
                await self._handle(name, job, tenant_id, payload, delivery, place)

    def _span(
        self, name: str, job: Job, tenant_id: UUID, delivery: int, traceparent: str | None
    ) -> AbstractContextManager[None]:
        if self._runtime.spans is None:
            return _UNTRACED
        facts = {"largo.tenant_id": str(tenant_id), "largo.job_id": str(job.id)}
        return self._runtime.spans.job(name, facts, delivery, traceparent, RetryRequested)

    async def _tell_held(self, name: str, job: Job, error: str) -> None:
        """Tell those who run the platform; what carries that news is not itself told of."""
        if name.startswith(_NOTICES):
            return
        tenant_id = None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            tenant_id = UUID(orjson.loads(job.payload or b"")["tenant_id"])
        held = JobHeld(
            number=job.id,
            tenant_id=tenant_id,
            entrypoint=name,
            error=error[:300],
        )
        try:
            async with self._runtime.database.system_driver() as driver:
                platform = await driver.fetch(_PLATFORM)
            for row in platform:
                tenant = await self._runtime.tenants.by_id(row["id"])
                async with unit_of_work(self._runtime, tenant, Actor("system", "jobs")) as work:
                    work.publish(held)
        except Exception:
            log.exception("job.held_untold", extra={"job": name, "job_id": job.id})

    async def _handle(
        self,
        name: str,
        job: Job,
        tenant_id: UUID,
        payload: dict[str, Any],
        delivery: int,
        place: Place,
    ) -> None:
        runtime = self._runtime
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            actor = Actor("job", name, None, f"job-{job.id}")
            await self._handlers[name](
                JobContext(
                    runtime,
                    lambda: unit_of_work(runtime, tenant, actor),
                    tenant_id,
                    payload,
                    delivery,
                    place,
                )
            )
        except UnknownTenant:
            log.warning("job.tenant_gone", extra={"job": name, "job_id": job.id})
        except RetryLater as later:
            await self._system(_FORGET, job.id)
            raise RetryRequested(timedelta(seconds=later.seconds), reason=str(later)) from later
        except Exception as error:
            log.exception("job.failed", extra={"job": name, "job_id": job.id, "try": delivery})
            await self._system(_FAILED, job.id, f"{type(error).__name__}: {error}"[:500])
            if delivery >= self._max_deliveries:
                raise Held(f"{type(error).__name__}: {error}") from error
            wait = _BACKOFF_S[min(delivery, len(_BACKOFF_S)) - 1]
            raise RetryRequested(timedelta(seconds=wait), reason=type(error).__name__) from error

    async def _count(self, job: Job, tenant_id: UUID | None, name: str) -> int:
        try:
            async with self._runtime.database.system_driver() as driver:
                found = await driver.fetchval(_COUNT, new_id(), job.id, tenant_id, name)
        except Exception as error:
            # Nothing was done yet; a connection lost in the pool must not hold the job.
            raise RetryRequested(timedelta(seconds=1), reason=type(error).__name__) from error
        delivery = int(found)
        if delivery > self._max_deliveries:
            raise Held(f"delivered {delivery} times")
        return delivery

    async def _system(self, statement: str, *args: object) -> None:
        async with self._runtime.database.system_driver() as driver:
            await driver.execute(statement, *args)
