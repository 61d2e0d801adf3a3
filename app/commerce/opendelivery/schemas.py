"""Wire models: credentials in our own words, all else in the standard's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from app.commerce.opendelivery.rules import CancelCode, CancelMode, EventType
from app.core.schema import Input, Output

SCOPE = "od.all"
"""The one scope of the standard."""
_TENANT, _CREDENTIAL = "01931b2e7c0070008000000000000001", "01931b2e7c0070008000000000000002"


class CredentialCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "PDV da matriz",
                    "store_ids": ["01931b2e-7c00-7000-8000-000000000001"],
                }
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=80)]
    store_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Whose orders it sees; null: those of all stores, of new ones too."
    )


class CredentialRead(Output):
    id: UUID
    name: str
    client_id: str
    store_ids: list[UUID] | None
    created_by: UUID
    created_at: datetime
    last_used_at: datetime | None = Field(description="When it last asked for a token.")
    revoked_at: datetime | None


class CredentialCreated(CredentialRead):
    client_secret: str = Field(description="Keep it now: it is never shown again.")


class TokenAsked(BaseModel):
    """RFC 6749 §4.4.2; what it does not name is left aside."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "grant_type": "client_credentials",
                    "client_id": f"{_TENANT}.{_CREDENTIAL}",
                    "client_secret": "ods_o-segredo-mostrado-uma-vez",
                    "scope": SCOPE,
                }
            ]
        }
    )

    grant_type: Annotated[str, Field(pattern="^client_credentials$")]
    client_id: Annotated[str, Field(max_length=200)]
    client_secret: Annotated[str, Field(max_length=200)]
    scope: Annotated[str, Field(pattern=f"^{SCOPE}$")] = SCOPE


class TokenRead(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a word of the standard
    expires_in: int = Field(description="Seconds.")
    scope: str = SCOPE


class Wire(BaseModel):
    """The standard's names, and fields of later versions left aside."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, str_strip_whitespace=True
    )


class EventRead(Wire):
    event_id: UUID
    event_type: EventType
    order_id: UUID
    order_url: Annotated[str, Field(alias="orderURL")]
    created_at: datetime
    metadata: dict[str, str] | None = Field(None, description="Why it was cancelled.")


class Acknowledged(Wire):
    id: UUID
    order_id: UUID
    event_type: EventType


class Acknowledgment(RootModel[Annotated[list[Acknowledged], Field(max_length=1000)]]):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                [
                    {
                        "id": "01931b2e-7c00-7000-8000-000000000009",
                        "orderId": "01931b2e-7c00-7000-8000-000000000001",
                        "eventType": "CREATED",
                    }
                ]
            ]
        }
    )


class OrderConfirmed(Wire):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"createdAt": "2026-11-23T18:00:00Z", "orderExternalCode": "PDV-4711"},
            ]
        }
    )

    created_at: datetime | None = None
    order_external_code: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The point of sale's own number; kept in the order's history."
    )
    reason: Annotated[str, Field(max_length=280)] | None = None


class CancellationRequest(Wire):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"reason": "acabou a massa", "code": "UNAVAILABLE_ITEM", "mode": "MANUAL"}]
        }
    )

    reason: Annotated[str, Field(max_length=280)]
    code: CancelCode
    mode: CancelMode


class Price(BaseModel):
    value: float
    currency: str


class Named(BaseModel):
    id: UUID
    name: str


class OptionRead(Wire):
    index: int
    id: UUID
    name: str
    external_code: str
    unit: str = "UN"
    quantity: int
    unit_price: Price
    total_price: Price


class ItemRead(Wire):
    index: int
    id: UUID
    name: str
    external_code: str
    unit: str = "UN"
    quantity: int
    special_instructions: str | None = None
    unit_price: Price
    original_price: Price | None = None
    options_price: Price
    total_price: Price
    options: list[OptionRead]


class FeeRead(Wire):
    name: str
    type: str
    received_by: str
    price: Price


class Sponsorship(Wire):
    name: str
    amount: Price
    discount_code: str | None = None


class DiscountRead(Wire):
    amount: Price
    target: str
    sponsorship_values: list[Sponsorship]


class TotalRead(Wire):
    items_price: Price
    other_fees: Price
    discount: Price
    order_amount: Price


class MethodRead(Wire):
    value: float
    currency: str
    type: str
    method: str
    method_info: str | None = None
    change_for: float | None = None


class PaymentsRead(BaseModel):
    prepaid: float
    pending: float
    methods: list[MethodRead]


class Phone(BaseModel):
    number: str


class CustomerRead(Wire):
    id: UUID
    name: str
    phone: Phone
    orders_count_on_merchant: int


class ScheduleRead(Wire):
    scheduled_date_time_start: datetime
    scheduled_date_time_end: datetime


class AddressRead(Wire):
    country: str
    state: str
    city: str
    district: str
    street: str
    number: str
    complement: str | None = None
    reference: str | None = None
    postal_code: str
    formatted_address: str


class DeliveryRead(Wire):
    delivered_by: str = "MERCHANT"
    delivery_address: AddressRead
    estimated_delivery_date_time: datetime
    delivery_date_time: datetime | None = None


class TakeoutRead(Wire):
    mode: str = "DEFAULT"
    takeout_date_time: datetime


class OrderDetail(Wire):
    id: UUID
    type: str
    display_id: str
    created_at: datetime
    last_event: EventType
    order_timing: str
    preparation_start_date_time: datetime
    merchant: Named
    items: list[ItemRead]
    other_fees: list[FeeRead]
    discounts: list[DiscountRead]
    total: TotalRead
    payments: PaymentsRead
    customer: CustomerRead
    schedule: ScheduleRead | None = None
    delivery: DeliveryRead | None = None
    takeout: TakeoutRead | None = None
    send_preparing: bool = True
    send_delivered: bool
    send_picked_up: bool
    extra_info: str | None = None
