"""An order as the standard tells it. Money is kept in cents until it is written.

What the standard's sums say holds of every order: items + fees - discounts = total, and the
methods of payment add up to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from app.commerce.opendelivery.rules import event_type
from app.commerce.opendelivery.schemas import (
    AddressRead,
    CustomerRead,
    DeliveryRead,
    DiscountRead,
    FeeRead,
    ItemRead,
    MethodRead,
    Named,
    OptionRead,
    OrderDetail,
    PaymentsRead,
    Phone,
    Price,
    ScheduleRead,
    Sponsorship,
    TakeoutRead,
    TotalRead,
)
from app.commerce.orders.models import Order, OrderItem
from app.commerce.orders.rules import FulfilmentType, OrderStatus
from app.commerce.payments.models import Payment
from app.commerce.payments.rules import OPEN
from app.commerce.stores.models import Store

_METHODS: Mapping[str, str] = MappingProxyType(
    {"cash": "CASH", "card_on_delivery": "CREDIT_DEBIT", "pix": "PIX", "stripe": "CREDIT"}
)


def detail(order: Order, store: Store, codes: Mapping[UUID, str], earlier: int) -> OrderDetail:
    """``order`` with all that is its own; ``codes`` are the shop's, by product and variant, and
    ``earlier`` is how many orders of this customer came before."""
    kind = FulfilmentType(order.fulfilment)
    is_delivery = kind is FulfilmentType.DELIVERY
    due = order.promised_at or order.scheduled_for or order.placed_at
    items = [_item(n, item, order.currency, codes) for n, item in enumerate(order.items)]
    return OrderDetail(
        id=order.id,
        type="DELIVERY" if is_delivery else "TAKEOUT",
        display_id=str(order.number),
        created_at=order.placed_at,
        last_event=event_type(OrderStatus(order.status), kind),
        order_timing="INSTANT" if order.scheduled_for is None else "SCHEDULED",
        preparation_start_date_time=_starts_at(order, store),
        merchant=Named(id=store.id, name=store.name),
        items=items,
        other_fees=_fees(order),
        discounts=_discounts(order),
        total=_total(order),
        payments=_payments(order),
        customer=CustomerRead(
            id=order.contact_id,
            name=order.customer_name,
            phone=Phone(number=order.customer_phone or ""),
            orders_count_on_merchant=earlier,
        ),
        schedule=_schedule(order, store),
        delivery=_delivery(order, due) if is_delivery else None,
        takeout=None if is_delivery else TakeoutRead(takeout_date_time=due),
        send_delivered=is_delivery,
        send_picked_up=not is_delivery,
        extra_info=order.note,
    )


def _price(cents: int, currency: str) -> Price:
    return Price(value=cents / 100, currency=currency)


def _item(index: int, item: OrderItem, currency: str, codes: Mapping[UUID, str]) -> ItemRead:
    extras = sum(m["price_cents"] * m.get("quantity", 1) for m in item.modifiers)
    # Of a staff's own price, or a pizza that costs as its dearest half, the extras' list prices
    # may be more than all was sold for: then the price is the item's, and extras cost nothing.
    is_apart = extras <= item.unit_price_cents
    base = item.unit_price_cents - extras if is_apart else item.unit_price_cents
    options = [
        _option(n, m, item, currency, is_apart=is_apart) for n, m in enumerate(item.modifiers)
    ]
    known = item.variant_id or item.product_id
    name = f"{item.name} {item.variant_name}" if item.variant_name else item.name
    listed = item.list_price_cents
    return ItemRead(
        index=index,
        id=item.id,
        name=name,
        external_code=codes.get(known, str(known)) if known is not None else "",
        quantity=item.quantity,
        special_instructions=item.note,
        unit_price=_price(base, currency),
        original_price=None if listed is None else _price(listed, currency),
        options_price=_price(extras if is_apart else 0, currency),
        total_price=_price(item.unit_price_cents * item.quantity, currency),
        options=options,
    )


def _option(
    index: int, chosen: dict[str, Any], item: OrderItem, currency: str, *, is_apart: bool
) -> OptionRead:
    quantity, cents = chosen.get("quantity", 1), chosen["price_cents"] if is_apart else 0
    known = chosen.get("id") or item.id
    return OptionRead(
        index=index,
        id=known,
        name=chosen["name"],
        external_code=str(known),
        quantity=quantity,
        unit_price=_price(cents, currency),
        total_price=_price(cents * quantity, currency),
    )


def _fees(order: Order) -> list[FeeRead]:
    if not order.shipping_cents:
        return []
    price = _price(order.shipping_cents, order.currency)
    return [FeeRead(name="Entrega", type="DELIVERY_FEE", received_by="MERCHANT", price=price)]


def _discounts(order: Order) -> list[DiscountRead]:
    codes = sorted({r.code for r in order.redemptions if r.code and r.released_at is None})
    found = []
    for target, cents in (
        ("CART", order.discount_cents),
        ("DELIVERY_FEE", order.shipping_discount_cents),
    ):
        if cents:
            amount = _price(cents, order.currency)
            paid = Sponsorship(
                name="MERCHANT", amount=amount, discount_code=", ".join(codes) or None
            )
            found.append(DiscountRead(amount=amount, target=target, sponsorship_values=[paid]))
    return found


def _total(order: Order) -> TotalRead:
    currency = order.currency
    return TotalRead(
        items_price=_price(order.subtotal_cents, currency),
        other_fees=_price(order.shipping_cents, currency),
        discount=_price(order.discount_cents + order.shipping_discount_cents, currency),
        order_amount=_price(order.total_cents, currency),
    )


def _payments(order: Order) -> PaymentsRead:
    """What was received counts as paid before; the rest is still to be paid as was agreed."""
    methods: list[MethodRead] = []
    left = order.total_cents
    for payment in order.payments:
        part = min(left, _held(order, payment))
        if part:
            methods.append(_method(payment, part, order.currency, is_paid=True))
            left -= part
    prepaid = order.total_cents - left
    waiting = [p for p in order.payments if p.status in OPEN] or list(order.payments[-1:])
    for payment in waiting:
        is_last = payment is waiting[-1]
        part = left if is_last else min(left, payment.amount_cents - payment.received_cents)
        if part > 0:
            methods.append(_method(payment, part, order.currency, is_paid=False))
            left -= part
    return PaymentsRead(
        prepaid=prepaid / 100, pending=(order.total_cents - prepaid) / 100, methods=methods
    )


def _held(order: Order, payment: Payment) -> int:
    """What the shop has of it, less what goes back."""
    back = sum(
        r.amount_cents for r in order.refunds if r.payment_id == payment.id and r.status != "failed"
    )
    return max(0, payment.received_cents - back)


def _method(payment: Payment, cents: int, currency: str, *, is_paid: bool) -> MethodRead:
    method = _METHODS.get(payment.method, "OTHER")
    change = None
    if method == "CASH" and not is_paid:
        change = max(cents, payment.change_for_cents or 0) / 100
    return MethodRead(
        value=cents / 100,
        currency=currency,
        type="PREPAID" if is_paid else "PENDING",
        method=method,
        method_info=payment.method if method == "OTHER" else None,
        change_for=change,
    )


def _starts_at(order: Order, store: Store) -> datetime:
    if order.scheduled_for is None:
        return order.placed_at
    ahead = order.scheduled_for - timedelta(minutes=store.preparation_minutes)
    return max(ahead, order.placed_at)


def _schedule(order: Order, store: Store) -> ScheduleRead | None:
    if order.scheduled_for is None:
        return None
    return ScheduleRead(
        scheduled_date_time_start=order.scheduled_for,
        scheduled_date_time_end=order.scheduled_for
        + timedelta(minutes=store.preorder_slot_minutes),
    )


def _delivery(order: Order, due: datetime) -> DeliveryRead | None:
    if order.delivery is None:
        return None
    a = order.delivery.address
    street = ", ".join(str(a[n]) for n in ("street", "number", "complement") if a.get(n))
    town = ", ".join(str(a[n]) for n in ("city", "state") if a.get(n))
    parts = [p for p in (street, a.get("district"), town, order.delivery.postal_code) if p]
    state = a.get("state") or ""
    return DeliveryRead(
        delivery_address=AddressRead(
            country="BR",
            state=f"BR-{state}" if state else "",
            city=a.get("city") or "",
            district=a.get("district") or "",
            street=a.get("street") or "",
            number=a.get("number") or "",
            complement=a.get("complement"),
            reference=a.get("reference"),
            postal_code=order.delivery.postal_code,
            formatted_address=" - ".join(parts),
        ),
        estimated_delivery_date_time=due,
        delivery_date_time=order.closed_at if order.status == OrderStatus.DELIVERED else None,
    )
