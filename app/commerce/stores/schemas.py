"""Wire models of stores: what the storefront shows and what the merchant edits."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict, JsonValue
from pydantic_core import PydanticCustomError

from app.commerce.stores.rules import Channel, ClosedReason
from app.core.hours_schema import Exceptions, Hours, Timezone
from app.core.phone import InvalidPhone, normalise_phone
from app.core.postal import InvalidCep, normalise_cep
from app.core.schema import Input, Output

_ADDRESS: JsonDict = {
    "postal_code": "05435-000",
    "street": "Rua Harmonia",
    "number": "271",
    "district": "Vila Madalena",
    "city": "São Paulo",
    "state": "SP",
}
_HOURS: list[JsonValue] = [
    {"weekday": 4, "opens": "18:00", "closes": "02:00"},
    {"weekday": 5, "opens": "12:00", "closes": "15:00"},
]
_EXCEPTIONS: list[JsonValue] = [
    {"date": "2026-12-25", "intervals": []},
    {"date": "2026-12-31", "intervals": [{"opens": "11:00", "closes": "17:00"}]},
]


def _phone(raw: str) -> str:
    try:
        return normalise_phone(raw)
    except InvalidPhone as error:
        raise PydanticCustomError(
            "phone",
            "Not a valid phone number ({reason}): send it with area code, e.g. (11) 98765-4321",
            {"reason": error.reason},
        ) from error


def _cep(raw: str) -> str:
    try:
        return normalise_cep(raw)
    except InvalidCep as error:
        raise PydanticCustomError(
            "cep",
            "Not a valid CEP ({reason}): send its eight digits, e.g. 01310-100",
            {"reason": error.reason},
        ) from error


def _all_payment_methods() -> list[PaymentMethod]:
    return ["cash", "card_on_delivery", "pix"]


def _without_repeats(methods: list[PaymentMethod]) -> list[PaymentMethod]:
    return list(dict.fromkeys(methods))


PaymentMethod = Literal["cash", "card_on_delivery", "pix", "stripe"]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]
Cep = Annotated[str, Field(max_length=20), AfterValidator(_cep)]
Text80 = Annotated[str, Field(min_length=1, max_length=80)]
Name = Annotated[str, Field(min_length=2, max_length=80)]
Slug = Annotated[str, Field(max_length=80, pattern=r"^[a-z0-9](-?[a-z0-9])*$")]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Cents = Annotated[int, Field(ge=0, le=100_000_000)]
LeadMinutes = Annotated[int, Field(ge=0, le=14 * 24 * 60)]
SlotMinutes = Annotated[int, Field(ge=15, le=24 * 60)]
HorizonDays = Annotated[int, Field(ge=0, le=14, description="0: only for later today.")]
Capacity = Annotated[int | None, Field(ge=1, le=10_000)]
CutoffMinutes = Annotated[int, Field(ge=0, le=240, description="Last orders, before closing.")]
DistanceSource = Literal["straight", "road"]
PreparationMinutes = Annotated[int, Field(ge=0, le=24 * 60)]
AutoConfirm = Annotated[int | None, Field(ge=0, le=12 * 60)]
PaymentMethods = Annotated[
    list[PaymentMethod], Field(min_length=1, max_length=10), AfterValidator(_without_repeats)
]


class AddressIn(Input):
    postal_code: Cep
    street: Text80
    number: str = Field(min_length=1, max_length=20)
    complement: str | None = Field(None, max_length=80)
    district: Text80
    city: Text80
    state: str = Field(pattern=r"^[A-Z]{2}$", description="Two letters, e.g. SP.")


class StoreHours(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"hours": _HOURS}]})

    hours: Hours


class StoreExceptions(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"exceptions": _EXCEPTIONS}]})

    exceptions: Exceptions


class HoursCopy(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"store_id": "01931b2e-7c00-7000-8000-000000000001"}]}
    )

    store_id: UUID = Field(description="The store to copy from.")


class StoreCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Bella Massa Vila Madalena",
                    "phone": "(11) 3031-4455",
                    "address": _ADDRESS,
                    "latitude": -23.5535,
                    "longitude": -46.6912,
                    "timezone": "America/Sao_Paulo",
                    "hours": _HOURS,
                    "preorder_enabled": True,
                    "min_order_cents": 3000,
                    "free_shipping_above_cents": 12000,
                    "payment_methods": ["pix", "card_on_delivery"],
                }
            ]
        }
    )

    name: Name
    slug: Slug | None = Field(None, description="Made from the name when absent.")
    phone: Phone | None = None
    address: AddressIn
    latitude: Latitude
    longitude: Longitude
    timezone: Timezone | None = Field(None, description="IANA name; absent: the tenant's.")
    is_active: bool = True
    hours: Hours = Field(default_factory=list)
    exceptions: Exceptions = Field(default_factory=list)
    delivery_enabled: bool = True
    pickup_enabled: bool = True
    preorder_enabled: bool = False
    preorder_lead_minutes: LeadMinutes = 60
    preorder_slot_minutes: SlotMinutes = 30
    preorder_horizon_days: HorizonDays = 3
    preorder_capacity: Capacity = Field(
        None, description="Orders that one slot takes; null: any number."
    )
    preorder_delivery_capacity: Capacity = None
    preorder_pickup_capacity: Capacity = None
    cutoff_minutes: CutoffMinutes = 0
    distance_source: DistanceSource = Field(
        "straight", description="As the crow flies, or by road as a maps provider measures."
    )
    min_order_cents: Cents = 0
    free_shipping_above_cents: Cents | None = None
    preparation_minutes: PreparationMinutes = 30
    auto_confirm_minutes: AutoConfirm = Field(
        None,
        description="Confirm orders so long after they were placed, once paid or to be paid when"
        " handed over; null: by hand.",
    )
    payment_methods: PaymentMethods = Field(default_factory=_all_payment_methods)
    delivery_payment_methods: PaymentMethods | None = Field(
        None, description="Of payment_methods, those for a delivery; null: all."
    )
    pickup_payment_methods: PaymentMethods | None = None
    logo_file_id: UUID | None = None
    banner_file_id: UUID | None = None


_MAY_BE_EMPTY = {
    "phone", "free_shipping_above_cents", "auto_confirm_minutes", "logo_file_id", "banner_file_id",
    "preorder_capacity", "preorder_delivery_capacity", "preorder_pickup_capacity",
    "delivery_payment_methods", "pickup_payment_methods",
}  # fmt: skip


class StoreUpdate(Input):
    """Only the fields sent are changed; null empties those that may be absent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"is_active": False}, {"preparation_minutes": 45}]}
    )

    name: Name | None = None
    slug: Slug | None = None
    phone: Phone | None = None
    address: AddressIn | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    timezone: Timezone | None = None
    is_active: bool | None = None
    delivery_enabled: bool | None = None
    pickup_enabled: bool | None = None
    preorder_enabled: bool | None = None
    preorder_lead_minutes: LeadMinutes | None = None
    preorder_slot_minutes: SlotMinutes | None = None
    preorder_horizon_days: HorizonDays | None = None
    preorder_capacity: Capacity = None
    preorder_delivery_capacity: Capacity = None
    preorder_pickup_capacity: Capacity = None
    cutoff_minutes: CutoffMinutes | None = None
    distance_source: DistanceSource | None = None
    min_order_cents: Cents | None = None
    free_shipping_above_cents: Cents | None = None
    preparation_minutes: PreparationMinutes | None = None
    auto_confirm_minutes: AutoConfirm = None
    payment_methods: PaymentMethods | None = None
    delivery_payment_methods: PaymentMethods | None = None
    pickup_payment_methods: PaymentMethods | None = None
    logo_file_id: UUID | None = None
    banner_file_id: UUID | None = None

    @model_validator(mode="after")
    def _no_empty_facts(self) -> StoreUpdate:
        sent = self.model_fields_set - _MAY_BE_EMPTY
        empty = sorted(name for name in sent if getattr(self, name) is None)
        if empty:
            raise PydanticCustomError(
                "null", "May not be null: {fields}", {"fields": ", ".join(empty)}
            )
        return self


