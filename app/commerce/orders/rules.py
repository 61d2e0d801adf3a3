"""The states of an order and the one table of moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from app.contracts.commerce import OrderPlaced
from app.contracts.notices import Wording
from app.core.money import format_money


class OrderStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    PREPARING = "preparing"
    READY = "ready"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class FulfilmentType(StrEnum):
    DELIVERY = "delivery"
    PICKUP = "pickup"


@dataclass(frozen=True, slots=True)
class OrderFilter:
    status: OrderStatus | None = None
    fulfilment: FulfilmentType | None = None
    store_id: UUID | None = None
    contact_id: UUID | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    query: str | None = None
    """A number, a phone, or the beginning of a customer's name."""


_S = OrderStatus
_PATH_TO_READY = {
    _S.PENDING: frozenset({_S.CONFIRMED, _S.REJECTED, _S.CANCELLED}),
    _S.CONFIRMED: frozenset({_S.PREPARING, _S.CANCELLED}),
    _S.PREPARING: frozenset({_S.READY, _S.CANCELLED}),
}
_FINAL: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.DELIVERED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.CANCELLED: frozenset(),
}

# Every move an order may make; whatever is not here is refused (spec "Orders after checkout").
TRANSITIONS: Mapping[FulfilmentType, Mapping[OrderStatus, frozenset[OrderStatus]]] = (
    MappingProxyType(
        {
            FulfilmentType.DELIVERY: MappingProxyType(
                {
                    **_PATH_TO_READY,
                    _S.READY: frozenset({_S.OUT_FOR_DELIVERY, _S.CANCELLED}),
                    _S.OUT_FOR_DELIVERY: frozenset({_S.DELIVERED, _S.CANCELLED}),
                    **_FINAL,
                }
            ),
            FulfilmentType.PICKUP: MappingProxyType(
                {
                    **_PATH_TO_READY,
                    _S.READY: frozenset({_S.DELIVERED, _S.CANCELLED}),
                    **_FINAL,
                }
            ),
        }
    )
)


def allowed(fulfilment: FulfilmentType, status: OrderStatus) -> frozenset[OrderStatus]:
    """Return the states an order may move to from ``status``; empty when it is finished."""
    return TRANSITIONS[fulfilment].get(status, frozenset())


def may_move(fulfilment: FulfilmentType, status: OrderStatus, to: OrderStatus) -> bool:
    """Say whether an order may move from ``status`` to ``to``; staying is no move."""
    return to in allowed(fulfilment, status)


def is_final(status: OrderStatus) -> bool:
    """Say whether an order in ``status`` will never move again."""
    return status in _FINAL


def may_customer_cancel(status: OrderStatus) -> bool:
    """Say whether the customer alone may cancel: only until the store has answered."""
    return status is OrderStatus.PENDING


def placed_notice(event: OrderPlaced) -> Wording:
    """What the staff are told of a new order."""
    way = "retirada" if event.fulfilment == FulfilmentType.PICKUP else "entrega"
    return Wording(
        f"Novo pedido nº {event.number}",
        f"{format_money(event.total_cents)}, {way}.",
        f"/admin/orders/{event.order_id}",
    )
