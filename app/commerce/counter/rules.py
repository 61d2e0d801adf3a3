"""What the counter writes: the CSV of a list, and the words of a timeline."""

from __future__ import annotations

from app.commerce.orders.models import Order, OrderEdit, OrderStatusChange
from app.commerce.payments.models import Payment
from app.core.money import format_money

COLUMNS = (
    "number", "placed_at", "status", "fulfilment", "source", "customer_name", "customer_phone",
    "scheduled_for", "promised_at", "closed_at", "is_late", "subtotal_cents", "discount_cents",
    "shipping_cents", "shipping_discount_cents", "total_cents", "currency", "payment_methods",
    "payment_statuses", "city", "district", "postal_code", "note", "cancel_reason", "external_ref",
    "store_id", "id",
)  # fmt: skip

STATUS_WORDS = {
    "pending": "recebido",
    "confirmed": "confirmado",
    "preparing": "em preparo",
    "ready": "pronto",
    "out_for_delivery": "saiu para entrega",
    "delivered": "entregue",
    "rejected": "recusado",
    "cancelled": "cancelado",
}
METHOD_WORDS = {
    "cash": "Dinheiro",
    "card_on_delivery": "Cartão na entrega",
    "pix": "PIX",
    "stripe": "Cartão on-line",
    "other": "Outro",
}
_PAYMENT_WORDS = {
    "pending": "a pagar",
    "authorised": "autorizado",
    "paid": "pago",
    "failed": "recusado",
    "refunded": "devolvido",
    "cancelled": "cancelado",
}


def csv_row(order: Order) -> list[object]:
    """One order in the order of ``COLUMNS``."""
    address = order.delivery.address if order.delivery is not None else {}
    facts: dict[str, object] = {
        "payment_methods": " ".join(p.method for p in order.payments),
        "payment_statuses": " ".join(p.status for p in order.payments),
        "city": address.get("city"),
        "district": address.get("district"),
        "postal_code": order.delivery.postal_code if order.delivery is not None else None,
    }
    row = [facts[name] if name in facts else getattr(order, name) for name in COLUMNS]
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in row]


def status_words(change: OrderStatusChange) -> str:
    words = f"Pedido {STATUS_WORDS[change.after]}"
    return f"{words}: {change.reason}" if change.reason else words


def edit_words(edit: OrderEdit) -> str:
    before, after = edit.before["total_cents"], edit.after["total_cents"]
    words = f"Pedido alterado: de {format_money(before)} para {format_money(after)}"
    return f"{words} ({edit.reason})" if edit.reason else words


def payment_words(payment: Payment) -> str:
    method = METHOD_WORDS[payment.method]
    return f"{method}, {format_money(payment.amount_cents)}: {_PAYMENT_WORDS[payment.status]}"
