"""Which promotions a cart earns, how many cents each takes off which line, and why others do not.

The outcome depends on what is in the cart and which promotions exist, never on the order in which
either is given. Combinable promotions stack, each on what the ones before left (lowest
``priority`` first, then id); of every single non-combinable one and the combinable ones together
the customer gets the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo


class PromotionKind(StrEnum):
    PERCENT = "percent"
    FIXED = "fixed"
    FREE_SHIPPING = "free_shipping"
    BUY_X_GET_Y = "buy_x_get_y"
    FIRST_ORDER = "first_order"


class PromotionScope(StrEnum):
    ALL = "all"
    CATEGORY = "category"
    PRODUCT = "product"
    STORE = "store"


class Reason(StrEnum):
    """Why a promotion does not apply; of several, the first that holds in this order."""

    UNKNOWN = "unknown"
    NOT_STARTED = "not-started"
    EXPIRED = "expired"
    WRONG_WEEKDAY = "wrong-weekday"
    WRONG_HOUR = "wrong-hour"
    NOT_FIRST_ORDER = "not-first-order"
    LIMIT_REACHED = "limit-reached"
    CUSTOMER_LIMIT_REACHED = "customer-limit-reached"
    BUDGET_SPENT = "budget-spent"
    BELOW_MINIMUM = "below-minimum"
    NO_MATCHING_ITEM = "no-matching-item"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion and what has been used of it.

    ``value`` is basis points (1,500 = 15 %, at most 10,000) for ``percent``, ``first_order`` and,
    off the Y units, ``buy_x_get_y``; cents for ``fixed``; unused for ``free_shipping``.
    ``code`` None means automatic. Limits that are None do not exist. ``ends_at`` and ``hour_to``
    are excluded; hours are the store's wall clock and may cross midnight, and the part after
    midnight belongs to the weekday before. The budget and ``max_discount_cents`` cap the discount.
    """

    id: UUID
    name: str
    kind: PromotionKind
    value: int = 0
    code: str | None = None
    scope: PromotionScope = PromotionScope.ALL
    target_ids: frozenset[UUID] = frozenset()
    min_subtotal_cents: int = 0
    max_discount_cents: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    weekdays: frozenset[int] = frozenset()  # 0 is Monday; empty: every day
    hour_from: time | None = None
    hour_to: time | None = None
    usage_limit: int | None = None
    used: int = 0
    per_customer_limit: int | None = None
    customer_used: int = 0
    budget_cents: int | None = None
    spent_cents: int = 0
    priority: int = 0
    combinable: bool = False
    buy_quantity: int = 1
    get_quantity: int = 1


@dataclass(frozen=True, slots=True)
class CartLine:
    """A priced line; ``key`` names it within the cart and breaks ties between equal lines."""

    key: str
    product_id: UUID
    unit_cents: int
    quantity: int = 1
    category_ids: frozenset[UUID] = frozenset()

    @property
    def cents(self) -> int:
        return self.unit_cents * self.quantity


@dataclass(frozen=True, slots=True)
class Cart:
    """What is being ordered. Raises ValueError for repeated keys or negative amounts."""

    lines: tuple[CartLine, ...]
    shipping_cents: int = 0

    def __post_init__(self) -> None:
        if len({line.key for line in self.lines}) != len(self.lines):
            raise ValueError("every line of a cart needs its own key")
        if self.shipping_cents < 0 or any(
            line.unit_cents < 0 or line.quantity < 0 for line in self.lines
        ):
            raise ValueError("a cart holds no negative amounts")

    @property
    def subtotal_cents(self) -> int:
        return sum(line.cents for line in self.lines)


@dataclass(frozen=True, slots=True)
class PromotionContext:
    """Who orders where and when; ``codes`` as typed (case and outer spaces do not matter)."""

    now: datetime
    timezone: str
    store_id: UUID
    is_first_order: bool = False
    codes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("an instant needs its timezone")


@dataclass(frozen=True, slots=True)
class DiscountLine:
    """Cents, always above zero, that a promotion takes off one line (None: off the shipping)."""

    promotion_id: UUID
    line_key: str | None
    cents: int


@dataclass(frozen=True, slots=True)
class Unused:
    """A promotion or typed code without effect; ``missing_cents`` only for below-minimum."""

    reason: Reason
    promotion_id: UUID | None = None
    code: str | None = None
    missing_cents: int | None = None


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """Every cent that comes off, and every promotion or code that took none."""

    lines: tuple[DiscountLine, ...] = ()
    shipping: tuple[DiscountLine, ...] = ()
    unused: tuple[Unused, ...] = ()

    @property
    def discount_cents(self) -> int:
        return sum(line.cents for line in self.lines)

    @property
    def shipping_discount_cents(self) -> int:
        return sum(part.cents for part in self.shipping)

    @property
    def cents_by_promotion(self) -> dict[UUID, int]:
        """What each promotion costs, shipping included: one redemption each, sorted by id."""
        cents: dict[UUID, int] = {}
        for part in (*self.lines, *self.shipping):
            cents[part.promotion_id] = cents.get(part.promotion_id, 0) + part.cents
        return dict(sorted(cents.items()))


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

    Automatic promotions are always considered, those with a code when it was typed. No line and
    no shipping falls below zero; the parts of a promotion add up to it to the cent.
    """
    codes = {code for code in map(normalise_code, context.codes) if code}
    eligible: list[Promotion] = []
    unused: list[Unused] = []
    known: set[str] = set()
    for promotion in sorted(promotions, key=_precedence):
        if promotion.code is not None:
            code = normalise_code(promotion.code)
            if code not in codes:
                continue
            known.add(code)
        refusal = _refusal(promotion, cart, context)
        if refusal is None:
            eligible.append(promotion)
        else:
            unused.append(refusal)
    best, superseded = _best(eligible, cart, context.store_id)
    unused += [Unused(Reason.SUPERSEDED, loser.id, loser.code) for loser in superseded]
    unused += [Unused(Reason.UNKNOWN, code=code) for code in sorted(codes - known)]
    return PromotionResult(
        lines=tuple(sorted(best.lines, key=lambda part: (part.promotion_id, part.line_key or ""))),
        shipping=tuple(sorted(best.shipping, key=lambda part: part.promotion_id)),
        unused=tuple(unused),
    )


def normalise_code(code: str) -> str:
    """Return a coupon code as it is compared: upper case, without outer spaces."""
    return code.strip().upper()


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
        reason = None if alone.cents else Reason.NO_MATCHING_ITEM
    return Unused(reason, promotion.id, promotion.code) if reason else None


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
