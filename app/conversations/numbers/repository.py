"""Queries over WhatsApp numbers and what their last day of messages looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import orjson
from sqlalchemy import select

from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.numbers.problems import NumberInUse, NumberNotFound, NumberTaken
from app.core.repository import Repository

_COUNTS = """
SELECT count(*) FILTER (WHERE direction = 'in') AS received,
       count(*) FILTER (WHERE direction = 'out' AND sent_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE direction = 'out'
         AND (delivered_at IS NOT NULL OR read_at IS NOT NULL)) AS delivered,
       count(*) FILTER (WHERE direction = 'out' AND read_at IS NOT NULL) AS read,
       count(*) FILTER (WHERE direction = 'out' AND status = 'failed') AS failed
FROM messages WHERE number_id = $1 AND provider_at > $2
"""
_ERRORS = """
SELECT coalesce(jsonb_object_agg(code, n), '{}')::text FROM (
  SELECT coalesce(error_code, 'unknown') AS code, count(*) AS n FROM messages
  WHERE number_id = $1 AND provider_at > $2 AND direction = 'out' AND status = 'failed'
  GROUP BY 1 ORDER BY 2 DESC LIMIT 20) found
"""
# The vendor counts people, over all numbers of the account, whom a template reached while they
# had not written within the day before it: the sender notes when one does (``opened_at``).
_REACHED = """
SELECT count(DISTINCT contact_id) FROM messages
WHERE number_id = ANY ($1::uuid[]) AND opened_at > $2
"""
# At most once a minute: deliveries come hundreds a second, and each would write the same row.
_HEARD = """
UPDATE whatsapp_numbers SET last_webhook_at = $2
WHERE id = $1 AND (last_webhook_at IS NULL OR last_webhook_at < $2 - interval '1 minute')
"""


@dataclass(frozen=True, slots=True)
class Day:
    """What passed over a number since an instant."""

    received: int
    sent: int
    delivered: int
    read: int
    failed: int
    errors: dict[str, int]


class NumberRepository(Repository[WhatsAppNumber]):
    model = WhatsAppNumber
    missing = NumberNotFound
    conflicts: ClassVar = {
        "whatsapp_numbers_tenant_id_phone_number_id_key": NumberTaken,
        "whatsapp_routes_phone_number_id_key": NumberTaken,
        "conversations_tenant_id_number_id_fkey": NumberInUse,
    }

    async def by_phone_id(self, phone_number_id: str) -> WhatsAppNumber | None:
        return await self.one_or_none(
            self.query().where(WhatsAppNumber.phone_number_id == phone_number_id)
        )

    async def of_waba(self, waba_id: str, *, lock: bool = False) -> Sequence[WhatsAppNumber]:
        """The account's numbers by age."""
        statement = (
            self.query().where(WhatsAppNumber.waba_id == waba_id).order_by(WhatsAppNumber.id)
        )
        return await self.all(statement.with_for_update() if lock else statement)

    async def wabas(self) -> Sequence[str]:
        """The accounts that have an active number."""
        rows = await self.session.execute(
            select(WhatsAppNumber.waba_id).where(WhatsAppNumber.is_active).distinct()
        )
        return sorted(rows.scalars())

    async def day(self, number_id: UUID, since: datetime) -> Day:
        connection = await self.raw()
        counts = await connection.fetchrow(_COUNTS, number_id, since)
        errors = orjson.loads(await connection.fetchval(_ERRORS, number_id, since))
        return Day(**dict(counts or {}), errors=errors)

    async def reached(self, number_ids: Sequence[UUID], since: datetime) -> int:
        """People whom templates reached outside their window, over these numbers."""
        found: int = await (await self.raw()).fetchval(_REACHED, list(number_ids), since)
        return found

    async def heard(self, number_id: UUID, at: datetime) -> None:
        await (await self.raw()).execute(_HEARD, number_id, at)
