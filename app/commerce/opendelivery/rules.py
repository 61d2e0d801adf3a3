"""The standard's words for our statuses, and which of our moves each of its calls asks for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from app.commerce.orders.rules import FulfilmentType, OrderStatus

_S = OrderStatus


class EventType(StrEnum):
    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    PREPARATION_REQUESTED = "PREPARATION_REQUESTED"
    PREPARING = "PREPARING"
    DISPATCHED = "DISPATCHED"
    READY_FOR_PICKUP = "READY_FOR_PICKUP"
    PICKUP_AREA_ASSIGNED = "PICKUP_AREA_ASSIGNED"
    PICKED_UP = "PICKED_UP"
    DELIVERED = "DELIVERED"
    CONCLUDED = "CONCLUDED"
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    CANCELLATION_REQUEST_DENIED = "CANCELLATION_REQUEST_DENIED"
    CANCELLED = "CANCELLED"
    ORDER_CANCELLATION_REQUEST = "ORDER_CANCELLATION_REQUEST"
    CANCELLED_DENIED = "CANCELLED_DENIED"


class Call(StrEnum):
    """What a point of sale tells of an order, as the last segment of the standard's path."""

    CONFIRM = "confirm"
    PREPARING = "preparing"
    READY = "readyForPickup"
    DISPATCH = "dispatch"
    PICKED_UP = "pickedUp"
    DELIVERED = "delivered"


class CancelCode(StrEnum):
    SYSTEMIC_ISSUES = "SYSTEMIC_ISSUES"
    DUPLICATE_APPLICATION = "DUPLICATE_APPLICATION"
    UNAVAILABLE_ITEM = "UNAVAILABLE_ITEM"
    RESTAURANT_WITHOUT_DELIVERY_PERSON = "RESTAURANT_WITHOUT_DELIVERY_PERSON"
    OUTDATED_MENU = "OUTDATED_MENU"
    ORDER_OUTSIDE_THE_DELIVERY_AREA = "ORDER_OUTSIDE_THE_DELIVERY_AREA"
    BLOCKED_CUSTOMER = "BLOCKED_CUSTOMER"
    OUTSIDE_DELIVERY_HOURS = "OUTSIDE_DELIVERY_HOURS"
    INTERNAL_DIFFICULTIES_OF_THE_RESTAURANT = "INTERNAL_DIFFICULTIES_OF_THE_RESTAURANT"
    RISK_AREA = "RISK_AREA"
    DELIVERY_PROBLEM = "DELIVERY_PROBLEM"


