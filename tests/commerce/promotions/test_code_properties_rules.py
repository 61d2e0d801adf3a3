"""Promotions by codes, by property: no order of codes or promotions matters, one code per use."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.promotions.offers import (
    Cart,
    GeneratedCode,
    Promotion,
    PromotionContext,
    PromotionKind,
    PromotionResult,
    Reason,
)
from app.commerce.promotions.rules import apply
from tests.commerce.promotions.test_promotion_properties_rules import CARTS, CONTEXT, PROMOTIONS

WORDS = [f"FEIRA-{letter}" for letter in "CDFGHJ"]
TYPED = st.lists(st.sampled_from([*WORDS, "AMIGO", "volta10", "NADA", " feira-c "]), max_size=6)


@st.composite
def offers(draw: st.DrawFn) -> list[Promotion]:
    """Promotions of every kind; some go by codes, each code being of one of them alone."""
    found: list[Promotion] = draw(PROMOTIONS)
    words = draw(st.permutations(WORDS))
    made: list[Promotion] = []
    for offer in found:
        if not draw(st.booleans()):
            made.append(offer)
            continue
        mine, words = words[:2], words[2:]
        codes = tuple(
            GeneratedCode(
                word,
                usage_limit=draw(st.integers(1, 2)),
                used=draw(st.integers(0, 2)),
                is_revoked=draw(st.booleans()),
            )
            for word in mine
        )
        made.append(replace(offer, code=None, by_codes=True, codes=codes))
    return made


def cents(result: PromotionResult) -> int:
    return result.discount_cents + result.shipping_discount_cents


@given(offers(), CARTS, TYPED, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_no_order_of_anything_changes_the_outcome(
    promotions: list[Promotion], cart: Cart, typed: list[str], random: Random
) -> None:
    result = apply(promotions, cart, replace(CONTEXT, codes=tuple(typed)))
    lines = list(cart.lines)
    for them in (promotions, lines, typed):
        random.shuffle(them)
    shuffled = [replace(p, codes=tuple(random.sample(p.codes, len(p.codes)))) for p in promotions]
    context = replace(CONTEXT, codes=tuple(code.lower() for code in [*typed, *typed]))
    assert apply(shuffled, Cart(tuple(lines), cart.shipping_cents), context) == result


@given(offers(), CARTS, TYPED)
@settings(max_examples=150, deadline=None)
def test_a_use_has_one_code_that_may_be_used(
    promotions: list[Promotion], cart: Cart, typed: list[str]
) -> None:
    codes = {word.strip().upper() for word in typed}
    result = apply(promotions, cart, replace(CONTEXT, codes=tuple(typed)))
    by_id = {offer.id: offer for offer in promotions}
    for id in result.cents_by_promotion:
        offer = by_id[id]
        if offer.is_automatic:
            assert id not in result.codes
            continue
        code = result.codes[id]
        assert code in codes
        if offer.by_codes:
            mine = next(k for k in offer.codes if k.code == code)
            assert not mine.is_revoked
            assert mine.used < mine.usage_limit
    assert set(result.codes) <= set(result.cents_by_promotion)
    refused = [unused.code for unused in result.unused if unused.code is not None]
    words = {k.code for p in promotions for k in p.codes}
    for code in codes:
        owners = sum(p.code == code for p in promotions) + (code in words)
        told = refused.count(code) + list(result.codes.values()).count(code)
        assert told == max(1, owners), "every typed code is accounted for"


@given(offers(), CARTS)
@settings(max_examples=100, deadline=None)
def test_without_its_code_it_is_as_if_it_did_not_exist(
    promotions: list[Promotion], cart: Cart
) -> None:
    context = replace(CONTEXT, codes=())
    automatic = [offer for offer in promotions if offer.is_automatic]
    assert apply(promotions, cart, context) == apply(automatic, cart, context)


@given(CARTS, st.integers(0, 3), st.booleans())
def test_a_code_gives_what_an_automatic_one_would(cart: Cart, used: int, is_revoked: bool) -> None:
    code = GeneratedCode("FEIRA-C", 2, used, is_revoked)
    plain = Promotion(UUID(int=7), "offer", PromotionKind.PERCENT, 1000)
    coded = replace(plain, by_codes=True, codes=(code,))
    context = PromotionContext(CONTEXT.now, CONTEXT.timezone, CONTEXT.store_id, codes=("feira-c",))
    result = apply([coded], cart, context)
    if is_revoked or used >= 2:
        assert cents(result) == 0
        reason = Reason.CODE_REVOKED if is_revoked else Reason.CODE_USED
        assert [unused.reason for unused in result.unused] == [reason]
    else:
        assert cents(result) == cents(apply([plain], cart, context))
