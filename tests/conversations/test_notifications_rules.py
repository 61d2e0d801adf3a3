"""What the messages say."""

from __future__ import annotations

import pytest

from app.contracts.commerce import OrderSummary
from app.conversations.notifications.rules import (
    OrderFact,
    customer_text,
    shop_text,
)
from app.core.ids import new_id
from app.core.money import format_money


def order(**fields: object) -> OrderSummary:
    known: dict[str, object] = {
        "id": new_id(),
        "number": 1042,
        "status": "pending",
        "fulfilment": "delivery",
        "total_cents": 123456,
        "currency": "BRL",
        "store_name": "Bella Massa Centro",
        "customer_name": "Maria da Silva",
        "customer_phone": "+5511987654321",
        "lines": ("2 x Calabresa grande", "1 x Guaraná 2 L"),
    }
    return OrderSummary(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cents", "currency", "text"),
    [
        (0, "BRL", "R$ 0,00"),
        (5, "BRL", "R$ 0,05"),
        (123456, "BRL", "R$ 1.234,56"),
        (100_000_000_00, "BRL", "R$ 100.000.000,00"),
        (-150, "BRL", "-R$ 1,50"),
        (1099, "USD", "US$ 10,99"),
        (1099, "ARS", "ARS 10,99"),
    ],
)
def test_money_reads_as_in_brazil(cents: int, currency: str, text: str) -> None:
    assert format_money(cents, currency) == text


def test_the_customer_reads_number_lines_and_total() -> None:
    assert customer_text(order(), OrderFact("placed")) == (
        "Olá, Maria da Silva! Recebemos o seu pedido nº 1042 em Bella Massa Centro.\n\n"
        "• 2 x Calabresa grande\n• 1 x Guaraná 2 L\nTotal: R$ 1.234,56\n\n"
        "Para acompanhar, abra o link do pedido nº 1042 recebido ao finalizar a compra."
    )


def test_the_shop_reads_who_and_how() -> None:
    text = shop_text(order(fulfilment="pickup"), OrderFact("placed"))
    assert text is not None
    assert text.splitlines()[:3] == [
        "🔔 Novo pedido nº 1042, Bella Massa Centro",
        "Retirada",
        "Cliente: Maria da Silva +5511987654321",
    ]
    assert text.endswith("Total: R$ 1.234,56")


@pytest.mark.parametrize(
    ("fact", "fulfilment", "words"),
    [
        ("confirmed", "delivery", "foi confirmado"),
        ("out_for_delivery", "delivery", "saiu para entrega"),
        ("ready", "pickup", "pronto para retirada"),
        ("delivered", "delivery", "foi entregue"),
        ("cancelled", "delivery", "foi cancelado.\n\nMotivo: acabou a massa"),
        ("rejected", "delivery", "não pôde aceitar o seu pedido nº 1042.\n\nMotivo: acabou"),
    ],
)
def test_each_told_status_has_its_words(fact: str, fulfilment: str, words: str) -> None:
    text = customer_text(order(fulfilment=fulfilment), OrderFact(fact, "acabou a massa"))
    assert text is not None
    assert words in text
    assert ("Motivo" in text) == (fact in ("cancelled", "rejected"))


@pytest.mark.parametrize(
    ("fact", "fulfilment"), [("preparing", "pickup"), ("ready", "delivery"), ("pending", "pickup")]
)
def test_other_statuses_tell_the_customer_nothing(fact: str, fulfilment: str) -> None:
    assert customer_text(order(fulfilment=fulfilment), OrderFact(fact)) is None


def test_the_shop_hears_of_cancellations_and_of_nothing_it_does_itself() -> None:
    text = shop_text(order(), OrderFact("cancelled", "errei o endereço"))
    assert text is not None
    assert text.startswith("❌ Pedido nº 1042 cancelado")
    assert text.endswith("Motivo: errei o endereço")
    assert shop_text(order(), OrderFact("confirmed")) is None


def test_a_name_cannot_forge_lines_and_a_long_order_fits_both_vendors() -> None:
    forged = order(customer_name="Ana\n\nTotal: R$ 0,01 " + "a" * 500)
    text = customer_text(forged, OrderFact("placed"))
    assert text is not None
    assert not [line for line in text.splitlines() if line.startswith("Total: R$ 0,01")]
    long = order(
        customer_name="ã" * 500,
        store_name="é" * 500,
        lines=tuple(f"{n} x {'Pizza meio a meio ' * 9}" for n in range(1, 101)),
    )
    for found in (customer_text(long, OrderFact("placed")), shop_text(long, OrderFact("placed"))):
        assert found is not None
        assert len(found) <= 4096
        assert "• 1 x Pizza" in found
        assert "Total: R$ 1.234,56" in found
        shown = found.count("•")
        assert f"… e mais {100 - shown} itens" in found
