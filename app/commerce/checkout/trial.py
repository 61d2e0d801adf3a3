"""What a cart would cost under other circumstances: coupons tried, offers made up, another time.

The computation is a checkout's own (``builder.build``), less what only a real order needs: an open
store, its minimum order, stock. Nothing is written, nothing remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.commerce.checkout.asked import Asked, Terms
from app.commerce.checkout.basis import Offer
from app.commerce.checkout.builder import build
from app.commerce.checkout.draft import Draft
from app.commerce.checkout.repository import CheckoutRepository
from app.commerce.checkout.schemas import CartIn
from app.commerce.shipping.roads import Way
from app.core.clock import now
from app.kernel.work import Work

_TERMS = Terms(despite_closed=True, is_trial=True)


@dataclass(frozen=True, slots=True)
class Supposed:
    """What is supposed to be otherwise."""

    at: datetime | None = None
    more: Sequence[Offer] = ()
    """Offers that do not exist."""
    without: frozenset[UUID] = frozenset()
    """Promotions that are thought away."""


NOTHING = Supposed()


class TrialService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.checkout = CheckoutRepository(work.session)

    async def tried(self, cart: CartIn, way: Way | None, supposed: Supposed = NOTHING) -> Draft:
        """What the order would be.

        Raises StoreNotFound, InvalidCustomerPhone, AddressRequired, InvalidPostalCode,
        ItemsUnavailable, OutOfDeliveryArea.
        """
        asked = Asked.of(
            cart, cart.customer_phone, way=way, terms=_TERMS, language=self.work.language
        )
        basis = await self.checkout.basis(
            cart.store, asked.products, asked.items, asked.codes, asked.area, asked.phones
        )
        offers = [o for o in basis.offers if o.rule.id not in supposed.without]
        basis = replace(basis, offers=(*offers, *supposed.more))
        draft = build(asked, basis, at=supposed.at or now(), currency=self.work.tenant.currency)
        draft.language = asked.language
        return draft

    async def coupons(self, cart: CartIn, way: Way | None) -> dict[str, Any]:
        """Each coupon of the cart with what it takes off, or why it does not. Raises as above."""
        draft = await self.tried(cart, way)
        return draft.breakdown() | {
            "coupons": [*draft.applied_coupons(), *draft.refused_coupons()],
            "offers_within_reach": draft.within_reach(),
        }
