"""What settles a payment, what an order still owes, and what may be given back; integer cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.contracts.commerce import PaymentFlagged, PaymentPaid, RefundDue, RefundFailed
from app.contracts.notices import Wording
from app.core.money import format_money

PROVIDER = "stripe"
"""The method whose money a vendor moves; all others are received and returned by people."""
AWAITED = ("pix", PROVIDER)
"""Methods that are paid before the shop works; the rest is paid at the door."""
OPEN = frozenset({"pending", "authorised", "failed"})
SHORT, OVER, LATE, CURRENCY = "short", "over", "late", "currency"
FLAGS = (SHORT, OVER, LATE, CURRENCY)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a payment becomes by what was received; ``flag`` asks a person to look."""

    status: str
    flag: str | None
    excess_cents: int = 0


def settle(
    amount_cents: int, received_cents: int, *, is_closed: bool = False, same_currency: bool = True
) -> Settlement:
    """Judge what was received in all. Less than asked leaves it open; nothing passes silently.

    ``is_closed``: the order was cancelled or rejected meanwhile, so all of it goes back.
    """
    if not same_currency:
        return Settlement("pending", CURRENCY)
    if is_closed and received_cents > 0:
        return Settlement("paid", LATE, received_cents)
    if received_cents < amount_cents:
        return Settlement("pending", SHORT if received_cents else None)
    excess = received_cents - amount_cents
    return Settlement("paid", OVER if excess else None, excess)


@dataclass(frozen=True, slots=True)
class Held:
    """The money of one payment: what came in, and what went or is going back."""

    id: UUID
    received_cents: int
    returned_cents: int

    @property
    def left_cents(self) -> int:
        return max(0, self.received_cents - self.returned_cents)


@dataclass(frozen=True, slots=True)
class Balance:
    """Of an order: exactly one of the two is more than zero, or none."""

    due_cents: int
    excess_cents: int


def balance(total_cents: int, payments: Sequence[Held]) -> Balance:
    """What the customer owes, or the shop does, when an order now costs ``total_cents``."""
    covered = sum(payment.left_cents for payment in payments)
    return Balance(max(0, total_cents - covered), max(0, covered - total_cents))


def spread(cents: int, payments: Sequence[Held]) -> list[tuple[UUID, int]]:
    """From which payments ``cents`` go back: the newest first, never more than it holds.

    Raises ValueError when they do not hold so much.
    """
    parts: list[tuple[UUID, int]] = []
    for payment in sorted(payments, key=lambda p: p.id, reverse=True):
        part = min(cents, payment.left_cents)
        if part:
            parts.append((payment.id, part))
            cents -= part
    if cents:
        raise ValueError("more would go back than came in")
    return parts


def expires_at(placed_at: datetime, unpaid_minutes: int | None) -> datetime | None:
    """Until when an order waits for its money; None: for ever."""
    return None if unpaid_minutes is None else placed_at + timedelta(minutes=unpaid_minutes)


def txid(number: int, payment_id: UUID) -> str:
    """What the bank's statement shows: the order's number, and which of its payments."""
    return f"PED{number}X{payment_id.hex[-8:].upper()}"[:25]


def paid_notice(event: PaymentPaid) -> Wording:
    """What the staff are told of money that came in."""
    return Wording(
        f"Pedido nº {event.number} pago",
        f"{format_money(event.amount_cents)} por {_BY[event.method]}.",
        f"/admin/orders/{event.order_id}",
    )


def flagged_notice(event: PaymentFlagged) -> Wording:
    """What the staff are told of money that does not fit."""
    what = {
        SHORT: "menos do que o pedido custa",
        OVER: "mais do que o pedido custa",
        LATE: "o pedido já estava cancelado: o valor será devolvido",
        CURRENCY: "em outra moeda",
    }[event.flag]
    return Wording(
        f"Confira o pagamento do pedido nº {event.number}",
        f"Recebido {format_money(event.received_cents)} de {format_money(event.amount_cents)}: "
        f"{what}.",
        f"/admin/orders/{event.order_id}",
    )


def refund_due_notice(event: RefundDue) -> Wording:
    """What the staff are told of money that they must return by hand."""
    return Wording(
        f"Devolva {format_money(event.amount_cents)} do pedido nº {event.number}",
        f"Pago por {_BY[event.method]}: devolva e marque como feito.",
        f"/admin/orders/{event.order_id}",
    )


def refund_failed_notice(event: RefundFailed) -> Wording:
    """What the staff are told of a refund that the provider refused."""
    return Wording(
        f"O estorno do pedido nº {event.number} falhou",
        f"{format_money(event.amount_cents)}: {event.error}",
        f"/admin/orders/{event.order_id}",
    )


_BY = {
    "cash": "dinheiro",
    "card_on_delivery": "cartão na entrega",
    "pix": "Pix",
    "stripe": "cartão on-line",
    "other": "outro meio",
}
