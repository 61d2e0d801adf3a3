"""What the menu says that a product costs while promotions are on (spec commerce.md §2).

Only what every customer gets, however much is bought and whatever else: percentages off without
a code, a minimum, a limit or a cap. What they take off is what the checkout takes, by the same
rules; a code or a greater promotion makes an order cheaper still, never dearer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.commerce.catalog.rendering import media_url
from app.commerce.promotions.offers import (
    Cart,
    CartLine,
    Promotion,
    PromotionContext,
    PromotionScope,
)
from app.commerce.promotions.repository import PromotionRepository
from app.commerce.promotions.rows import promotion_of
from app.commerce.promotions.rules import apply, is_its_time
from app.commerce.promotions.words import Reader, headline
from app.commerce.stores.service import StoreService
from app.contracts.prices import ShelfPrice, ShelfPrices
from app.core.clock import now
from app.kernel.work import Work


class PriceTagService:
    """The port ``PriceTags``."""

    def __init__(self, work: Work) -> None:
        self.promotions = PromotionRepository(work.session)

    async def at(self, store_id: UUID, timezone: str, at: datetime) -> ShelfPrices:
        """The prices of a store at an instant."""
        offers = tuple(map(promotion_of, await self.promotions.on_shelf()))
        return Tags(offers, PromotionContext(at, timezone, store_id))


class OfferService:
    """What anybody may see of the campaigns that are on."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.promotions = PromotionRepository(work.session)

    async def on_now(self, store: str) -> list[dict[str, Any]]:
        """What applies by itself in a store at this moment, in order of precedence, as
        schemas.OnOffer shows it; those by a code are for whoever has it. Raises StoreNotFound."""
        found = await StoreService(self.work).active(store)
        context = PromotionContext(now(), found.timezone, found.id)
        reader = Reader(self.work.language, found.timezone, self.work.tenant.currency)
        rows = ((row, promotion_of(row)) for row in await self.promotions.on_offer())
        return [
            row | {"text": headline(offer, reader), "image_url": media_url(row["image"])}
            for row, offer in rows
            if is_its_time(offer, context)
            and (offer.scope is not PromotionScope.STORE or found.id in offer.target_ids)
        ]


@dataclass(frozen=True, slots=True)
class Tags:
    """Promotions at an instant, and what they leave of prices."""

    offers: tuple[Promotion, ...]
    context: PromotionContext
    _known: dict[tuple[object, ...], ShelfPrice | None] = field(default_factory=dict)
    """A menu has thousands of products and few prices."""

    @property
    def changes_at(self) -> datetime | None:
        """The next instant at which one of them may begin or end."""
        instants = (changes_at(offer, self.context) for offer in self.offers)
        return min((instant for instant in instants if instant is not None), default=None)

    def of(self, product_id: UUID, category_id: UUID, cents: int) -> ShelfPrice | None:
        """What one of it costs now; None: what it always does."""
        near = [offer for offer in self.offers if _may_concern(offer, product_id, category_id)]
        if not near:
            return None
        key = (cents, *(offer.id for offer in near))
        if key not in self._known:
            line = CartLine("", product_id, cents, category_ids=frozenset({category_id}))
            self._known[key] = self._left(near, line)
        return self._known[key]

    def _left(self, near: Sequence[Promotion], line: CartLine) -> ShelfPrice | None:
        found = apply(near, Cart((line,)), self.context)
        off = {part.promotion_id: part.cents for part in found.lines}
        if not off:
            return None
        names = tuple(offer.name for offer in near if offer.id in off)
        return ShelfPrice(line.cents - sum(off.values()), names)


def changes_at(offer: Promotion, context: PromotionContext) -> datetime | None:
    """The next instant at which its time may begin or end; None: it is on for good."""
    at, zone = context.now, ZoneInfo(context.timezone)
    hours = {offer.hour_from, offer.hour_to, time() if offer.weekdays else None} - {None}
    today = at.astimezone(zone).date()
    ticks: Iterable[datetime] = (
        datetime.combine(today + timedelta(days=days), hour, zone)
        for days in range(2)
        for hour in hours
        if hour is not None
    )
    bounds = [tick for tick in (offer.starts_at, offer.ends_at) if tick is not None]
    return min((tick for tick in (*bounds, *ticks) if tick > at), default=None)


def _may_concern(offer: Promotion, product_id: UUID, category_id: UUID) -> bool:
    if offer.scope is PromotionScope.PRODUCT:
        return product_id in offer.target_ids
    return offer.scope is not PromotionScope.CATEGORY or category_id in offer.target_ids
