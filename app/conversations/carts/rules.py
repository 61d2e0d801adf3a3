"""What a cart's message says, what a person is asked and told of it, and how orders are shown."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.contracts.carts import CartItem, CartOffer, CartRefused, CartSold, CartWay, PixRequest
from app.conversations.sending.schemas import Button, ButtonsMessage, OwnInteractive, TextMessage
from app.core.money import format_money

RECEIVED = "conversations.carts.received"
ANSWERED = "conversations.carts.answered"
DROP = "drop"
_PREFIX = "cart"
_BODY = 1024
_MOST_ITEMS, _MOST_OF_ONE = 100, 999
_OFFSET = 100
"""The vendor's amounts are cents, and say so."""
STATUSES = {
    "confirmed": "processing",
    "preparing": "processing",
    "ready": "processing",
    "out_for_delivery": "shipped",
    "delivered": "completed",
    "cancelled": "canceled",
    "rejected": "canceled",
}
"""How the vendor calls what happens to an order."""
_BUTTONS = {"delivery": "Receber em casa", "pickup": "Retirar na loja"}
_REFUSED = {
    "items-unavailable": "Não dá para pedir assim: {names}.",
    "items-unknown": "Estes itens não estão mais à venda: {names}.",
    "out-of-stock": "Acabou, ou não há o bastante: {names}.",
    "out-of-delivery-area": "Ainda não entregamos no seu endereço.",
    "customer-blocked": "Não podemos aceitar este pedido por aqui. Fale com a loja.",
    "invalid-phone": "Para pedir por aqui precisamos do seu telefone. Pode nos mandar?",
}
_OTHERWISE = "Não conseguimos fechar este pedido por aqui. Alguém da equipe vai ajudar."


def job_of(kind: str, content: dict[str, Any]) -> str | None:
    """The job that a contact's message starts: a cart, or a choice about one."""
    if kind == "order":
        return RECEIVED
    return ANSWERED if kind == "interactive" and choice_of(content) is not None else None


def items_of(content: dict[str, Any]) -> tuple[CartItem, ...]:
    """What is in the cart, each thing once; empty when it cannot be read as a cart.

    The prices that the message names are the vendor's copy of ours: nobody believes them.
    """
    part = content.get("order")
    listed = part.get("product_items") if isinstance(part, dict) else None
    counted: dict[str, int] = {}
    for item in listed if isinstance(listed, list) else []:
        name = item.get("product_retailer_id") if isinstance(item, dict) else None
        try:
            quantity = int(item.get("quantity", 0)) if isinstance(item, dict) else 0
        except (TypeError, ValueError):
            return ()
        if not isinstance(name, str) or not name or "\x00" in name or quantity < 1:
            return ()
        counted[name] = counted.get(name, 0) + quantity
    if len(counted) > _MOST_ITEMS or any(n > _MOST_OF_ONE for n in counted.values()):
        return ()
    return tuple(CartItem(name, quantity) for name, quantity in counted.items())


def choice_of(content: dict[str, Any]) -> tuple[UUID, str] | None:
    """The cart and the choice that a pressed button names."""
    part = content.get("interactive")
    reply = part.get("button_reply") if isinstance(part, dict) else None
    pressed = str(reply.get("id", "")) if isinstance(reply, dict) else ""
    prefix, _, rest = pressed.partition(":")
    id_, _, choice = rest.partition(":")
    if prefix != _PREFIX or choice not in (*_BUTTONS, DROP):
        return None
    try:
        return UUID(id_), choice
    except ValueError:
        return None


def question(cart_id: UUID, offer: CartOffer, *, is_news: bool) -> ButtonsMessage:
    """What the cart costs by each way, and the buttons that order it."""
    head = "Os preços mudaram. Seu carrinho agora" if is_news else "Seu carrinho"
    ways = [_way(way, offer.currency) for way in offer.ways]
    foot = "\n".join([*ways, "Como você prefere?"])
    room = _BODY - len(head) - len(offer.store_name) - len(foot) - 20
    text = f"{head} em {offer.store_name}:\n{_fitting(offer.lines, room)}\n\n{foot}"
    buttons = [(way.fulfilment, _BUTTONS[way.fulfilment]) for way in offer.ways]
    return ButtonsMessage(
        type="buttons",
        text=text[:_BODY],
        buttons=[
            Button(id=f"{_PREFIX}:{cart_id}:{name}", title=title)
            for name, title in [*buttons, (DROP, "Desistir")]
        ],
    )


