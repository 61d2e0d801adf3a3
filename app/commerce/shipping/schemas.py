"""Wire models of delivery quotes and of the rules behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.commerce.shipping.rules import OutOfAreaReason, ShippingKind
from app.commerce.stores.schemas import Cents, Cep, Text80
from app.core.schema import Input, Output

MAX_RULES = 200
"""Per store: the list is answered whole, and every quote reads it whole."""

Metres = Annotated[int, Field(gt=0, le=1_000_000, description="Reach of a distance tier.")]
Minutes = Annotated[
    int, Field(ge=0, le=7 * 24 * 60, description="On the way, on top of the preparation.")
]
Position = Annotated[int, Field(ge=0, le=10_000)]
_FACTS = ("max_meters", "cep_from", "cep_to", "district")
_NEEDED = {
    ShippingKind.DISTANCE: ("max_meters",),
    ShippingKind.CEP_RANGE: ("cep_from", "cep_to"),
    ShippingKind.DISTRICT: ("district",),
    ShippingKind.FLAT: (),
}


class RuleFacts(Protocol):
    """What of a rule depends on its kind, in a body or in a row."""

    @property
    def max_meters(self) -> int | None: ...
    @property
    def cep_from(self) -> str | None: ...
    @property
    def cep_to(self) -> str | None: ...
    @property
    def district(self) -> str | None: ...


def contradiction(kind: str, facts: RuleFacts) -> str | None:
    """Why a rule of ``kind`` cannot have these facts; None when it can."""
    needed = _NEEDED[ShippingKind(kind)]
    for name in _FACTS:
        if (getattr(facts, name) is not None) is not (name in needed):
            return f"A {kind} rule {'needs' if name in needed else 'does not take'} {name}"
    if facts.cep_from is not None and facts.cep_to is not None and facts.cep_from > facts.cep_to:
        return "cep_from must not be above cep_to"
    return None


class QuoteRequest(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "store": "bella-massa-vila-madalena",
                    "postal_code": "05422-010",
                    "district": "Pinheiros",
                    "subtotal_cents": 8990,
                }
            ]
        }
    )

    store: str = Field(min_length=1, max_length=80, description="Slug of the store.")
    postal_code: Cep
    district: Text80 | None = None
    subtotal_cents: Cents = 0


class QuoteRead(Output):
    fee_cents: int
    currency: str
    free_above_cents: int | None = Field(description="Items worth at least this ship free.")
    eta_minutes: int = Field(description="Preparation and the way.")
    distance_km: float | None = Field(description="Null when the postal code's place is unknown.")
    distance_provider: str | None = Field(
        description="Who measured: google-maps, nominatim, or postal-area, the straight line."
    )
    rule_id: UUID
    quote: str = Field(description="Signed; hand it to the checkout to be held to this fee.")
    expires_at: datetime


class RuleFields(Input):
    kind: ShippingKind
    max_meters: Metres | None = None
    cep_from: Cep | None = None
    cep_to: Cep | None = None
    district: Text80 | None = None
    fee_cents: Cents
    minutes: Minutes
    is_active: bool = True

    @model_validator(mode="after")
    def _fits_its_kind(self) -> RuleFields:
        wrong = contradiction(self.kind, self)
        if wrong:
            raise PydanticCustomError("shipping_rule", "{wrong}", {"wrong": wrong})
        return self


_TIER: JsonDict = {"kind": "distance", "max_meters": 3000, "fee_cents": 600, "minutes": 20}
_RANGE: JsonDict = {
    "kind": "cep_range",
    "cep_from": "05400-000",
    "cep_to": "05499-999",
    "fee_cents": 900,
    "minutes": 30,
}


class RuleCreate(RuleFields):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"store_id": "01931b2e-7c00-7000-8000-000000000001", **_TIER}]
        }
    )

    store_id: UUID
    position: Position | None = Field(None, description="Absent: after the others.")


class RuleUpdate(Input):
    """Only the fields sent are changed; the kind stays, another kind is another rule."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"fee_cents": 750}]})

    position: Position | None = None
    max_meters: Metres | None = None
    cep_from: Cep | None = None
    cep_to: Cep | None = None
    district: Text80 | None = None
    fee_cents: Cents | None = None
    minutes: Minutes | None = None
    is_active: bool | None = None

    @model_validator(mode="after")
    def _no_nulls(self) -> RuleUpdate:
        # A fact that the kind needs may not go, and the others are null already.
        empty = sorted(name for name in self.model_fields_set if getattr(self, name) is None)
        if empty:
            raise PydanticCustomError(
                "null", "May not be null: {fields}", {"fields": ", ".join(empty)}
            )
        return self


class RuleList(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"rules": [_TIER, _RANGE]}]})

    rules: list[RuleFields] = Field(
        max_length=MAX_RULES, description="In the order in which they are tried."
    )


class RuleRead(Output):
    id: UUID
    store_id: UUID
    kind: ShippingKind
    position: int
    max_meters: int | None
    cep_from: str | None
    cep_to: str | None
    district: str | None
    fee_cents: int
    minutes: int
    is_active: bool


class SimulationRequest(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "store_id": "01931b2e-7c00-7000-8000-000000000001",
                    "postal_code": "05422-010",
                    "subtotal_cents": 8990,
                }
            ]
        }
    )

    store_id: UUID
    postal_code: Cep
    district: Text80 | None = None
    subtotal_cents: Cents = 0


class SimulatedRule(Output):
    """One rule in the order in which it was tried."""

    rule: RuleRead
    serves: bool = Field(description="It would take this address by itself.")
    is_chosen: bool = Field(description="It is the first that does, so its fee counts.")


class AreaRead(Output):
    prefix: str
    city: str
    state: str
    latitude: float
    longitude: float


class SimulationRead(Output):
    is_served: bool
    reason: OutOfAreaReason | None
    fee_cents: int | None
    is_free: bool = Field(description="The subtotal reaches the store's free delivery.")
    eta_minutes: int | None
    distance_km: float | None
    distance_provider: str | None
    area: AreaRead | None = Field(description="Where the postal code lies; null: unknown.")
    rules: list[SimulatedRule]
