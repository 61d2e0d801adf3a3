"""Queries over credentials, and over changes of orders' status as a credential's events.

The events are the orders' own history, which is written with each change and in its transaction:
none can be lost, and orders pay nothing for them. What waits is what has no acknowledgment,
whichever order it was committed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, func, select, union_all

from app.commerce.catalog.models import Product, Variant
from app.commerce.opendelivery.models import OpenDeliveryCredential
from app.commerce.opendelivery.problems import CredentialNotFound
from app.commerce.opendelivery.rules import Waiting
from app.commerce.orders.models import Order
from app.commerce.orders.rules import OrderStatus
from app.commerce.stores.models import Store
from app.core.clock import now
from app.core.ids import id_before, new_id
from app.core.repository import Repository
from app.kernel.apikeys.models import ApiKey

AT_ONCE = 100
KEPT = timedelta(days=7)
"""What nobody acknowledged for so long is no news any more."""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 48))"

# $1 no smaller id, $2 from when, $3 the stores or NULL, $4 the credential.
_MINE = """
FROM order_status_changes c JOIN orders o ON o.id = c.order_id
WHERE c.id >= $1 AND c.created_at >= $2 AND o.source <> 'import'
  AND ($3::uuid[] IS NULL OR o.store_id = ANY ($3))
  AND NOT EXISTS (SELECT FROM open_delivery_acks a
    WHERE a.credential_id = $4 AND a.event_id = c.id)
"""
# Nobody is to cook what is to be paid beforehand and was not, unless the shop itself took it on.
# Asked of each order by itself: an EXISTS would be answered from all payments there are.
_UNPAID = """
(o.confirmed_at IS NULL AND coalesce((SELECT true FROM payments p WHERE p.order_id = o.id
  AND p.method IN ('pix', 'stripe') AND p.amount_cents > 0
  AND p.paid_at IS NULL AND p.status <> 'paid' LIMIT 1), false))
"""
_WAITING = f"""
SELECT c.id, c.order_id, c.after, c.reason, c.actor_kind, o.fulfilment
{_MINE} AND NOT {_UNPAID} ORDER BY c.id LIMIT {AT_ONCE}
"""
_ACKNOWLEDGE = """
INSERT INTO open_delivery_acks (id, credential_id, event_id)
SELECT e.id, $1, c.id
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS e(id, event_id, order_id)
JOIN order_status_changes c ON c.id = e.event_id AND c.order_id = e.order_id
JOIN orders o ON o.id = c.order_id
WHERE $5::uuid[] IS NULL OR o.store_id = ANY ($5)
ON CONFLICT (tenant_id, credential_id, event_id) DO NOTHING
"""
# Ten minutes are longer than a transaction lasts that may still commit an older event. Events of
# an unpaid order wait for its money; of one that was closed unpaid they never come. $2 is a week
# ago at the earliest: one event that nobody takes must not make every poll a walk through years.
_SETTLE = f"""
UPDATE open_delivery_credentials SET events_from = greatest($2, least(now(),
  (SELECT min(c.created_at) {_MINE} AND NOT ({_UNPAID} AND o.closed_at IS NOT NULL)))
  - interval '10 minutes')
WHERE id = $4 RETURNING events_from
"""  # noqa: S608 - the same
_FORGET = "DELETE FROM open_delivery_acks WHERE credential_id = $1 AND event_id < $2"


_AGAIN = """
DELETE FROM open_delivery_acks a USING order_status_changes c
WHERE a.credential_id = $1 AND a.event_id = c.id AND c.order_id = $2 AND c.after = $3
"""


class CredentialRepository(Repository[OpenDeliveryCredential]):
    model = OpenDeliveryCredential
    missing = CredentialNotFound

    async def count_alive(self) -> int:
        """How many open anything; locks out whoever else is about to add one."""
        await (await self.raw()).execute(_LOCK)
        found = select(func.count()).select_from(OpenDeliveryCredential)
        alive = found.where(OpenDeliveryCredential.revoked_at.is_(None))
        return await self.session.scalar(alive) or 0

    async def count_stores(self, ids: Sequence[UUID]) -> int:
        """How many of these are stores of the tenant."""
        found = select(func.count()).select_from(Store).where(Store.id.in_(ids))
        return await self.session.scalar(found) or 0

    async def of_token(self, key_id: UUID) -> OpenDeliveryCredential | None:
        """The living credential that a token was issued for."""
        statement = (
            self.query()
            .join(ApiKey, ApiKey.issued_for == OpenDeliveryCredential.id)
            .where(ApiKey.id == key_id, OpenDeliveryCredential.revoked_at.is_(None))
        )
        return await self.one_or_none(statement)

    async def is_token(self, key_id: UUID) -> bool:
        """Whether a key is a credential's, or has gone: False of those that people made."""
        found = select(ApiKey.id).where(ApiKey.id == key_id, ApiKey.issued_for.is_(None))
        return await self.session.scalar(found) is None

    async def waiting(
        self, who: OpenDeliveryCredential, stores: Sequence[UUID] | None
    ) -> list[Waiting]:
        """The oldest events that ``who`` did not acknowledge, in the order they happened."""
        since = _since(who)
        rows = await (await self.raw()).fetch(_WAITING, id_before(since), since, stores, who.id)
        return [Waiting(*row) for row in rows]

    async def acknowledge(
        self, who: OpenDeliveryCredential, events: Sequence[tuple[UUID, UUID]]
    ) -> None:
        """Remember (event, order) as taken; again, or somebody else's, does nothing."""
        ids, orders = [e for e, _ in events], [o for _, o in events]
        keys = [new_id() for _ in events]
        await (await self.raw()).execute(_ACKNOWLEDGE, who.id, keys, ids, orders, who.store_ids)

    async def tell_again(
        self, who: OpenDeliveryCredential, order_id: UUID, status: OrderStatus
    ) -> None:
        """Let the event of an order's coming to ``status`` be polled once more."""
        await (await self.raw()).execute(_AGAIN, who.id, order_id, status.value)

    async def settle(self, who: OpenDeliveryCredential) -> datetime:
        """Move ``events_from`` up to the oldest event that still waits, and forget the
        acknowledgments behind it."""
        driver, since = await self.raw(), _since(who)
        begins: datetime = await driver.fetchval(
            _SETTLE, id_before(since), since, who.store_ids, who.id
        )
        await driver.execute(_FORGET, who.id, id_before(begins))
        return begins

    async def codes(self, order: Order) -> dict[UUID, str]:
        """The shop's own codes of what was ordered, by product and variant."""
        products = [i.product_id for i in order.items if i.product_id is not None]
        variants = [i.variant_id for i in order.items if i.variant_id is not None]
        code = func.coalesce(Product.external_ref, Product.sku)
        statement: CompoundSelect[Any] = union_all(
            select(Product.id, code).where(Product.id.in_(products), code.is_not(None)),
            select(Variant.id, Variant.sku).where(
                Variant.id.in_(variants), Variant.sku.is_not(None)
            ),
        )
        return {row[0]: row[1] for row in await self.session.execute(statement)}

    async def earlier(self, order: Order) -> int:
        """How many orders of this customer came before."""
        found = select(func.count()).where(
            Order.contact_id == order.contact_id, Order.id < order.id
        )
        return await self.session.scalar(found) or 0


def _since(who: OpenDeliveryCredential) -> datetime:
    return max(who.events_from, now() - KEPT)