def _way(way: CartWay, currency: str) -> str:
    total = format_money(way.total_cents, currency)
    if way.fulfilment == "pickup":
        return f"Retirada na loja: {total}"
    freight = format_money(way.shipping_cents, currency) if way.shipping_cents else "grátis"
    return f"Entrega em {way.address} (frete {freight}): {total}"


def _fitting(lines: tuple[str, ...], room: int) -> str:
    """As many lines as the room takes, and how many there are beside."""
    kept: list[str] = []
    for at, line in enumerate(lines):
        if sum(len(k) + 1 for k in kept) + len(line) + 20 > room:
            return "\n".join([*kept, f"… e mais {len(lines) - at}"])
        kept.append(line)
    return "\n".join(kept)


def refusal(why: CartRefused) -> TextMessage:
    """Why there is no order, and what the person may do about it."""
    if why.code == "store-closed":
        opens = f" Abrimos {why.opens_at:%d/%m às %H:%M}." if why.opens_at else ""
        said = f"Estamos fechados agora.{opens}"
    elif why.code == "below-minimum-order":
        missing = format_money(why.missing_cents, why.currency)
        said = f"Faltam {missing} para o pedido mínimo."
    elif why.code == "cart-already-ordered":
        said = f"Este carrinho já é o pedido nº {why.names[0]}."
    else:
        template = _REFUSED.get(why.code, _OTHERWISE)
        said = template.format(names=", ".join(why.names) or "itens do carrinho")
    return TextMessage(type="text", text=said[:4096])


def receipt(sold: CartSold) -> OwnInteractive | TextMessage:
    """The order as the vendor shows orders, with the PIX to pay it; in words without a PIX."""
    if sold.pix is not None:
        said = f"Pedido nº {sold.number} recebido! Pague com PIX para confirmarmos."
        interactive = {
            "type": "order_details",
            "body": {"text": said},
            "action": {"name": "review_and_pay", "parameters": _details(sold, sold.pix)},
        }
        return OwnInteractive.model_validate({"text": said, "interactive": interactive})
    lines = tuple(f"{line.quantity} x {line.name}" for line in sold.lines)
    total = format_money(sold.total_cents, sold.currency)
    when = "na entrega" if sold.fulfilment == "delivery" else "na retirada"
    return TextMessage(
        type="text",
        text=f"Pedido nº {sold.number} recebido!\n{_fitting(lines, 3000)}\n\n"
        f"Total: {total}, pago {when}.",
    )


def _details(sold: CartSold, pix: PixRequest) -> dict[str, Any]:
    """Order and PIX in the vendor's shape (Payments API for Brazil, offsite PIX)."""
    code = {
        "code": pix.code,
        "merchant_name": pix.merchant_name,
        "key": pix.key,
        "key_type": pix.key_type.upper(),
    }
    return {
        "reference_id": reference_of(sold.order_id),
        "type": "physical-goods",
        "payment_type": "br",
        "payment_settings": [{"type": "pix_dynamic_code", "pix_dynamic_code": code}],
        "currency": sold.currency,
        "total_amount": _amount(sold.total_cents),
        "order": _order(sold),
    }


def _order(sold: CartSold) -> dict[str, Any]:
    order: dict[str, Any] = {
        "status": "pending",
        "items": [
            {
                "retailer_id": line.retailer_id,
                "name": line.name[:60],
                "amount": _amount(line.unit_cents),
                "quantity": line.quantity,
            }
            for line in sold.lines
        ],
        "subtotal": _amount(sold.subtotal_cents),
        "tax": _amount(0) | {"description": "Impostos inclusos"},
    }
    if sold.shipping_cents:
        order["shipping"] = _amount(sold.shipping_cents)
    if sold.discount_cents:
        order["discount"] = _amount(sold.discount_cents)
    return order


def progress(order_id: UUID, fact: str, text: str) -> OwnInteractive | None:
    """How far the order got, as the vendor shows it; None for what it has no word for."""
    status = STATUSES.get(fact)
    if status is None:
        return None
    interactive = {
        "type": "order_status",
        "body": {"text": text[:_BODY]},
        "action": {
            "name": "review_order",
            "parameters": {"reference_id": reference_of(order_id), "order": {"status": status}},
        },
    }
    return OwnInteractive.model_validate({"text": text[:_BODY], "interactive": interactive})


def reference_of(order_id: UUID) -> str:
    """At most 35 characters, and nobody else's."""
    return order_id.hex


def _amount(cents: int) -> dict[str, Any]:
    return {"value": cents, "offset": _OFFSET}
