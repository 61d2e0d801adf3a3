"""Every reason in words: Portuguese and English, with the figures a person needs."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

import pytest

from app.commerce.promotions.offers import (
    GeneratedCode,
    Promotion,
    PromotionKind,
    PromotionScope,
    Reason,
    Unused,
)
from app.commerce.promotions.words import Reader, applied, why

PT, EN = Reader("pt", "America/Sao_Paulo"), Reader("en", "America/Sao_Paulo")
K = PromotionKind
ONCE, THRICE = GeneratedCode("FEIRA-1", used=1), GeneratedCode("FEIRA-3", 3, 3)
NIGHT = {"hour_from": time(18), "hour_to": time(2)}

SAID: list[tuple[Reason, dict[str, Any], dict[str, Any], str, str]] = [
    (Reason.UNKNOWN, {"code": "NADA"}, {},
     "Não encontramos o cupom NADA.", "There is no coupon NADA."),
    (Reason.PAUSED, {}, {}, "A promoção está pausada.", "The promotion is paused."),
    (Reason.CODE_MISSING, {}, {"code": "DEZ"},
     "Vale só com o cupom DEZ.", "It takes the coupon DEZ."),
    (Reason.CODE_MISSING, {}, {"by_codes": True},
     "Vale só com um dos seus códigos.", "It takes one of its codes."),
    (Reason.CODE_REVOKED, {"code": "FEIRA-1"}, {"codes": (ONCE,)},
     "O cupom FEIRA-1 foi cancelado pela loja.", "The store cancelled the coupon FEIRA-1."),
    (Reason.CODE_USED, {"code": "FEIRA-1"}, {"codes": (ONCE, THRICE)},
     "O cupom FEIRA-1 já foi usado.", "The coupon FEIRA-1 was used already."),
    (Reason.CODE_USED, {"code": "FEIRA-3"}, {"codes": (ONCE, THRICE)},
     "O cupom FEIRA-3 já foi usado 3 vezes.", "The coupon FEIRA-3 was used 3 times."),
    (Reason.NOT_STARTED, {}, {"starts_at": datetime(2026, 12, 1, 3, tzinfo=UTC)},
     "Vale a partir de 01/12/2026 às 00:00.", "It starts on 1 Dec 2026 at 00:00."),
    (Reason.EXPIRED, {}, {"ends_at": datetime(2026, 12, 1, 2, 30, tzinfo=UTC)},
     "Valeu até 30/11/2026 às 23:30.", "It ended on 30 Nov 2026 at 23:30."),
    (Reason.EXPIRED, {}, {"ends_at": datetime(1, 1, 1, tzinfo=UTC)},
     "Valeu até 01/01/1 às 00:00.", "It ended on 1 Jan 1 at 00:00."),
    (Reason.WRONG_WEEKDAY, {}, {"weekdays": frozenset({1})},
     "Vale só nestes dias: terça.", "Only on these days: Tuesday."),
    (Reason.WRONG_WEEKDAY, {}, {"weekdays": frozenset({6, 0, 2})},
     "Vale só nestes dias: segunda, quarta e domingo.",
     "Only on these days: Monday, Wednesday and Sunday."),
    (Reason.WRONG_HOUR, {}, NIGHT, "Vale só das 18:00 às 02:00.", "Only from 18:00 to 02:00."),
    (Reason.NOT_FIRST_ORDER, {}, {}, "Vale só no primeiro pedido.", "Only on the first order."),
    (Reason.LIMIT_REACHED, {}, {"usage_limit": 200},
     "Os 200 usos acabaram.", "All 200 uses are gone."),
    (Reason.LIMIT_REACHED, {}, {"usage_limit": 1}, "O único uso acabou.", "Its only use is gone."),
    (Reason.CUSTOMER_LIMIT_REACHED, {}, {"per_customer_limit": 2},
     "Cada cliente pode usar 2 vezes, e você já usou.",
     "Each customer may use it 2 times, and you did."),
    (Reason.BUDGET_SPENT, {}, {"budget_cents": 1_000_000},
     "O valor reservado para esta promoção acabou.",
     "What was set aside for this promotion is spent."),
    (Reason.BELOW_MINIMUM, {"missing_cents": 1250}, {"value": 1250},
     "Faltam R$ 12,50 para ganhar 12,5% de desconto.", "Add R$ 12.50 to get 12.5% off."),
    (Reason.BELOW_MINIMUM, {"missing_cents": 100}, {"kind": K.FIXED, "value": 500},
     "Falta R$ 1,00 para ganhar R$ 5,00 de desconto.", "Add R$ 1.00 to get R$ 5.00 off."),
    (Reason.BELOW_MINIMUM, {"missing_cents": 200}, {"kind": K.FREE_SHIPPING},
     "Faltam R$ 2,00 para ganhar frete grátis.", "Add R$ 2.00 to get free delivery."),
    (Reason.BELOW_MINIMUM, {"missing_cents": 200},
     {"kind": K.FREE_SHIPPING, "max_discount_cents": 800},
     "Faltam R$ 2,00 para ganhar até R$ 8,00 de desconto no frete.",
     "Add R$ 2.00 to get up to R$ 8.00 off the delivery."),
    (Reason.TOO_FEW_ITEMS, {"missing_units": 1},
     {"kind": K.BUY_X_GET_Y, "value": 10_000, "buy_quantity": 2},
     "Falta 1 item para levar 3 e pagar 2.", "Add 1 item to get 3 and pay for 2."),
    (Reason.TOO_FEW_ITEMS, {"missing_units": 2}, {"kind": K.BUY_X_GET_Y, "value": 5_000},
     "Faltam 2 itens para ganhar 50% de desconto em 1 item.",
     "Add 2 items to get 50% off 1 item."),
    (Reason.WRONG_STORE, {}, {}, "Não vale nesta loja.", "Not at this store."),
    (Reason.NO_MATCHING_ITEM, {}, {"kind": K.FREE_SHIPPING},
     "Não há frete a descontar neste pedido.", "This order has no delivery fee."),
    (Reason.NO_MATCHING_ITEM, {}, {"scope": PromotionScope.CATEGORY},
     "Nenhum item do pedido participa.", "No item of the order takes part."),
    (Reason.NO_MATCHING_ITEM, {}, {},
     "Não há o que descontar neste pedido.", "There is nothing to take it off."),
    (Reason.SUPERSEDED, {}, {},
     "Não se soma ao desconto que o pedido já tem, que é o melhor.",
     "It does not add to the discount the order has, which is the best."),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "facts", "of", "pt", "en"), SAID)
def test_a_reason_in_words(
    reason: Reason, facts: dict[str, Any], of: dict[str, Any], pt: str, en: str
) -> None:
    rule = Promotion(UUID(int=1), "Promo", **{"kind": K.PERCENT, "value": 1000, **of})
    unused = Unused(reason, rule.id, **facts)
    assert why(unused, rule, PT) == pt
    assert why(unused, rule, EN) == en


def test_every_reason_has_words() -> None:
    assert {reason for reason, *_ in SAID} == set(Reason)


def test_a_code_of_nobody_has_no_promotion() -> None:
    assert why(Unused(Reason.UNKNOWN, code="X1"), None, PT) == "Não encontramos o cupom X1."


def test_what_applies_says_what_it_gives() -> None:
    assert (applied(1250, PT), applied(1250, EN)) == ("R$ 12,50 de desconto.", "R$ 12.50 off.")
