"""Which promotions a cart earns, how many cents each takes off which line, and why others do not.

The outcome depends on what is in the cart and which promotions exist, never on the order in which
either is given. Combinable promotions stack, each on what the ones before left (lowest
``priority`` first, then id); of every single non-combinable one and the combinable ones together
the customer gets the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.commerce.promotions.offers import (
    Cart,
    CartLine,
    DiscountLine,
    Promotion,
    PromotionContext,
    PromotionKind,
    PromotionResult,
    PromotionScope,
    Reason,
    Unused,
    normalise_code,
)


@dataclass(slots=True)
class _Stack:
    """Promotions applied one after the other to what is left of a cart."""

    cart: Cart
    store_id: UUID
    left: dict[str, int] = field(init=False)
    shipping_left: int = field(init=False)
    lines: list[DiscountLine] = field(default_factory=list)
    shipping: list[DiscountLine] = field(default_factory=list)
    without_effect: list[Promotion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = {line.key: line.cents for line in self.cart.lines}
        self.shipping_left = self.cart.shipping_cents

    @property
    def cents(self) -> int:
        return sum(part.cents for part in (*self.lines, *self.shipping))

    def take(self, promotion: Promotion) -> None:
        if promotion.kind is PromotionKind.FREE_SHIPPING:
            weight = self.shipping_left if _matching(promotion, self.cart, self.store_id) else 0
            cents = _capped(promotion, weight)
            if cents:
                self.shipping.append(DiscountLine(promotion.id, None, cents))
                self.shipping_left -= cents
        else:
            weights = self._weights(promotion)
            cents = _capped(promotion, _worth(promotion, sum(weights.values())))
            for key, part in allocate(cents, weights).items():
                if part:
                    self.lines.append(DiscountLine(promotion.id, key, part))
                    self.left[key] -= part
        if not cents:
            self.without_effect.append(promotion)

    def _weights(self, promotion: Promotion) -> dict[str, int]:
        matching = _matching(promotion, self.cart, self.store_id)
        if promotion.kind is not PromotionKind.BUY_X_GET_Y:
            return {line.key: self.left[line.key] for line in matching}
        return {
            line.key: min(units * line.unit_cents, self.left[line.key])
            for line, units in _rewarded(promotion, matching)
        }


def apply(
    promotions: Iterable[Promotion], cart: Cart, context: PromotionContext
) -> PromotionResult:
    """Return the discounts the cart earns and why every other promotion or typed code does not.

    Automatic promotions are always considered, those with codes when one of them was typed. No
    line and no shipping falls below zero; the parts of a promotion add up to it to the cent.
    """
    codes = {code for code in map(normalise_code, context.codes) if code}
    eligible: list[Promotion] = []
    unused: list[Unused] = []
    claims: dict[UUID, str | None] = {}
    known: set[str] = set()
    for promotion in sorted(promotions, key=_precedence):
        claim = _claim(promotion, codes)
        known |= claim.known
        unused += claim.refused
        if not claim.is_made:
            continue
        claims[promotion.id] = claim.code
        refusal = _refusal(promotion, cart, context)
        if refusal is None:
            eligible.append(promotion)
        else:
            unused.append(replace(refusal, code=claim.code))
    best, superseded = _best(eligible, cart, context.store_id)
    unused += [Unused(Reason.SUPERSEDED, loser.id, claims[loser.id]) for loser in superseded]
    unused += [Unused(Reason.UNKNOWN, code=code) for code in sorted(codes - known)]
    applied = {part.promotion_id for part in (*best.lines, *best.shipping)}
    return PromotionResult(
        lines=tuple(sorted(best.lines, key=lambda part: (part.promotion_id, part.line_key or ""))),
        shipping=tuple(sorted(best.shipping, key=lambda part: part.promotion_id)),
        unused=tuple(unused),
        codes={id: code for id in sorted(applied) if (code := claims[id]) is not None},
    )


@dataclass(frozen=True, slots=True)
class _Claim:
    """By which of the typed codes a promotion is asked for, if it is."""

    is_made: bool
    code: str | None = None
    known: frozenset[str] = frozenset()
    """Typed codes that are this promotion's, usable or not."""
    refused: tuple[Unused, ...] = ()


