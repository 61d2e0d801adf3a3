"""Messages of a checkout: code, where in the answer, how grave, and words for the buyer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from app.core.language import Language
from app.core.model import Json

Severity = Literal["recoverable", "requires_buyer_input", "requires_buyer_review", "unrecoverable"]
BY_HAND: Severity = "requires_buyer_input"

_WORDS: Mapping[str, tuple[str, str]] = {
    "missing_fulfillment": (
        "Escolha entre entrega e retirada.",
        "Choose between delivery and pickup.",
    ),
    "missing_destination": ("Informe o endereço de entrega.", "Give the delivery address."),
    "missing_store": ("Escolha em qual loja retirar.", "Choose the store to pick up at."),
    "missing_option": ("Escolha um horário.", "Choose a time."),
    "missing_field": ("Falta este dado.", "This field is missing."),
    "missing_phone": (
        "Informe o telefone de quem pede, com DDD.",
        "Give the buyer's phone number, with area code.",
    ),
    "missing_name": ("Informe o nome de quem pede.", "Give the buyer's name."),
    "missing_payment": ("Escolha como pagar.", "Choose how to pay."),
    "invalid_phone": (
        "O telefone não é válido: envie com DDD, por exemplo +5511987654321.",
        "The phone number is not valid: send it with area code, e.g. +5511987654321.",
    ),
    "invalid_email": ("O e-mail não é válido.", "The e-mail address is not valid."),
    "invalid_postal_code": (
        "O CEP não é válido: envie os oito dígitos.",
        "The postal code (CEP) is not valid: send its eight digits.",
    ),
    "invalid_region": (
        "Envie a UF com duas letras, por exemplo SP.",
        "Send the state as two letters, e.g. SP.",
    ),
    "abroad": ("A loja entrega apenas no Brasil.", "The store delivers within Brazil only."),
    "split": (
        "Um pedido vai inteiro por um único meio: entrega ou retirada.",
        "An order goes as a whole by one method: delivery or pickup.",
    ),
    "method_unknown": (
        "Só há entrega (shipping) e retirada (pickup).",
        "There is shipping and pickup, nothing else.",
    ),
    "destination_unknown": (
        "Esse local não é conhecido: escolha um dos destinations.",
        "This location is not known: choose one of destinations.",
    ),
    "no_fulfillment": (
        "Escolha a entrega ou a retirada na página da loja.",
        "Choose delivery or pickup on the store's own page.",
    ),
    "not_sold": ("A loja não tem este item: {names}.", "The store has no such item: {names}."),
    "unavailable": ("{name} não está disponível agora.", "{name} is not available now."),
    "variant_required": (
        "{name} é vendido por variação: envie o id dela.",
        "{name} is sold by variant: send the variant's id.",
    ),
    "choices_required": (
        "{name} tem escolhas a fazer na página da loja.",
        "{name} has choices to make on the store's own page.",
    ),
    "out_of_stock": ("De {name} restam {left}.", "Of {name} {left} are left."),
    "below_minimum": (
        "Faltam {missing} para o pedido mínimo.",
        "{missing} more are needed for the minimum order.",
    ),
    "store_closed": ("A loja não atende agora.", "The store takes no such order now."),
    "opens_at": ("A loja atende a partir de {at}.", "The store takes orders from {at} on."),
    "out_of_area": (
        "A loja não entrega neste endereço.",
        "The store does not deliver to this address.",
    ),
    "store_gone": ("Esta loja não atende mais.", "This store takes no more orders."),
    "price_changed": (
        "O total mudou: mostre o novo e confirme outra vez.",
        "The total has changed: show the new one and confirm again.",
    ),
    "customer_blocked": (
        "A loja não aceita pedidos deste número: fale com ela.",
        "The store takes no orders from this number: contact it.",
    ),
    "payment_refused": (
        "A loja não aceita esta forma de pagamento.",
        "The store does not take this payment method.",
    ),
    "no_payment": (
        "Esta forma de entrega se paga na página da loja.",
        "This is paid on the store's own page.",
    ),
    "change_too_small": (
        "O troco é para um valor menor que o total.",
        "The note to be changed is smaller than the total.",
    ),
    "expired": ("O prazo deste pedido acabou.", "The time of this checkout is over."),
    "pix": ("Pague com este código Pix copia e cola: {code}", "Pay with this Pix code: {code}"),
    "refused": ("O pedido não pôde ser feito.", "The order could not be placed."),
    "negotiation": (
        "A plataforma não fala a versão {version} do que pede.",
        "The platform does not speak version {version} of what it asks for.",
    ),
    "price_currency": (
        "O filtro de preço vale na moeda {currency}: informe-a em context.currency.",
        "A price filter counts in {currency}: name it in context.currency.",
    ),
    "not_found": ("Não há {id}.", "There is no {id}."),
}


def words(key: str, language: Language, **facts: object) -> str:
    """The sentence for a buyer."""
    return _WORDS[key][0 if language == "pt" else 1].format(**facts)


def error(code: str, path: str, content: str, severity: Severity = "recoverable") -> Json:
    """What keeps the checkout from being completed."""
    return {"type": "error", "code": code, "path": path, "content": content, "severity": severity}


def warning(code: str, path: str, content: str) -> Json:
    """What the buyer must be shown, and may go on with."""
    return {"type": "warning", "code": code, "path": path, "content": content}


def info(code: str, path: str, content: str) -> Json:
    return {"type": "info", "code": code, "path": path, "content": content}


def status_of(messages: list[Json]) -> str:
    """Which status these messages leave an open checkout in."""
    graves = {m["severity"] for m in messages if m["type"] == "error"}
    if graves & {"requires_buyer_input", "requires_buyer_review"}:
        return "requires_escalation"
    return "incomplete" if graves else "ready_for_complete"
