"""Wire models of campaigns (promotions) and of their redemptions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, JsonValue

from app.commerce.promotions.rules import normalise_code
from app.core.schema import Input, Output

Kind = Literal["percent", "fixed", "free_shipping", "buy_x_get_y", "first_order"]
Scope = Literal["all", "category", "product", "store"]
Name = Annotated[str, Field(min_length=2, max_length=120)]
Code = Annotated[
    str,
    BeforeValidator(lambda value: normalise_code(value) if isinstance(value, str) else value),
    Field(pattern="^[A-Z0-9][A-Z0-9_-]{1,31}$", description="Case does not matter."),
]
Value = Annotated[
    int,
    Field(
        ge=0,
        le=100_000_000,
        description="Basis points (1000 = 10 %) for percent, first_order and buy_x_get_y, "
        "cents for fixed, nothing for free_shipping.",
    ),
]
Targets = Annotated[
    list[UUID],
    Field(max_length=500, description="Ids of what scope says; none for all."),
    AfterValidator(lambda ids: sorted(set(ids))),
]
Units = Annotated[int, Field(ge=1, le=1000)]
Cents = Annotated[int, Field(ge=0, le=100_000_000_000)]
Limit = Annotated[int, Field(ge=1, le=1_000_000_000)]
Weekdays = Annotated[
    list[Annotated[int, Field(ge=0, le=6)]],
    Field(max_length=7, description="0 is Monday; empty: every day."),
    AfterValidator(lambda days: sorted(set(days))),
]
Hour = Annotated[
    str,
    Field(
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="HH:MM on the store's clock; may cross midnight.",
    ),
]
Priority = Annotated[int, Field(ge=-1000, le=1000, description="The lowest applies first.")]
_CAMPAIGN: dict[str, JsonValue] = {
    "name": "Terça da calabresa",
    "kind": "percent",
    "value": 1500,
    "code": "TERCA15",
    "scope": "all",
    "min_subtotal_cents": 5000,
    "max_discount_cents": 3000,
    "starts_at": "2026-12-01T00:00:00-03:00",
    "ends_at": "2027-01-01T00:00:00-03:00",
    "weekdays": [1],
    "hour_from": "18:00",
    "hour_to": "23:00",
    "usage_limit": 200,
    "per_customer_limit": 1,
}


class CampaignFields(Input):
    """What a campaign is made of, each with its default."""

    code: Code | None = Field(None, description="Coupon code; none: applies by itself.")
    scope: Scope = "all"
    target_ids: Targets = Field(default_factory=list)
    buy_quantity: Units | None = None
    get_quantity: Units | None = None
    min_subtotal_cents: Cents = 0
    max_discount_cents: Annotated[int, Field(ge=1, le=100_000_000_000)] | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    weekdays: Weekdays = Field(default_factory=list)
    hour_from: Hour | None = None
    hour_to: Hour | None = None
    usage_limit: Limit | None = Field(None, description="Uses in all; null: no limit.")
    per_customer_limit: Limit | None = None
    budget_cents: Limit | None = Field(None, description="Discounts in all; null: no limit.")
    priority: Priority = 0
    combinable: bool = False
    is_active: bool = True


class CampaignCreate(CampaignFields):
    model_config = ConfigDict(json_schema_extra={"examples": [_CAMPAIGN]})

    name: Name
    kind: Kind
    value: Value | None = Field(
        None, description="Left out: everything off the Y units of buy_x_get_y."
    )


class CampaignUpdate(CampaignFields):
    """Only the fields sent change."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"is_active": False, "usage_limit": 300}]}
    )

    name: Name = ""
    kind: Kind = "percent"
    value: Value = 0


class CampaignRead(Output):
    id: UUID
    name: str
    kind: Kind
    value: int
    code: str | None
    scope: Scope
    target_ids: list[UUID]
    buy_quantity: int | None
    get_quantity: int | None
    min_subtotal_cents: int
    max_discount_cents: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    weekdays: list[int]
    hour_from: str | None
    hour_to: str | None
    usage_limit: int | None
    used_count: int
    per_customer_limit: int | None
    budget_cents: int | None
    spent_cents: int
    priority: int
    combinable: bool
    is_active: bool
    created_at: datetime


class RedemptionRead(Output):
    id: UUID
    created_at: datetime
    order_id: UUID
    contact_id: UUID
    code: str | None
    amount_cents: int = Field(description="Taken off the items.")
    shipping_cents: int = Field(description="Taken off the freight.")
    released_at: datetime | None = Field(description="When a cancellation gave the use back.")
