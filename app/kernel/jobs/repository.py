"""Reading PgQueuer's tables for one tenant: they are system tables, so every query names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.kernel.jobs.problems import JobNotFound, JobNotHeld
from app.kernel.jobs.schemas import JobState

# Every payload begins with its tenant (UnitOfWork.enqueue): comparing that prefix spares the
# parsing of each payload, and bytes that are no JSON at all do no harm.
_OF_TENANT = "substring(q.payload FROM 1 FOR octet_length($1::bytea)) = $1::bytea"
_LIST = f"""
SELECT q.id, q.entrypoint, q.status::text AS status, q.execute_after AS due_at,
       q.created AS created_at, coalesce(d.deliveries, 0) AS deliveries, d.last_error
FROM pgqueuer q LEFT JOIN job_deliveries d ON d.job_id = q.id
WHERE {_OF_TENANT} AND q.status::text = ANY ($2::text[]) AND ($3::bigint IS NULL OR q.id < $3)
ORDER BY q.id DESC LIMIT $4
"""  # noqa: S608 - the fragment is the constant above
_LOCK = f"""
SELECT q.status::text FROM pgqueuer q WHERE {_OF_TENANT} AND q.id = $2 FOR UPDATE
"""  # noqa: S608 - the fragment is the constant above
# The dedupe key goes: a twin queued meanwhile would refuse the job's return. The count goes: the
# job would be held again at once.
_RELEASE = "UPDATE pgqueuer SET dedupe_key = NULL WHERE id = $1"
_FORGET = "DELETE FROM job_deliveries WHERE job_id = $1"
_STATES: dict[str, JobState] = {"queued": "queued", "picked": "running", "failed": "held"}


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job that is not done."""

    id: int
    entrypoint: str
    state: JobState
    deliveries: int
    last_error: str | None
    due_at: datetime
    created_at: datetime


class _Driver:
    """What PgQueuer needs to run a query inside our transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def execute(self, query: str, *args: object) -> str:
        return await (await raw(self._session)).execute(query, *args)


class JobRepository:
    """Takes a system session and the tenant whose jobs it may see."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self.session = session
        self._prefix = b'{"tenant_id":"' + str(tenant_id).encode() + b'"'

    async def listed(
        self, state: JobState | None, cursor: int | None, limit: int
    ) -> Sequence[JobRow]:
        """Jobs in this state (None: in any), newest first, below ``cursor``."""
        statuses = [s for s, name in _STATES.items() if state in (None, name)]
        driver = await raw(self.session)
        return [
            JobRow(
                id=row["id"],
                entrypoint=row["entrypoint"],
                state=_STATES[row["status"]],
                deliveries=row["deliveries"],
                last_error=row["last_error"],
                due_at=row["due_at"],
                created_at=row["created_at"],
            )
            for row in await driver.fetch(_LIST, self._prefix, statuses, cursor, limit)
        ]

    async def requeue(self, job_id: int) -> None:
        """Put a held job back in line, its count forgotten. Raises JobNotFound, JobNotHeld."""
        driver = await raw(self.session)
        status = await driver.fetchval(_LOCK, self._prefix, job_id)
        if status is None:
            raise JobNotFound()
        if status != "failed":
            raise JobNotHeld(state=_STATES.get(status, status))
        await driver.execute(_RELEASE, job_id)
        await driver.execute(_FORGET, job_id)
        await Queries(_Driver(self.session)).requeue_jobs([job_id])  # type: ignore[arg-type,list-item]
