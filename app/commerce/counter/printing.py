"""An order on paper: plain text 32 or 48 columns wide, ESC/POS bytes, and HTML for 80 mm.

Nothing of what a customer typed reaches the printer as a command: control characters are dropped,
and what the code page cannot show becomes a question mark.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import IntEnum
from typing import Literal
from zoneinfo import ZoneInfo

from app.commerce.counter.rules import METHOD_WORDS
from app.commerce.orders.schemas import LineRead, OrderRead
from app.core.money import format_money


class Width(IntEnum):
    """Characters per line."""

    NARROW = 32
    WIDE = 48


CodePage = Literal["cp860", "cp850"]
_INIT = b"\x1b@"
_SELECT = {"cp850": b"\x1bt\x02", "cp860": b"\x1bt\x03"}
"""ESC t n (Epson TM series): the table of characters that follows."""
_CUT = b"\n\n\n\x1dV\x42\x00"
_WAYS = {"delivery": "ENTREGA", "pickup": "RETIRADA"}


def plain(text: str) -> str:
    """One line of printable text, composed as code pages know it."""
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if c in "\r\n\t\v\f\x85\u2028\u2029" else c for c in composed)
    return "".join(c for c in kept if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most ``width``, broken between words where that is possible."""
    lines, line = [], indent
    room = width - len(indent)
    for word in plain(text).split():
        while len(word) > room:
            if line.strip():
                lines.append(line.rstrip())
            lines.append(indent + word[:room])
            line, word = indent, word[room:]
        if len(line) + len(word) > width:
            lines.append(line.rstrip())
            line = indent
        line += f"{word} "
    if line.strip():
        lines.append(line.rstrip())
    return lines


def two_ends(left: str, right: str, width: int) -> list[str]:
    """``left`` and, at the right edge of its last line, ``right``."""
    lines = wrapped(left, width) or [""]
    gap = width - len(lines[-1]) - len(right)
    if gap < 1:
        return [*lines, right.rjust(width)[:width]]
    return [*lines[:-1], lines[-1] + " " * gap + right]


def ticket(order: OrderRead, store: str, timezone: str, width: int) -> list[str]:
    """The order as lines of at most ``width`` characters."""
    rule = "-" * width
    return [
        *(line.center(width).rstrip() for line in wrapped(store, width)),
        *(
            line.center(width).rstrip()
            for line in wrapped(f"PEDIDO {order.number} {_WAYS[order.fulfilment]}", width)
        ),
        *_times(order, timezone, width),
        rule,
        *wrapped(order.customer_name, width),
        *wrapped(order.customer_phone or "", width),
        *_address(order, width),
        rule,
        *(text for item in order.items for text in _item(item, order.currency, width)),
        rule,
        *_totals(order, width),
        *_payments(order, width),
        *([rule, *wrapped(f"OBS: {order.note}", width)] if order.note else []),
    ]


def escpos(lines: Iterable[str], code_page: CodePage) -> bytes:
    """The lines as an ESC/POS printer takes them, and a cut."""
    body = b"".join(line.encode(code_page, "replace") + b"\n" for line in lines)
    return _INIT + _SELECT[code_page] + body + _CUT


def page(lines: Iterable[str], title: str) -> str:
    """The lines as HTML for paper 80 mm wide."""
    text = html.escape("\n".join(lines))
    return (
        f'<!doctype html><html lang="pt-BR"><head><meta charset="utf-8">'
        f"<title>{html.escape(plain(title))}</title><style>@page{{size:80mm auto;margin:2mm}}"
        f"body{{margin:0;width:76mm}}pre{{font:11px/1.3 monospace;white-space:pre-wrap}}"
        f"</style></head><body><pre>{text}</pre></body></html>"
    )


def _times(order: OrderRead, timezone: str, width: int) -> Iterator[str]:
    def local(at: datetime) -> str:
        return at.astimezone(ZoneInfo(timezone)).strftime("%d/%m/%Y %H:%M")

    yield from wrapped(f"Feito em {local(order.placed_at)}", width)
    if order.scheduled_for is not None:
        yield from wrapped(f"AGENDADO para {local(order.scheduled_for)}", width)
    elif order.promised_at is not None:
        yield from wrapped(f"Previsto para {local(order.promised_at)}", width)


def _address(order: OrderRead, width: int) -> Iterator[str]:
    if order.delivery is None:
        return
    a = order.delivery.address
    street = ", ".join(str(a[k]) for k in ("street", "number", "complement") if a.get(k))
    place = " - ".join(str(a[k]) for k in ("district", "city", "state") if a.get(k))
    for text in (street, place, f"CEP {order.delivery.postal_code}"):
        yield from wrapped(text, width)


def _item(item: LineRead, currency: str, width: int) -> Iterator[str]:
    name = f"{item.quantity} x {item.name}" + (f" {item.variant_name}" if item.variant_name else "")
    full = item.unit_price_cents * item.quantity
    yield from two_ends(name, format_money(full, currency), width)
    for extra in item.modifiers:
        yield from wrapped(f"+ {extra['quantity']} x {extra['name']}", width, "  ")
    if item.note:
        yield from wrapped(f"* {item.note}", width, "  ")


def _totals(order: OrderRead, width: int) -> Iterator[str]:
    rows = (
        ("Subtotal", order.subtotal_cents, True),
        ("Desconto", -order.discount_cents, bool(order.discount_cents)),
        ("Entrega", order.shipping_cents, order.delivery is not None),
        (
            "Desconto na entrega",
            -order.shipping_discount_cents,
            bool(order.shipping_discount_cents),
        ),
        ("TOTAL", order.total_cents, True),
    )
    for label, cents, is_shown in rows:
        if is_shown:
            yield from two_ends(label, format_money(cents, order.currency), width)


def _payments(order: OrderRead, width: int) -> Iterator[str]:
    for payment in order.payments:
        if payment.status in ("cancelled", "failed"):
            continue
        label = METHOD_WORDS[payment.method] + (" (PAGO)" if payment.status == "paid" else "")
        yield from two_ends(label, format_money(payment.amount_cents, order.currency), width)
        if payment.change_for_cents:
            note = format_money(payment.change_for_cents, order.currency)
            change = payment.change_for_cents - payment.amount_cents
            yield from two_ends("Troco para", note, width)
            yield from two_ends("Levar de troco", format_money(change, order.currency), width)
