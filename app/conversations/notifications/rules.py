"""What each message about an order says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.contracts.commerce import OrderSummary
from app.core.money import format_money

# Both vendors take 4096 characters: room for the head and the foot around the lines.
_LONGEST_LINES = 3000
_LONGEST_FIELD = 200
_VARIABLE = re.compile(r"\{\{\s*([a-z_]{1,30})\s*\}\}")


@dataclass(frozen=True, slots=True)
class OrderFact:
    """What happened to an order: ``placed``, or the status it moved to."""

    name: str
    reason: str | None = None


def customer_text(order: OrderSummary, fact: OrderFact) -> str | None:
    """The WhatsApp text for the customer; None when this fact is not told."""
    head = _customer_head(order, fact)
    if head is None:
        return None
    paragraphs = [f"Olá, {_one_line(order.customer_name)}! {head}"]
    if fact.name == "placed":
        paragraphs.append(_content(order))
    if fact.reason and fact.name in ("cancelled", "rejected"):
        paragraphs.append(f"Motivo: {_one_line(fact.reason)}")
    if fact.name in ("placed", "confirmed"):
        paragraphs.append(
            f"Para acompanhar, abra o link do pedido nº {order.number} "
            "recebido ao finalizar a compra."
        )
    return "\n\n".join(paragraphs)


def values_of(order: OrderSummary, fact: OrderFact) -> dict[str, str]:
    """What a tenant's own words may name."""
    return {
        "customer_name": _one_line(order.customer_name),
        "order_number": str(order.number),
        "store_name": _one_line(order.store_name),
        "total": format_money(order.total_cents, order.currency),
        "items": "\n".join(_fitting(order.lines)[0]),
        "reason": _one_line(fact.reason or ""),
    }


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its ``{{variables}}``; one that is not known stays as it is."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


EXAMPLE = OrderSummary(
    UUID(int=0), 128, "confirmed", "pickup", 8990, "BRL", "Loja Centro", "Ana Souza",
    "+5511987654321", ("1 x Pizza calabresa grande",),
)  # fmt: skip
"""For previews."""


def shop_text(order: OrderSummary, fact: OrderFact) -> str | None:
    """The Telegram text for the shop's team: new orders and cancellations."""
    who = f"Cliente: {_one_line(order.customer_name)} {order.customer_phone}".rstrip()
    if fact.name == "placed":
        kind = "Retirada" if order.fulfilment == "pickup" else "Entrega"
        store = _one_line(order.store_name)
        return f"🔔 Novo pedido nº {order.number}, {store}\n{kind}\n{who}\n\n{_content(order)}"
    if fact.name == "cancelled":
        reason = f"\nMotivo: {_one_line(fact.reason)}" if fact.reason else ""
        total = format_money(order.total_cents, order.currency)
        return f"❌ Pedido nº {order.number} cancelado\n{who}\nTotal: {total}{reason}"
    return None


def stock_text(lines: list[str], *, more: bool) -> str:
    """The Telegram text of a stock report."""
    shown, cut = _fitting(lines)
    if cut or more:
        shown.append("… e mais; veja todos em Estoque.")
    return "\n".join(["📦 Estoque baixo", "", *shown])


def _customer_head(order: OrderSummary, fact: OrderFact) -> str | None:
    number, store = order.number, _one_line(order.store_name)
    if fact.name == "ready" and order.fulfilment != "pickup":
        return None
    return {
        "placed": f"Recebemos o seu pedido nº {number} em {store}.",
        "confirmed": f"O seu pedido nº {number} foi confirmado por {store}.",
        "out_for_delivery": f"O seu pedido nº {number} saiu para entrega.",
        "ready": f"O seu pedido nº {number} está pronto para retirada em {store}.",
        "delivered": f"O seu pedido nº {number} foi entregue. Obrigado pela preferência!",
        "cancelled": f"O seu pedido nº {number} foi cancelado.",
        "rejected": f"{store} não pôde aceitar o seu pedido nº {number}.",
    }.get(fact.name)


def _content(order: OrderSummary) -> str:
    shown, cut = _fitting(order.lines)
    if cut:
        shown.append(f"… e mais {cut} itens")
    total = format_money(order.total_cents, order.currency)
    return "\n".join([*shown, f"Total: {total}"])


def _fitting(lines: Sequence[str]) -> tuple[list[str], int]:
    """The lines that fit, and how many do not."""
    shown: list[str] = []
    left = _LONGEST_LINES
    for line in lines:
        text = f"• {_one_line(line)}"
        left -= len(text) + 1
        if left < 0:
            break
        shown.append(text)
    return shown, len(lines) - len(shown)


def _one_line(text: str) -> str:
    """Free text as one line, so that nobody's name forges a line of ours."""
    return " ".join(text.split())[:_LONGEST_FIELD]