class AddressRead(Output):
    # Imported stores may lack parts that the merchant has yet to fill in.
    postal_code: str | None = None
    street: str | None = None
    number: str | None = None
    complement: str | None = None
    district: str | None = None
    city: str | None = None
    state: str | None = None


class IntervalRead(Output):
    opens: str
    closes: str


class WeeklyIntervalRead(IntervalRead):
    weekday: int


class ExceptionRead(Output):
    date: dt.date
    intervals: list[IntervalRead]


class _StoreFacts(Output):
    id: UUID
    name: str
    slug: str
    phone: str | None
    address: AddressRead
    latitude: float
    longitude: float
    timezone: str
    hours: list[WeeklyIntervalRead]
    exceptions: list[ExceptionRead]
    delivery_enabled: bool
    pickup_enabled: bool
    preorder_enabled: bool
    preorder_lead_minutes: int
    preorder_slot_minutes: int
    preorder_horizon_days: int
    preorder_capacity: int | None
    preorder_delivery_capacity: int | None
    preorder_pickup_capacity: int | None
    cutoff_minutes: int
    busy_minutes: int
    paused_until: dt.datetime | None
    pause_reason: str | None
    min_order_cents: int
    free_shipping_above_cents: int | None
    preparation_minutes: int
    auto_confirm_minutes: int | None
    payment_methods: list[PaymentMethod]
    delivery_payment_methods: list[PaymentMethod] | None
    pickup_payment_methods: list[PaymentMethod] | None
    logo_file_id: UUID | None
    banner_file_id: UUID | None


class StoreRead(_StoreFacts):
    is_active: bool
    distance_source: DistanceSource
    created_at: dt.datetime


class SlotRead(Output):
    start: dt.datetime
    end: dt.datetime


class OfferedSlotRead(SlotRead):
    full_for: list[Channel] = Field(description="Ways of handing over that have no room left.")


class AvailabilityRead(Output):
    """May one order now over this channel, and if not, why and from when."""

    open: bool
    reasons: list[ClosedReason]
    next_open: dt.datetime | None
    next_slot: SlotRead | None
    next_available_at: dt.datetime | None


class StorefrontRead(_StoreFacts):
    currency: str
    is_open: bool
    next_opening: dt.datetime | None
    closes_at: dt.datetime | None
    availability: dict[Channel, AvailabilityRead]
    preorder_slots: list[OfferedSlotRead] = Field(
        description="In the list of stores the first three, at a single store all of them."
    )
