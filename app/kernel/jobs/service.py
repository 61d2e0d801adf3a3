"""Runs jobs on PgQueuer: delivery counts, tenant fairness, retries, a supervisor.

The eight rules of DESIGN §9 live here and in ``UnitOfWork.enqueue``; each has a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from app.core.ids import new_id
from app.kernel.work import Actor, Runtime, WorkFactory, unit_of_work

log = logging.getLogger(__name__)

MAX_DELIVERIES = 8
"""A job delivered more often than this is held for a person to look at."""
_BACKOFF_S = (1, 5, 30, 120, 600, 1800, 3600)
_HEARTBEAT = timedelta(seconds=60)
_DEQUEUE = timedelta(seconds=3)


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


Handler = Callable[[JobContext], Awaitable[None]]

# Its own committed statement: a worker that dies during the work leaves the count behind.
_COUNT = """
INSERT INTO job_deliveries (id, job_id, tenant_id, entrypoint) VALUES ($1, $2, $3, $4)
ON CONFLICT (job_id) DO UPDATE SET deliveries = job_deliveries.deliveries + 1, updated_at = now()
RETURNING deliveries
"""
_FAILED = "UPDATE job_deliveries SET last_error = $2, updated_at = now() WHERE job_id = $1"
_DONE = "DELETE FROM job_deliveries WHERE job_id = $1"


class Held(Exception):
    """The job was delivered too often; PgQueuer keeps it with status ``failed``."""


class Worker:
    """One runner per process, restarted in process when its listener or connection dies."""

    def __init__(self, runtime: Runtime, handlers: dict[str, Handler]) -> None:
        self._runtime, self._handlers = runtime, handlers
        self._concurrency = runtime.settings.worker_concurrency
        self._busy: Counter[UUID] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._manager: QueueManager | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to take jobs; returns at once."""
        self._task = asyncio.create_task(self._supervise(), name="worker")

    async def stop(self, patience_s: float = 10.0) -> None:
        """Finish what runs, take nothing new; what is not done in time is delivered again."""
        self._stopping = True
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

    async def _supervise(self) -> None:
        delay = 0.5
        while not self._stopping:
            try:
                await self._run()
                delay = 0.5
            except asyncio.CancelledError:
                raise
            except Exception:
                # PgQueuer stops when its LISTEN connection dies (rule 5): begin again.
                log.exception("worker.restarts", extra={"in_s": delay})
            if not self._stopping:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 15)

    async def _run(self) -> None:
        url = self._runtime.database.url
        pool = await asyncpg.create_pool(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            min_size=1,
            max_size=4,
            server_settings={"application_name": "largo-worker", "jit": "off"},
        )
        try:
            manager = self._manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))
            for name in self._handlers:
                manager.entrypoint(name, on_failure="hold")(self._entry(name))
            if self._stopping:
                return
            await manager.run(
                dequeue_timeout=_DEQUEUE,
                batch_size=max(1, self._concurrency // 2),
                max_concurrent_tasks=self._concurrency,
                shutdown_on_listener_failure=True,
                heartbeat_timeout=_HEARTBEAT,
            )
        finally:
            self._manager = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 5)

    def _entry(self, name: str) -> Callable[[Job], Awaitable[None]]:
        async def run(job: Job) -> None:
            await self._deliver(name, job)

        return run

    async def _deliver(self, name: str, job: Job) -> None:
        body = orjson.loads(job.payload or b"{}")
        tenant_id = UUID(body["tenant_id"])
        # One tenant never holds more than half of the places while another may wait (rule 7).
        if self._busy[tenant_id] >= max(1, self._concurrency // 2):
            raise RetryRequested(delay=timedelta(seconds=0.2), reason="tenant at its share")
        delivery = await self._count(job, tenant_id, name)
        self._busy[tenant_id] += 1
        try:
            await self._handle(name, job, tenant_id, body["payload"], delivery)
        finally:
            self._busy[tenant_id] -= 1
            if not self._busy[tenant_id]:
                del self._busy[tenant_id]
        await self._system(_DONE, job.id)

    async def _handle(
        self, name: str, job: Job, tenant_id: UUID, payload: dict[str, Any], delivery: int
    ) -> None:
        runtime = self._runtime
        tenant = await runtime.tenants.by_id(tenant_id)
        actor = Actor("job", name, None, f"job-{job.id}")
        context = JobContext(
            runtime, lambda: unit_of_work(runtime, tenant, actor), tenant_id, payload, delivery
        )
        try:
            await self._handlers[name](context)
        except RetryLater as later:
            await self._system(_DONE, job.id)
            raise RetryRequested(timedelta(seconds=later.seconds), reason=str(later)) from later
        except Exception as error:
            log.exception("job.failed", extra={"job": name, "job_id": job.id, "try": delivery})
            await self._system(_FAILED, job.id, f"{type(error).__name__}: {error}"[:500])
            if delivery >= MAX_DELIVERIES:
                raise
            wait = _BACKOFF_S[min(delivery, len(_BACKOFF_S)) - 1]
            raise RetryRequested(timedelta(seconds=wait), reason=type(error).__name__) from error

    async def _count(self, job: Job, tenant_id: UUID, name: str) -> int:
        async with self._runtime.database.system_driver() as driver:
            found = await driver.fetchval(_COUNT, new_id(), job.id, tenant_id, name)
        delivery = int(found)
        if delivery > MAX_DELIVERIES:
            raise Held(f"delivered {delivery} times")
        return delivery

    async def _system(self, statement: str, *args: object) -> None:
        async with self._runtime.database.system_driver() as driver:
            await driver.execute(statement, *args)
