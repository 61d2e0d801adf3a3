"""Wire models of the Universal Commerce Protocol's checkout, version 2026-08-25.

https://ucp.dev/2026-08-25/specification/shopping/checkout/rest and its extensions fulfillment and
discount. What a platform sends beyond what we know is let pass: the protocol grows that way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.commerce.orders.rules import FulfilmentType
from app.core.model import Json
from app.core.schema import Input, Output

Text80 = Annotated[str, Field(max_length=80)]
Name = Annotated[str, Field(max_length=59)]
Text120 = Annotated[str, Field(max_length=120)]
_ID: JsonDict = {"id": "01931b2e-7c00-7000-8000-000000000001"}
_CHECKOUT: JsonDict = {
    "line_items": [{"item": _ID, "quantity": 2}],
    "buyer": {"first_name": "Maria", "last_name": "da Silva", "phone_number": "+5511987654321"},
    "fulfillment": {
        "methods": [
            {
                "type": "shipping",
                "destinations": [
                    {
                        "street_address": "Avenida Paulista, 1578",
                        "extended_address": "ap 42",
                        "address_locality": "São Paulo",
                        "address_region": "SP",
                        "postal_code": "01310-100",
                        "address_country": "BR",
                    }
                ],
            }
        ]
    },
    "discounts": {"codes": ["BEMVINDO10"]},
}
_PAYMENT: JsonDict = {
    "payment": {
        "instruments": [{"id": "pix_1", "handler_id": "pix", "type": "pix", "selected": True}]
    }
}


class Received(BaseModel):
    """A part of a request; unknown members are let pass."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class UcpItem(Received):
    id: str = Field(min_length=1, max_length=120, description="Product or variant: SKU or id.")


class UcpLine(Received):
    id: str | None = Field(None, min_length=1, max_length=64)
    item: UcpItem
    quantity: int = Field(ge=1, le=999)


class UcpBuyer(Received):
    first_name: Name | None = None
    last_name: Name | None = None
    email: Annotated[str, Field(max_length=254)] | None = None
    phone_number: Annotated[str, Field(max_length=25)] | None = None


class UcpDestination(Received):
    id: str | None = Field(None, min_length=1, max_length=64)
    street_address: Text80 | None = None
    extended_address: Text80 | None = None
    address_locality: Text80 | None = None
    address_region: Text80 | None = None
    address_country: Text80 | None = None
    postal_code: Annotated[str, Field(max_length=20)] | None = None


class UcpGroup(Received):
    selected_option_id: Text80 | None = None


class UcpMethod(Received):
    type: str = Field(max_length=40, description="shipping or pickup.")
    destinations: list[UcpDestination] = Field(default_factory=list, max_length=10)
    selected_destination_id: Text80 | None = None
    groups: list[UcpGroup] = Field(default_factory=list, max_length=10)


class UcpFulfillment(Received):
    methods: list[UcpMethod] = Field(default_factory=list, max_length=5)


class UcpDiscounts(Received):
    codes: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, max_length=5
    )


class UcpContext(Received):
    location: Text80 | None = Field(None, description="A store's slug.")
    language: Annotated[str, Field(max_length=40)] | None = None
    currency: Annotated[str, Field(max_length=3)] | None = None


class UcpCredential(Received):
    change_for: int | None = Field(
        None, ge=0, le=10_000_000, description="Cash: the note paid with, in minor units."
    )


class UcpInstrument(Received):
    id: Text120
    handler_id: Text80
    type: Text80
    selected: bool | None = None
    credential: UcpCredential | None = None


class UcpPayment(Received):
    instruments: list[UcpInstrument] = Field(default_factory=list, max_length=5)


class Wanted(Received):
    """What an agent asks for; also how a session keeps it."""

    line_items: list[UcpLine] = Field(min_length=1, max_length=100)
    buyer: UcpBuyer | None = None
    context: UcpContext | None = None
    fulfillment: UcpFulfillment | None = None
    discounts: UcpDiscounts | None = None


