"""The states of an order and the one table of moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from app.contracts.commerce import OrderPlaced, OrderStatusChanged, OrderWithdrawn
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


class OrderSort(StrEnum):
    """How a list goes; all but ``newest`` are declared because an index serves them."""

    NEWEST = "newest"
    PROMISED = "promised"
    """The most urgent first; of orders that are still open."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """What a list is of; None: whatever it is."""

    status: OrderStatus | None = None
    fulfilment: FulfilmentType | None = None
    store_id: UUID | None = None
    contact_id: UUID | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    query: str | None = None
    """A number, a phone, the shop's own reference, or parts of a customer's name."""
    payment_status: str | None = None
    payment_method: str | None = None
    promotion_id: UUID | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    source: str | None = None
    late: bool | None = None
    sort: OrderSort = OrderSort.NEWEST

    @property
    def is_placed(self) -> bool:
        """Whether it asks for a span of time in which orders were placed."""
        return self.placed_from is not None or self.placed_to is not None

    @property
    def is_scheduled(self) -> bool:
        return self.scheduled_from is not None or self.scheduled_to is not None


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


OPEN = tuple(status for status in OrderStatus if status not in _FINAL)
"""Orders in these wait for somebody."""

EDITABLE = frozenset({OrderStatus.PENDING, OrderStatus.CONFIRMED})
"""What was ordered may change until somebody prepares it."""

INSTANTS: Mapping[OrderStatus, str] = MappingProxyType(
    {
        OrderStatus.CONFIRMED: "confirmed_at",
        OrderStatus.PREPARING: "preparing_at",
        OrderStatus.READY: "ready_at",
        OrderStatus.OUT_FOR_DELIVERY: "dispatched_at",
        OrderStatus.DELIVERED: "closed_at",
        OrderStatus.REJECTED: "closed_at",
        OrderStatus.CANCELLED: "closed_at",
    }
)
"""The column that remembers when an order came to a status."""


def is_late(
    status: OrderStatus, promised_at: datetime | None, closed_at: datetime | None, at: datetime
) -> bool:
    """Whether the promise is broken: by the delivery when there was one, else by ``at``."""
    if promised_at is None or status in (OrderStatus.REJECTED, OrderStatus.CANCELLED):
        return False
    if status is OrderStatus.DELIVERED:
        return closed_at is not None and closed_at > promised_at
    return at > promised_at


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


_WORDS: Mapping[OrderStatus, str] = MappingProxyType(
    {
        OrderStatus.PENDING: "aguarda resposta",
        OrderStatus.CONFIRMED: "foi aceito",
        OrderStatus.PREPARING: "está em preparo",
        OrderStatus.READY: "está pronto",
        OrderStatus.OUT_FOR_DELIVERY: "saiu para entrega",
        OrderStatus.DELIVERED: "foi entregue",
        OrderStatus.REJECTED: "foi recusado",
        OrderStatus.CANCELLED: "foi cancelado",
    }
)


def moved_notice(event: OrderStatusChanged) -> Wording:
    """What the staff are told of an order that somebody moved on."""
    title = f"Pedido nº {event.number} {_WORDS[OrderStatus(event.after)]}"
    return Wording(title, event.reason or "", f"/admin/orders/{event.order_id}")


def withdrawn_notice(event: OrderWithdrawn) -> Wording:
    """What the staff are told of an order that its customer called off."""
    title = f"Cliente cancelou o pedido nº {event.number}"
    return Wording(title, event.reason, f"/admin/orders/{event.order_id}")
