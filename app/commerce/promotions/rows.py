"""Promotions as JSON rows, read into what the rules understand."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from app.commerce.promotions.offers import (
    GeneratedCode,
    Promotion,
    PromotionKind,
    PromotionScope,
)

Row = dict[str, Any]


def promotion_of(row: Row) -> Promotion:
    """A promotion as the rules understand it."""
    return Promotion(
        id=UUID(row["id"]),
        name=row["name"],
        kind=PromotionKind(row["kind"]),
        value=row["value"],
        code=row["code"],
        scope=PromotionScope(row["scope"]),
        target_ids=frozenset(UUID(t) for t in row["target_ids"]),
        min_subtotal_cents=row["min_subtotal_cents"],
        max_discount_cents=row["max_discount_cents"],
        starts_at=instant(row["starts_at"]),
        ends_at=instant(row["ends_at"]),
        weekdays=frozenset(row["weekdays"]),
        hour_from=_time(row["hour_from"]),
        hour_to=_time(row["hour_to"]),
        usage_limit=row["usage_limit"],
        used=row["used_count"],
        per_customer_limit=row["per_customer_limit"],
        customer_used=row["customer_used"],
        budget_cents=row["budget_cents"],
        spent_cents=row["spent_cents"],
        priority=row["priority"],
        combinable=row["combinable"],
        buy_quantity=row["buy_quantity"] or 1,
        get_quantity=row["get_quantity"] or 1,
        by_codes=row["by_codes"],
        codes=tuple(map(_code, row["codes"] or ())),
    )


def _code(row: Row) -> GeneratedCode:
    return GeneratedCode(row["code"], row["usage_limit"], row["used_count"], row["is_revoked"])


def instant(text: str | None) -> datetime | None:
    """An instant of a JSON row."""
    return datetime.fromisoformat(text) if text else None


def _time(text: str | None) -> time | None:
    return time.fromisoformat(text) if text else None