class CancelMode(StrEnum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"


_WORDS: Mapping[OrderStatus, EventType] = MappingProxyType(
    {
        _S.PENDING: EventType.CREATED,
        _S.CONFIRMED: EventType.CONFIRMED,
        _S.PREPARING: EventType.PREPARING,
        _S.READY: EventType.READY_FOR_PICKUP,
        _S.OUT_FOR_DELIVERY: EventType.DISPATCHED,
        _S.DELIVERED: EventType.DELIVERED,
        _S.REJECTED: EventType.CANCELLED,
        _S.CANCELLED: EventType.CANCELLED,
    }
)
_PATHS: Mapping[FulfilmentType, tuple[OrderStatus, ...]] = MappingProxyType(
    {
        FulfilmentType.DELIVERY: (
            _S.PENDING, _S.CONFIRMED, _S.PREPARING, _S.READY, _S.OUT_FOR_DELIVERY, _S.DELIVERED,
        ),
        FulfilmentType.PICKUP: (
            _S.PENDING, _S.CONFIRMED, _S.PREPARING, _S.READY, _S.DELIVERED,
        ),
    }
)  # fmt: skip
# From where at the earliest, and to where. Preparing is optional in the standard, and so is the
# call that a delivery is ready: what was not told is passed through.
_MOVES: Mapping[Call, tuple[OrderStatus, OrderStatus]] = MappingProxyType(
    {
        Call.CONFIRM: (_S.PENDING, _S.CONFIRMED),
        Call.PREPARING: (_S.CONFIRMED, _S.PREPARING),
        Call.READY: (_S.CONFIRMED, _S.READY),
        Call.DISPATCH: (_S.CONFIRMED, _S.OUT_FOR_DELIVERY),
        Call.PICKED_UP: (_S.READY, _S.DELIVERED),
        Call.DELIVERED: (_S.READY, _S.DELIVERED),
    }
)


def event_type(status: OrderStatus, kind: FulfilmentType) -> EventType:
    """What the standard calls an order's coming to ``status``."""
    if status is _S.DELIVERED and kind is FulfilmentType.PICKUP:
        return EventType.PICKED_UP
    return _WORDS[status]


class Waiting(NamedTuple):
    """A change of an order's status that was not acknowledged."""

    id: UUID
    order_id: UUID
    after: str
    reason: str | None
    actor_kind: str
    fulfilment: str

    @property
    def kind(self) -> EventType:
        return event_type(OrderStatus(self.after), FulfilmentType(self.fulfilment))


def told_by(call: Call) -> OrderStatus:
    """The status that a call says the order has."""
    return _MOVES[call][1]


def steps(kind: FulfilmentType, status: OrderStatus, call: Call) -> tuple[OrderStatus, ...] | None:
    """The statuses to pass for a call; empty when it was done before, None when it is refused."""
    path = _PATHS[kind]
    earliest, target = _MOVES[call]
    if call is Call.DELIVERED and kind is FulfilmentType.DELIVERY:
        earliest = _S.OUT_FOR_DELIVERY
    if call is Call.PICKED_UP and kind is not FulfilmentType.PICKUP:
        return None
    if status not in path or target not in path:
        return None
    here, there = path.index(status), path.index(target)
    if here >= there:
        return ()
    return None if here < path.index(earliest) else path[here + 1 : there + 1]


_REASONS: Mapping[CancelCode, str] = MappingProxyType(
    {
        CancelCode.SYSTEMIC_ISSUES: "falha no sistema da loja",
        CancelCode.DUPLICATE_APPLICATION: "pedido em duplicidade",
        CancelCode.UNAVAILABLE_ITEM: "item indisponível",
        CancelCode.RESTAURANT_WITHOUT_DELIVERY_PERSON: "loja sem entregador",
        CancelCode.OUTDATED_MENU: "cardápio desatualizado",
        CancelCode.ORDER_OUTSIDE_THE_DELIVERY_AREA: "fora da área de entrega",
        CancelCode.BLOCKED_CUSTOMER: "cliente bloqueado",
        CancelCode.OUTSIDE_DELIVERY_HOURS: "fora do horário de entrega",
        CancelCode.INTERNAL_DIFFICULTIES_OF_THE_RESTAURANT: "dificuldades internas da loja",
        CancelCode.RISK_AREA: "área de risco",
        CancelCode.DELIVERY_PROBLEM: "problema na entrega",
    }
)


def reason_of(code: CancelCode, reason: str) -> str:
    """Why the store called an order off, as its customer reads it."""
    return f"{_REASONS[code]}: {reason}" if reason else _REASONS[code]


def cancel_metadata(actor_kind: str, reason: str | None) -> dict[str, str]:
    """What the standard wants told of a cancelled order."""
    by_customer = actor_kind == "public"
    code = "CONSUMER_CANCELLATION_REQUESTED" if by_customer else "OTHER_CANCELLATION_REASON"
    return {"reason": reason or "", "code": code}


def parse_client_id(text: str) -> tuple[UUID, UUID] | None:
    """Tenant and credential of a client id; None for every other text."""
    tenant, _, credential = text.partition(".")
    try:
        return UUID(hex=tenant), UUID(hex=credential)
    except ValueError:
        return None
