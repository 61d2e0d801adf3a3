"""Why the checkout does not take a cart, as messages of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.commerce.checkout import problems as p
from app.commerce.promotions.offers import normalise_code
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.stores.problems import StoreNotFound
from app.commerce.ucp.asked import METHOD, OPTION
from app.commerce.ucp.words import BY_HAND, Severity, error, warning, words
from app.core.language import Language
from app.core.model import Json
from app.core.money import format_money
from app.core.problems import Problem

_CODES = {
    "unknown": "discount_code_invalid",
    "paused": "discount_code_invalid",
    "code-missing": "discount_code_invalid",
    "code-revoked": "discount_code_invalid",
    "expired": "discount_code_expired",
    "superseded": "discount_code_combination_disallowed",
}
_INELIGIBLE = "discount_code_user_ineligible"


@dataclass(frozen=True, slots=True)
class Line:
    """A line as the agent sees it: what it is called, and what of it stock counts."""

    name: str
    items: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is needed to speak of a cart."""

    language: Language
    timezone: str
    currency: str
    lines: Sequence[Line]
    destination: int | None = None


def told(problem: Problem, scene: Scene) -> list[Json]:
    """A refusal of the checkout, as one or several errors; at least one."""
    found = _TELL.get(type(problem))
    if found is not None:
        return found(problem.extra, scene)
    # A refusal that is new to us still stops the agent, and has its own code.
    code = problem.code.replace("-", "_")
    return [error(code, "$", words("refused", scene.language), BY_HAND)]


def refused_codes(refused: Sequence[Mapping[str, Any]], codes: Sequence[str]) -> list[Json]:
    """Codes that were typed in vain: the buyer is told, and may go on without."""
    by_code = {str(r["code"]): r for r in refused}
    found = []
    for index, code in enumerate(codes):
        refusal = by_code.get(normalise_code(code))
        if refusal is not None:
            name = _CODES.get(str(refusal["reason"]), _INELIGIBLE)
            found.append(warning(name, f"$.discounts.codes[{index}]", str(refusal["text"])))
    return found


def normalised(code: str) -> str:
    """A coupon as the checkout compares it."""
    return normalise_code(code)


def _closed(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    at = extra.get("next_available_at")
    if isinstance(at, datetime):
        local = at.astimezone(ZoneInfo(scene.timezone))
        text = words("opens_at", scene.language, at=f"{local:%d/%m %H:%M}")
    else:
        text = words("store_closed", scene.language)
    return [error("store_closed", OPTION, text)]


def _unavailable(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    found = []
    for wrong in extra["lines"]:
        index, reason = int(wrong["index"]), str(wrong.get("reason"))
        name, path = scene.lines[index].name, f"$.line_items[{index}]"
        if reason == "choices-invalid":
            text = words("choices_required", scene.language, name=name)
            found.append(error("choices_required", path, text, BY_HAND))
        elif reason == "variant-required":
            text = words("variant_required", scene.language, name=name)
            found.append(error("variant_required", f"{path}.item.id", text))
        else:
            text = words("unavailable", scene.language, name=name)
            found.append(error("item_unavailable", path, text))
    return found


def _stock(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    found = []
    for short in extra["lines"]:
        item, name, left = str(short["item_id"]), short["name"], short["available"]
        at = next((n for n, line in enumerate(scene.lines) if item in line.items), None)
        path = "$.line_items" if at is None else f"$.line_items[{at}].quantity"
        text = words("out_of_stock", scene.language, name=name, left=left)
        found.append(error("out_of_stock", path, text))
    return found


def _minimum(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    money = format_money(int(extra["missing_cents"]), scene.currency, scene.language)
    text = words("below_minimum", scene.language, missing=money)
    return [error("minimum_order", "$.line_items", text)]


def _area(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    path = f"{METHOD}.destinations[{scene.destination or 0}]"
    return [error("address_undeliverable", path, words("out_of_area", scene.language))]


def _coupons(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
    texts = " ".join(str(c["text"]) for c in extra.get("coupons", ()))
    text = texts or words("price_changed", scene.language)
    return [error("discount_changed", "$.discounts.codes", text)]


def _at(
    code: str, path: str, key: str, severity: Severity = "recoverable"
) -> Callable[[Mapping[str, Any], Scene], list[Json]]:
    def tell(extra: Mapping[str, Any], scene: Scene) -> list[Json]:
        return [error(code, path, words(key, scene.language), severity)]

    return tell


_TELL: Mapping[type[Problem], Callable[[Mapping[str, Any], Scene], list[Json]]] = {
    StoreNotFound: _at("store_unavailable", METHOD, "store_gone"),
    p.StoreClosed: _closed,
    p.ItemsUnavailable: _unavailable,
    p.OutOfStock: _stock,
    p.BelowMinimumOrder: _minimum,
    OutOfDeliveryArea: _area,
    p.InvalidCustomerPhone: _at("invalid_phone", "$.buyer.phone_number", "invalid_phone"),
    p.PriceChanged: _at("price_changed", "$.totals", "price_changed"),
    p.CouponNotApplicable: _coupons,
    p.CustomerBlocked: _at("customer_blocked", "$.buyer", "customer_blocked", BY_HAND),
    p.PaymentMethodNotAccepted: _at(
        "payment_method_not_accepted", "$.payment.instruments[0]", "payment_refused"
    ),
    p.ChangeTooSmall: _at(
        "change_too_small", "$.payment.instruments[0].credential", "change_too_small"
    ),
}
