"""What a promotion, a cart and the outcome of one on the other are; types without rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from uuid import UUID


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
    PAUSED = "paused"  # told to staff alone, as is the next one
    CODE_MISSING = "code-missing"
    CODE_REVOKED = "code-revoked"
    CODE_USED = "code-used"
    NOT_STARTED = "not-started"
    EXPIRED = "expired"
    WRONG_WEEKDAY = "wrong-weekday"
    WRONG_HOUR = "wrong-hour"
    NOT_FIRST_ORDER = "not-first-order"
    LIMIT_REACHED = "limit-reached"
    CUSTOMER_LIMIT_REACHED = "customer-limit-reached"
    BUDGET_SPENT = "budget-spent"
    BELOW_MINIMUM = "below-minimum"
    WRONG_STORE = "wrong-store"
    NO_MATCHING_ITEM = "no-matching-item"
    TOO_FEW_ITEMS = "too-few-items"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class GeneratedCode:
    """One of the many codes of a promotion, each with a limit of its own."""

    code: str
    usage_limit: int = 1
    used: int = 0
    is_revoked: bool = False

    @property
    def refusal(self) -> Reason | None:
        """Why nobody may use it any more."""
        if self.is_revoked:
            return Reason.CODE_REVOKED
        return Reason.CODE_USED if self.used >= self.usage_limit else None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion and what has been used of it.

    ``value`` is basis points (1,500 = 15 %, at most 10,000) for ``percent``, ``first_order`` and,
    off the Y units, ``buy_x_get_y``; cents for ``fixed``; unused for ``free_shipping``.
    ``code`` None means automatic, unless the promotion goes ``by_codes``: then ``codes`` are those
    of its generated codes that matter, at least all that were typed. Limits that are None do not
    exist. ``ends_at`` and ``hour_to``
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
    by_codes: bool = False
    codes: tuple[GeneratedCode, ...] = ()

    @property
    def is_automatic(self) -> bool:
        """Applies without anybody typing anything."""
        return self.code is None and not self.by_codes


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
    """A promotion or typed code without effect.

    ``missing_cents`` only for below-minimum, ``missing_units`` only for too-few-items.
    """

    reason: Reason
    promotion_id: UUID | None = None
    code: str | None = None
    missing_cents: int | None = None
    missing_units: int | None = None


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """Every cent that comes off, and every promotion or code that took none."""

    lines: tuple[DiscountLine, ...] = ()
    shipping: tuple[DiscountLine, ...] = ()
    unused: tuple[Unused, ...] = ()
    codes: Mapping[UUID, str] = field(default_factory=dict)
    """The code, as typed in its one written form, by which each applied promotion was earned."""

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


def normalise_code(code: str) -> str:
    """Return a coupon code as it is compared: upper case, without outer spaces."""
    return code.strip().upper()
