"""How orders are asked for over HTTP, alike by every slice: filters, versions, tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Header, Query

from app.commerce.orders.rules import FulfilmentType, OrderFilter, OrderSort, OrderStatus
from app.core.schema import Instant as AnyInstant

PaymentStatus = Literal["pending", "authorised", "paid", "failed", "refunded", "cancelled"]
PaymentMethod = Literal["cash", "card_on_delivery", "pix", "stripe", "other"]
Source = Literal["storefront", "whatsapp", "agent", "admin", "import"]
Token = Annotated[str, Query(min_length=20, max_length=100, description="Tracking token.")]


Instant = Annotated[AnyInstant | None, Query()]


async def _placed(
    status: OrderStatus | None = None,
    fulfilment: FulfilmentType | None = None,
    store_id: UUID | None = None,
    contact_id: UUID | None = None,
    placed_from: Instant = None,
    placed_to: Instant = None,
    query: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=80,
            description="Number, phone, parts of a name.",
        ),
    ] = None,
) -> OrderFilter:
    return OrderFilter(status, fulfilment, store_id, contact_id, placed_from, placed_to, query)


async def order_filter(
    placed: Annotated[OrderFilter, Depends(_placed)],
    payment_status: Annotated[PaymentStatus | None, Query()] = None,
    payment_method: Annotated[PaymentMethod | None, Query()] = None,
    promotion_id: UUID | None = None,
    scheduled_from: Instant = None,
    scheduled_to: Instant = None,
    source: Annotated[Source | None, Query()] = None,
    late: Annotated[bool | None, Query(description="Open, and beyond its promise.")] = None,
    sort: OrderSort = OrderSort.NEWEST,
) -> OrderFilter:
    """What a list of orders is of, as its query says."""
    return replace(
        placed,
        payment_status=payment_status,
        payment_method=payment_method,
        promotion_id=promotion_id,
        scheduled_from=scheduled_from,
        scheduled_to=scheduled_to,
        source=source,
        late=late,
        sort=sort,
    )


Filter = Annotated[OrderFilter, Depends(order_filter)]
IfMatch = Annotated[
    str | None, Header(description='Version that was read, e.g. "3".', pattern=r'^"?\d{1,15}"?$')
]


def version_of(if_match: str | None) -> int | None:
    """The version that the caller read; None: whatever it is."""
    return int(if_match.strip('"')) if if_match else None
