"""Queries over payments, refunds, and the few facts of an order that its money hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.commerce.payments.models import Payment, PaymentRefund, PaymentSettings
from app.commerce.payments.problems import PaymentNotFound, RefundNotFound
from app.commerce.payments.rules import Held
from app.core.ids import new_id
from app.core.repository import Repository

# By name: orders stand above payments and use them.
_ORDER = """
SELECT id, number, status, version, total_cents, currency, placed_at FROM orders WHERE id = $1
"""
_TOUCH = "UPDATE orders SET version = version + 1 WHERE id = $1"
_UNPAID = """
SELECT DISTINCT p.order_id FROM payments p JOIN payment_settings s ON true
JOIN orders o ON o.id = p.order_id
WHERE p.status IN ('pending', 'failed') AND p.method IN ('pix', 'stripe')
  AND p.created_at < now() - s.unpaid_minutes * interval '1 minute'
  AND p.received_cents = 0 AND p.amount_cents > 0 AND o.status = 'pending'
  AND ($1::uuid IS NULL OR p.order_id = $1) AND p.order_id > $2
ORDER BY p.order_id LIMIT 100
"""
_FIRST = UUID(int=0)
CLOSED = frozenset({"cancelled", "rejected"})


@dataclass(frozen=True, slots=True)
class OrderFacts:
    id: UUID
    number: int
    status: str
    version: int
    total_cents: int
    currency: str
    placed_at: datetime

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED


class PaymentRepository(Repository[Payment]):
    model = Payment
    missing = PaymentNotFound

    async def order(self, order_id: UUID, *, lock: bool = False) -> OrderFacts:
        """What its money hangs on; ``lock`` before any payment of it. Raises PaymentNotFound."""
        statement = f"{_ORDER} FOR NO KEY UPDATE" if lock else _ORDER
        row = await (await self.raw()).fetchrow(statement, order_id)
        if row is None:
            raise PaymentNotFound()
        return OrderFacts(**row)

    async def touch(self, order_id: UUID) -> None:
        """The order changed: whoever read it before must read it again."""
        await (await self.raw()).execute(_TOUCH, order_id)

    async def of_order(self, order_id: UUID) -> Sequence[Payment]:
        """All payments of an order, oldest first, as they stand under its lock."""
        statement = self.query().where(Payment.order_id == order_id).order_by(Payment.id)
        return await self.all(statement.execution_options(populate_existing=True))

    async def unpaid(self, order_id: UUID | None = None, after: UUID = _FIRST) -> list[UUID]:
        """Pending orders whose time to be paid is over, 100 beyond ``after``; or this one."""
        rows = await (await self.raw()).fetch(_UNPAID, order_id, after)
        return [row["order_id"] for row in rows]


class RefundRepository(Repository[PaymentRefund]):
    model = PaymentRefund
    missing = RefundNotFound

    async def of_order(self, order_id: UUID) -> Sequence[PaymentRefund]:
        statement = self.query().where(PaymentRefund.order_id == order_id)
        return await self.all(statement.order_by(PaymentRefund.id))

    async def by_ref(self, provider_ref: str) -> PaymentRefund | None:
        return await self.one_or_none(
            self.query().where(PaymentRefund.provider_ref == provider_ref).limit(1)
        )

    async def held(self, payments: Sequence[Payment]) -> list[Held]:
        """The money of these payments, what goes back included unless that failed."""
        statement = (
            select(PaymentRefund.payment_id, func.sum(PaymentRefund.amount_cents))
            .where(
                PaymentRefund.payment_id.in_([p.id for p in payments]),
                PaymentRefund.status != "failed",
            )
            .group_by(PaymentRefund.payment_id)
        )
        returned = {row[0]: int(row[1]) for row in await self.session.execute(statement)}
        return [Held(p.id, p.received_cents, returned.get(p.id, 0)) for p in payments]


class SettingsRepository(Repository[PaymentSettings]):
    model = PaymentSettings

    async def current(self) -> PaymentSettings | None:
        return await self.one_or_none(self.query())

    async def locked(self) -> PaymentSettings:
        """The tenant's row, made when there is none, held until the commit."""
        await self.session.execute(
            insert(PaymentSettings).values(id=new_id()).on_conflict_do_nothing()
        )
        row = await self.one_or_none(self.query().with_for_update())
        assert row is not None  # noqa: S101 - it was just made
        return row