class UcpCheckoutIn(Wanted):
    """The whole checkout: what an update leaves out is gone."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CHECKOUT]})


class UcpCompleteIn(Received):
    model_config = ConfigDict(json_schema_extra={"examples": [_PAYMENT]})

    payment: UcpPayment


class UcpPriceFilter(Received):
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)


class UcpFilters(Received):
    categories: list[Text80] = Field(
        default_factory=list, max_length=1, description="Slug or id of a category."
    )
    price: UcpPriceFilter | None = Field(None, description="Counts in context.currency.")


class UcpPagination(Received):
    cursor: UUID | None = None
    limit: int = Field(10, ge=1)


class UcpSearchIn(Received):
    """What is sold, by words or by filters."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "pizza calabresa", "pagination": {"limit": 10}}]}
    )

    query: str | None = Field(None, max_length=80)
    context: UcpContext | None = None
    filters: UcpFilters | None = None
    pagination: UcpPagination | None = None

    @model_validator(mode="after")
    def _asks(self) -> UcpSearchIn:
        if not self.query and self.filters is None:
            raise PydanticCustomError("empty", "Send a query or filters")
        return self


class UcpLookupIn(Received):
    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": [_ID["id"]]}]})

    ids: list[Text120] = Field(min_length=1, max_length=1000)
    context: UcpContext | None = None
    filters: UcpFilters | None = None


class UcpProductIn(Received):
    model_config = ConfigDict(json_schema_extra={"examples": [_ID]})

    id: Text120
    context: UcpContext | None = None


class UcpEnvelope(Output):
    model_config = ConfigDict(extra="allow")

    version: str
    status: Literal["success", "error"]


class UcpRefusalRead(Output):
    """There is nothing to act on; see messages."""

    ucp: UcpEnvelope
    messages: list[Json]
    continue_url: str | None = None


class UcpCheckoutRead(Output):
    """A checkout as UCP 2026-08-25 has it; absent members are not there at all."""

    model_config = ConfigDict(extra="allow")

    ucp: UcpEnvelope
    id: str
    status: Literal[
        "incomplete",
        "requires_escalation",
        "ready_for_complete",
        "complete_in_progress",
        "completed",
        "canceled",
    ]
    line_items: list[Json]
    currency: str
    totals: list[Json]
    links: list[Json]


class UcpProductsRead(Output):
    """Products with variants that can be put into a checkout by their ids."""

    model_config = ConfigDict(extra="allow")

    ucp: UcpEnvelope
    products: list[Json]
    messages: list[Json]


class UcpProductRead(Output):
    """One product, with the variant that was asked for first."""

    model_config = ConfigDict(extra="allow")

    ucp: UcpEnvelope
    product: Json


class UcpCartItemRead(Output):
    product_id: UUID
    variant_id: UUID | None
    quantity: int


class UcpCartRead(Output):
    """A checkout as the storefront takes one; what is null or empty the buyer still has to say."""

    cart_id: UUID = Field(description="Send it with the checkout: it becomes one order at most.")
    store: str
    fulfilment: FulfilmentType | None
    address: Json | None
    scheduled_for: datetime | None
    items: list[UcpCartItemRead]
    coupons: list[str]
    customer_name: str
    customer_phone: str | None
    customer_email: str | None


class UcpProfileRead(Output):
    """Who we are to platforms: version, service, capabilities, payment handlers."""

    ucp: Json


def _https(value: str) -> str:
    if not value.startswith("https://"):
        raise PydanticCustomError("https", "Use an https:// URL")
    return value


WebUrl = Annotated[
    str,
    Field(max_length=500, pattern=r"^[!-~]+$", examples=["https://loja.example"]),
    AfterValidator(_https),
]


class UcpSettingsPut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "is_enabled": True,
                    "store": "centro",
                    "storefront_url": "https://bellamassa.example/pedir",
                    "terms_url": "https://bellamassa.example/termos",
                    "privacy_url": "https://bellamassa.example/privacidade",
                }
            ]
        }
    )

    is_enabled: bool
    store: str = Field(
        min_length=1, max_length=80, description="Slug of the store that delivers by default."
    )
    storefront_url: WebUrl = Field(description="Where a buyer goes on by hand.")
    terms_url: WebUrl | None = None
    privacy_url: WebUrl | None = None


class UcpSettingsRead(Output):
    is_enabled: bool
    store: str | None
    storefront_url: str | None
    terms_url: str | None
    privacy_url: str | None
