"""An order on paper: no line is too wide, nothing of the order is missing, no byte is a command."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.counter.printing import escpos, page, plain, ticket, two_ends, wrapped
from app.commerce.orders.schemas import OrderRead

AT = datetime(2026, 3, 7, 22, 30, tzinfo=UTC)
ID = UUID(int=7)


def order(**fields: Any) -> OrderRead:
    facts: dict[str, Any] = {
        name: None for name in OrderRead.model_fields
    } | {
        "id": ID, "number": 1234, "status": "pending", "version": 1, "fulfilment": "delivery",
        "store_id": ID, "contact_id": ID, "customer_name": "Conceição Araújo",
        "customer_phone": "+5511987654321", "total_cents": 12870, "currency": "BRL",
        "source": "storefront", "placed_at": AT, "status_since": AT, "is_late": False,
        "subtotal_cents": 12170, "discount_cents": 500, "shipping_cents": 1200,
        "shipping_discount_cents": 0, "redemptions": [], "history": [],
        "notes": [], "edits": [], "allowed": [],
        "items": [item()],
        "payments": [
            {"id": ID, "method": "cash", "amount_cents": 12870, "status": "pending",
             "change_for_cents": 15000, "received_cents": 0, "flag": None,
             "provider_ref": None, "error": None, "paid_at": None},
        ],
        "refunds": [],
        "delivery": {
            "postal_code": "05422010", "distance_meters": 900, "fee_cents": 1200, "minutes": 40,
            "address": {"street": "Rua dos Pinheiros", "number": "498", "district": "Pinheiros",
                        "city": "São Paulo", "state": "SP"},
        },
    }  # fmt: skip
    return OrderRead.model_validate(facts | fields)


def item(**fields: Any) -> dict[str, Any]:
    return {
        "id": ID, "product_id": ID, "variant_id": None, "name": "Pizza calabresa",
        "variant_name": "Grande", "unit_price_cents": 6085, "quantity": 2, "discount_cents": 0,
        "total_cents": 12170, "note": "sem cebola", "list_price_cents": None,
        "modifiers": [{"id": str(ID), "name": "Borda recheada", "price_cents": 800,
                       "quantity": 1}],
    } | fields  # fmt: skip


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=120)


@given(
    name=ANY_TEXT,
    note=ANY_TEXT,
    store=ANY_TEXT,
    extra=ANY_TEXT,
    street=ANY_TEXT,
    cents=st.integers(0, 10**11),
    width=st.sampled_from([32, 48]),
)
@settings(deadline=None, max_examples=200)
def test_no_line_is_wider_than_the_paper_whatever_people_typed(
    name: str, note: str, store: str, extra: str, street: str, cents: int, width: int
) -> None:
    made = order(
        customer_name=name,
        note=note,
        total_cents=cents,
        items=[
            item(
                name=name,
                note=note,
                unit_price_cents=cents,
                modifiers=[{"name": extra, "quantity": 2, "id": "x", "price_cents": 1}],
            )
        ],
        delivery={
            "postal_code": "05422010",
            "distance_meters": None,
            "fee_cents": 0,
            "minutes": 1,
            "address": {"street": street},
        },
    )
    lines = ticket(made, store, "America/Sao_Paulo", width)
    assert max(map(len, lines)) <= width
    assert all(line.isprintable() for line in lines)
    for code_page in ("cp860", "cp850"):
        body = escpos(lines, code_page)
        head, tail = body[:5], body[-7:]
        assert head == b"\x1b@\x1bt" + (b"\x03" if code_page == "cp860" else b"\x02")
        assert tail == b"\n\n\n\x1dV\x42\x00"
        printed = body[5:-7]
        assert not set(printed) & (set(range(32)) - {10}), "no command inside"
        assert max(len(line) for line in printed.split(b"\n")) <= width


@given(ANY_TEXT, st.sampled_from([32, 48]))
@settings(deadline=None)
def test_wrapping_loses_no_character(text: str, width: int) -> None:
    assert "".join("".join(wrapped(text, width)).split()) == "".join(plain(text).split())


@pytest.mark.parametrize("width", [32, 48])
def test_it_says_everything_that_kitchen_and_courier_need(width: int) -> None:
    lines = ticket(order(note="interfone 42"), "Bella Massa", "America/Sao_Paulo", width)
    text = "\n".join(lines)
    for part in (
        "PEDIDO 1234 ENTREGA", "Conceição Araújo", "2 x Pizza calabresa Grande", "R$ 121,70",
        "+ 1 x Borda recheada", "* sem cebola", "Rua dos Pinheiros, 498", "CEP 05422010",
        "-R$ 5,00", "R$ 12,00", "TOTAL", "R$ 128,70", "Dinheiro", "Troco para", "R$ 150,00",
        "Levar de troco", "R$ 21,30", "OBS: interfone 42", "07/03/2026 19:30",
    ):  # fmt: skip
        assert part in text
    assert escpos(lines, "cp860").decode("cp860", "replace").count("Conceição Araújo") == 1
    assert escpos(lines, "cp850").decode("cp850", "replace").count("São Paulo") == 1


def test_a_customer_cannot_command_the_printer_nor_the_browser() -> None:
    sly = order(note="\x1b@\x1dV\x00 abrir\x1bp\x00 <script>alert(1)</script>\nx")
    lines = ticket(sly, "Loja", "America/Sao_Paulo", 48)
    assert b"\x1bp" not in escpos(lines, "cp850")
    assert "<script>" not in page(lines, "Pedido <b>1")
    assert "&lt;script&gt;" in page(lines, "Pedido 1")
    assert "<b>" not in page(lines, "Pedido <b>1")


def test_what_does_not_fit_beside_the_price_goes_above_it() -> None:
    assert two_ends("Pizza", "R$ 1,00", 16) == ["Pizza    R$ 1,00"]
    assert two_ends("Pizza calabresa", "R$ 1,00", 16) == ["Pizza calabresa", "         R$ 1,00"]
    assert two_ends("Pizza de calabresa", "R$ 1,00", 17) == ["Pizza de", "calabresa R$ 1,00"]
