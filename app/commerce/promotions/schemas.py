"""Wire models of campaigns (promotions) and of their redemptions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from app.commerce.promotions.offers import normalise_code
from app.core.schema import Input, Instant, Output

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
    by_codes: bool = Field(
        False, description="Applies by one of its generated codes alone (POST .../codes)."
    )
    scope: Scope = "all"
    target_ids: Targets = Field(default_factory=list)
    buy_quantity: Units | None = None
    get_quantity: Units | None = None
    min_subtotal_cents: Cents = 0
    max_discount_cents: Annotated[int, Field(ge=1, le=100_000_000_000)] | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    weekdays: Weekdays = Field(default_factory=list)
    hour_from: Hour | None = None
    hour_to: Hour | None = None
    usage_limit: Limit | None = Field(None, description="Uses in all; null: no limit.")
    per_customer_limit: Limit | None = None
    budget_cents: Limit | None = Field(None, description="Discounts in all; null: no limit.")
    priority: Priority = 0
    combinable: bool = False
    is_active: bool = True
    image_file_id: UUID | None = Field(None, description="An uploaded image; the storefront's.")


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
    by_codes: bool
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
    image_file_id: UUID | None
    archived_at: datetime | None
    created_at: datetime


class OnOffer(Output):
    """A campaign as anybody sees it while it is on."""

    id: UUID
    name: str
    text: str = Field(description="What it gives.", examples=["Ganhe 15% de desconto."])
    kind: Kind
    value: int
    scope: Scope
    target_ids: list[UUID]
    buy_quantity: int | None
    get_quantity: int | None
    min_subtotal_cents: int
    image_url: str | None
    ends_at: datetime | None


class RedemptionRead(Output):
    id: UUID
    created_at: datetime
    order_id: UUID
    contact_id: UUID
    code: str | None
    amount_cents: int = Field(description="Taken off the items.")
    shipping_cents: int = Field(description="Taken off the freight.")
    released_at: datetime | None = Field(description="When a cancellation gave the use back.")


CodeState = Literal["unused", "partly", "used", "revoked"]


@dataclass(frozen=True, slots=True)
class CodeFilter:
    """Which of a campaign's generated codes are asked for."""

    state: CodeState | None = None
    batch_id: UUID | None = None
    code: str | None = None


class CampaignCopy(Input):
    """What the copy is called; left out, its name and code are made from the original's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Natal de 2027", "code": "NATAL27"}]}
    )

    name: Name | None = None
    code: Code | None = None


class CodesCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"quantity": 500, "prefix": "FEIRA", "label": "Panfletos da feira", "length": 8}
            ]
        }
    )

    quantity: Annotated[int, Field(ge=1, le=10_000)]
    prefix: (
        Annotated[
            str,
            BeforeValidator(
                lambda value: normalise_code(value) if isinstance(value, str) else value
            ),
            Field(pattern="^[A-Z0-9]{2,12}$", description="Before the dash of each code."),
        ]
        | None
    ) = None
    length: Annotated[
        int, Field(ge=8, le=16, description="Letters and digits after the prefix.")
    ] = 8
    uses_per_code: Annotated[int, Field(ge=1, le=1000, description="1: each works once.")] = 1
    label: Annotated[str, Field(min_length=1, max_length=80)] | None = None


class CodesMade(Output):
    batch_id: UUID
    quantity: int
    uses_per_code: int
    sample: list[str] = Field(description="A few of them; all are in the list and the CSV.")


class CodesRevoke(Input):
    """A batch, or codes by name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"codes": ["FEIRA-C7KM4TQX", "FEIRA-9PXW3RDH"]}]}
    )

    batch_id: UUID | None = None
    codes: Annotated[list[Code], Field(max_length=1000)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_of_both(self) -> CodesRevoke:
        if (self.batch_id is None) == (not self.codes):
            raise ValueError("send either batch_id or codes")
        return self


class CodesRevoked(Output):
    revoked: int = Field(description="How many worked until now.")


class CodeRead(Output):
    id: UUID
    batch_id: UUID
    label: str | None
    code: str
    state: CodeState
    usage_limit: int
    used_count: int
    revoked_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    last_order_id: UUID | None
    last_order_number: int | None
