"""Wire models of payments: the customer's page, the staff's moves, the owner's settings."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.payments.pix import KeyType
from app.core.schema import Input, Output


class PixRead(Output):
    copy_paste: str = Field(description='The BR Code ("Pix copia e cola").')
    txid: str
    amount_cents: int
    svg_path: str
    png_path: str


class PaymentPage(Output):
    """What the customer is shown until the order is paid."""

    id: UUID
    order_id: UUID
    method: str
    status: str
    amount_cents: int
    received_cents: int
    currency: str
    is_open: bool = Field(description="Whether something is still to be paid.")
    expires_at: datetime | None = Field(description="The order is cancelled then, unless paid.")
    pix: PixRead | None


class IntentRead(Output):
    """What Stripe's script in the customer's browser needs."""

    payment_id: UUID
    client_secret: str
    publishable_key: str | None
    amount_cents: int
    currency: str


class RefundRead(Output):
    id: UUID
    payment_id: UUID
    amount_cents: int
    reason: str
    status: str
    error: str | None
    actor_name: str
    created_at: datetime
    settled_at: datetime | None


class OrderPaymentRead(Output):
    """One payment of an order, for the staff."""

    id: UUID
    method: str
    amount_cents: int
    status: str
    change_for_cents: int | None
    received_cents: int
    flag: str | None
    provider_ref: str | None
    error: str | None
    paid_at: datetime | None


class OrderMoneyRead(Output):
    """All money of one order."""

    order_id: UUID
    version: int = Field(description="The order's; send it back as If-Match.")
    total_cents: int
    due_cents: int
    excess_cents: int
    currency: str
    payments: list[OrderPaymentRead]
    refunds: list[RefundRead]


class Received(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"received_cents": 6990}]})

    received_cents: int = Field(
        gt=0, le=100_000_000, description="What came in now; added to what came in before."
    )


class RefundCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount_cents": 1500, "reason": "faltou um refrigerante"}]}
    )

    amount_cents: int | None = Field(
        None, gt=0, le=100_000_000, description="Left out: everything that is left."
    )
    reason: str = Field(min_length=3, max_length=280)


class PaymentSettingsRead(Output):
    pix_key: str | None
    pix_key_type: KeyType | None
    merchant_name: str | None
    merchant_city: str | None
    unpaid_minutes: int | None


class PaymentSettingsPut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pix_key": "123e4567-e12b-12d1-a456-426655440000",
                    "pix_key_type": "evp",
                    "merchant_name": "Pizzaria Bella Massa",
                    "merchant_city": "São Paulo",
                    "unpaid_minutes": 30,
                }
            ]
        }
    )

    pix_key: str | None = Field(None, min_length=1, max_length=100)
    pix_key_type: KeyType | None = None
    merchant_name: str | None = Field(None, max_length=80, description="Cut to 25, no accents.")
    merchant_city: str | None = Field(None, max_length=80, description="Cut to 15, no accents.")
    unpaid_minutes: int | None = Field(
        None,
        ge=5,
        le=10_080,
        description="A pending PIX or card order is cancelled after so long; empty: never.",
    )


class Taken(Output):
    """The notice is kept; what it asks for is done once, later."""

    received: bool = True
