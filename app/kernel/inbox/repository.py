"""Queries over received notices (a system table) and the receipts of their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import orjson
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import RawConnection, raw
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.inbox.models import DONE, InboxMessage, InboxReceipt
from app.kernel.inbox.problems import InboxMessageNotFound
from app.kernel.inbox.schemas import MessageFilter


@dataclass(frozen=True, slots=True)
class Taken:
    """A stored message that is being processed."""

    id: UUID
    provider: str
    event_id: str
    type: str
    body: bytes
    headers: Mapping[str, str]


class KeptFor(Protocol):
    """Whose a row is, and what is kept beside the body."""

    @property
    def tenant_id(self) -> UUID | None: ...
    @property
    def type(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class MessageRepository(Repository[InboxMessage]):
    """Takes a system session."""

    model = InboxMessage
    missing = InboxMessageNotFound

    async def add_once(self, fields: Mapping[str, object]) -> UUID | None:
        """Insert; None when this provider's notice is kept already."""
        return await self.session.scalar(
            insert(InboxMessage)
            .values(id=new_id(), **fields)
            .on_conflict_do_nothing(index_elements=["provider", "event_id"])
            .returning(InboxMessage.id)
        )

    async def matching(self, page: PageRequest, wanted: MessageFilter) -> Page[InboxMessage]:
        statement = self.query()
        if wanted.state is not None:
            statement = statement.where(InboxMessage.state == wanted.state)
        if wanted.provider is not None:
            statement = statement.where(InboxMessage.provider == wanted.provider)
        if wanted.tenant_id is not None:
            statement = statement.where(InboxMessage.tenant_id == wanted.tenant_id)
        return await self.page(statement, page)

    async def forget(self, done_before: datetime, any_before: datetime, limit: int) -> int:
        """Delete old messages and their receipts; how many messages went."""
        old = (
            select(InboxMessage.id)
            .where(
                ((InboxMessage.state == DONE) & (InboxMessage.created_at < done_before))
                | (InboxMessage.created_at < any_before)
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        gone = (
            await self.session.scalars(
                delete(InboxMessage).where(InboxMessage.id.in_(old)).returning(InboxMessage.id)
            )
        ).all()
        if gone:
            await self.session.execute(delete(InboxReceipt).where(InboxReceipt.id.in_(gone)))
        return len(gone)


_PRIORITY = 5
"""Before what is merely to be told: somebody wrote, or waits to see that it was read."""
_STORE = """
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[])
    AS g(id, event_id, type, tenant_id, headers)
), stored AS (
  INSERT INTO inbox_messages (id, provider, event_id, type, tenant_id, headers, body, state,
    last_error)
  SELECT id, $6, event_id, type, tenant_id, headers::jsonb, $7,
    CASE WHEN tenant_id IS NULL THEN 'unclaimed' ELSE 'pending' END,
    CASE WHEN tenant_id IS NULL THEN 'it names no tenant of ours' END
  FROM given
  ON CONFLICT (provider, event_id) DO NOTHING
  RETURNING id, tenant_id
), queued AS (
  INSERT INTO pgqueuer (entrypoint, payload, priority, execute_after, status)
  SELECT $8, convert_to(json_build_object('tenant_id', tenant_id,
    'payload', json_build_object('message_id', id))::text, 'UTF8'), $9, now(), 'queued'
  FROM stored WHERE tenant_id IS NOT NULL
)
SELECT count(*) FROM stored
"""


async def store(
    driver: RawConnection,
    provider: str,
    digest: str,
    body: bytes,
    shares: Sequence[KeptFor],
    entrypoint: str,
) -> int:
    """A delivery's rows and their jobs in one statement; how many rows are new."""
    return await driver.fetchval(  # type: ignore[no-any-return]
        _STORE,
        [new_id() for _ in shares],
        [f"{digest}:{s.tenant_id.hex if s.tenant_id else 'nobody'}" for s in shares],
        [s.type for s in shares],
        [s.tenant_id for s in shares],
        [orjson.dumps(dict(s.headers)).decode() for s in shares],
        provider,
        body,
        entrypoint,
        _PRIORITY,
    )


_TAKE = """
UPDATE inbox_messages SET attempts = attempts + 1,
  state = CASE WHEN $2 THEN 'dead' ELSE state END,
  last_error = CASE WHEN $2 THEN coalesce(last_error, 'it ended the worker each time')
    ELSE last_error END
WHERE id = $1 AND state IN ('pending', 'dead')
RETURNING id, provider, event_id, type, body, headers
"""
_FAILED = "UPDATE inbox_messages SET last_error = $2 WHERE id = $1 AND state <> 'done'"
_FINISHED = """
UPDATE inbox_messages SET state = 'done', processed_at = now(), last_error = NULL WHERE id = $1
"""


async def take(driver: RawConnection, message_id: UUID, *, is_last: bool) -> Taken | None:
    """The message with one more try counted, if it waits; with ``is_last`` it is dead from now."""
    row = await driver.fetchrow(_TAKE, message_id, is_last)
    return None if row is None else Taken(**dict(row))


async def fail(driver: RawConnection, message_id: UUID, error: str) -> None:
    """Keep why a try failed."""
    await driver.execute(_FAILED, message_id, error)


async def finish(driver: RawConnection, message_id: UUID) -> None:
    """Nothing waits any more."""
    await driver.execute(_FINISHED, message_id)


_CLAIM = """
INSERT INTO inbox_receipts (id) VALUES ($1) ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id
"""


class ReceiptRepository:
    """Takes the session of the Work that has the effects."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def claim(self, message_id: UUID) -> bool:
        """Whether the message is new to this tenant; a twin waits here for our commit."""
        return await (await raw(self.session)).fetchval(_CLAIM, message_id) is not None

    async def release(self, message_id: UUID) -> None:
        """Take back what ``claim`` of this same transaction said."""
        await self.session.execute(delete(InboxReceipt).where(InboxReceipt.id == message_id))