def _claim(promotion: Promotion, codes: set[str]) -> _Claim:
    if promotion.is_automatic:
        return _Claim(True)
    if promotion.code is not None:
        code = normalise_code(promotion.code)
        return _Claim(True, code, frozenset({code})) if code in codes else _Claim(False)
    typed = sorted((k for k in promotion.codes if k.code in codes), key=lambda k: k.code)
    usable = [k for k in typed if k.refusal is None]
    # One use per order: of several codes the first by name, whoever typed which first.
    refused = [
        Unused(k.refusal or Reason.SUPERSEDED, promotion.id, k.code)
        for k in typed
        if k not in usable[:1]
    ]
    return _Claim(
        bool(usable),
        usable[0].code if usable else None,
        frozenset(k.code for k in typed),
        tuple(refused),
    )


def allocate(cents: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Split ``cents`` over ``weights`` in proportion, by largest remainder, to the exact cent.

    Equal remainders go by key. No part exceeds its weight while ``cents`` does not exceed their
    sum; beyond that, or negative, raises ValueError.
    """
    whole = sum(weights.values())
    if not 0 <= cents <= whole:
        raise ValueError("cents to allocate must lie between 0 and the sum of the weights")
    if not whole:
        return dict.fromkeys(weights, 0)
    parts = {key: cents * weight // whole for key, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda key: (-(cents * weights[key] % whole), key))
    for key in by_remainder[: cents - sum(parts.values())]:
        parts[key] += 1
    return parts


def _precedence(promotion: Promotion) -> tuple[int, UUID]:
    return (promotion.priority, promotion.id)


def _best(eligible: list[Promotion], cart: Cart, store_id: UUID) -> tuple[_Stack, list[Promotion]]:
    """Return the stack that saves most and the promotions that are not part of it."""
    together = [promotion for promotion in eligible if promotion.combinable]
    choices = [[promotion] for promotion in eligible if not promotion.combinable]
    if together:
        choices.append(together)
    best: _Stack | None = None
    chosen: list[Promotion] = []
    # Read in order of precedence, so that of equal savings the first one stays.
    for choice in sorted(choices, key=lambda members: _precedence(members[0])):
        stack = _Stack(cart, store_id)
        for promotion in choice:
            stack.take(promotion)
        if best is None or stack.cents > best.cents:
            best, chosen = stack, choice
    if best is None:
        return _Stack(cart, store_id), []
    effective = [promotion for promotion in chosen if promotion not in best.without_effect]
    return best, [promotion for promotion in eligible if promotion not in effective]


def _refusal(promotion: Promotion, cart: Cart, context: PromotionContext) -> Unused | None:
    reason = _time_reason(promotion, context) or _limit_reason(promotion, context)
    missing = promotion.min_subtotal_cents - cart.subtotal_cents
    if reason is None and missing > 0:
        return Unused(Reason.BELOW_MINIMUM, promotion.id, promotion.code, missing)
    if reason is None:
        alone = _Stack(cart, context.store_id)
        alone.take(promotion)
        if not alone.cents:
            return _no_effect(promotion, cart, context.store_id)
    return Unused(reason, promotion.id, promotion.code) if reason else None


def _no_effect(promotion: Promotion, cart: Cart, store_id: UUID) -> Unused:
    if promotion.scope is PromotionScope.STORE and store_id not in promotion.target_ids:
        return Unused(Reason.WRONG_STORE, promotion.id, promotion.code)
    units = sum(line.quantity for line in _matching(promotion, cart, store_id))
    missing = max(1, promotion.buy_quantity) + max(1, promotion.get_quantity) - units
    if promotion.kind is PromotionKind.BUY_X_GET_Y and units and missing > 0:
        return Unused(Reason.TOO_FEW_ITEMS, promotion.id, promotion.code, missing_units=missing)
    return Unused(Reason.NO_MATCHING_ITEM, promotion.id, promotion.code)


def is_its_time(promotion: Promotion, context: PromotionContext) -> bool:
    """Whether dates, weekdays and hours let it apply."""
    return _time_reason(promotion, context) is None


def _time_reason(promotion: Promotion, context: PromotionContext) -> Reason | None:
    if promotion.starts_at is not None and context.now < promotion.starts_at:
        return Reason.NOT_STARTED
    if promotion.ends_at is not None and context.now >= promotion.ends_at:
        return Reason.EXPIRED
    local = context.now.astimezone(ZoneInfo(context.timezone))
    opens, closes = promotion.hour_from or time(), promotion.hour_to or time()
    is_late = local.time() >= opens
    is_early = local.time() < closes
    if opens < closes:
        in_hours, weekday = is_late and is_early, local.weekday()
    else:
        # The window lasts past midnight (or all day): its early part is yesterday's evening.
        is_spill = is_early and not is_late and opens != closes
        in_hours = is_late or is_early or opens == closes
        weekday = (local - timedelta(days=1 if is_spill else 0)).weekday()
    if promotion.weekdays and weekday not in promotion.weekdays:
        return Reason.WRONG_WEEKDAY
    return None if in_hours else Reason.WRONG_HOUR


def _limit_reason(promotion: Promotion, context: PromotionContext) -> Reason | None:
    if promotion.kind is PromotionKind.FIRST_ORDER and not context.is_first_order:
        return Reason.NOT_FIRST_ORDER
    if _reached(promotion.usage_limit, promotion.used):
        return Reason.LIMIT_REACHED
    if _reached(promotion.per_customer_limit, promotion.customer_used):
        return Reason.CUSTOMER_LIMIT_REACHED
    if _reached(promotion.budget_cents, promotion.spent_cents):
        return Reason.BUDGET_SPENT
    return None


def _reached(limit: int | None, used: int) -> bool:
    return limit is not None and used >= limit


def _matching(promotion: Promotion, cart: Cart, store_id: UUID) -> list[CartLine]:
    """Return the lines in scope, sorted by key."""
    lines = sorted(cart.lines, key=lambda line: line.key)
    targets = promotion.target_ids
    if promotion.scope is PromotionScope.PRODUCT:
        return [line for line in lines if line.product_id in targets]
    if promotion.scope is PromotionScope.CATEGORY:
        return [line for line in lines if line.category_ids & targets]
    if promotion.scope is PromotionScope.STORE and store_id not in targets:
        return []
    return lines


def _rewarded(promotion: Promotion, lines: list[CartLine]) -> list[tuple[CartLine, int]]:
    """Return the Y units of every X + Y bought: the cheapest units, whatever line holds them."""
    buy, get = max(1, promotion.buy_quantity), max(1, promotion.get_quantity)
    units = sum(line.quantity for line in lines) // (buy + get) * get
    rewarded = []
    for line in sorted(lines, key=lambda line: (line.unit_cents, line.key)):
        taken = min(units, line.quantity)
        rewarded.append((line, taken))
        units -= taken
    return rewarded


def _worth(promotion: Promotion, base_cents: int) -> int:
    """Return the discount on a base before caps; percentages round half a cent up."""
    if promotion.kind is PromotionKind.FIXED:
        return min(max(0, promotion.value), base_cents)
    basis_points = min(10_000, max(0, promotion.value))
    return (base_cents * basis_points + 5_000) // 10_000


def _capped(promotion: Promotion, cents: int) -> int:
    caps = [cents]
    if promotion.max_discount_cents is not None:
        caps.append(promotion.max_discount_cents)
    if promotion.budget_cents is not None:
        caps.append(promotion.budget_cents - promotion.spent_cents)
    return max(0, min(caps))
