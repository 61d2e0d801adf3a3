"""Wire models of orders that staff place, change, or repeat."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.commerce.checkout.schemas import (
    AddressIn,
    BreakdownRead,
    CheckoutIn,
    CustomerIn,
    ItemIn,
    ModifierIn,
)
from app.commerce.orders.rules import FulfilmentType
from app.commerce.orders.schemas import OrderRead
from app.core.schema import Input, Instant, Output

Price = Annotated[
    int | None,
    Field(None, ge=0, le=100_000_000, description="Cents of one instead of the catalogue's."),
]
Why = Annotated[
    str | None, Field(None, min_length=3, max_length=280, description="Why; goes into the audit.")
]
_PRODUCT = "01931b2e-7c00-7000-8000-000000000001"
_LINE = "01931b2e-7c00-7000-8000-0000000000d1"
_ADDRESS: JsonDict = {
    "postal_code": "05422-010",
    "street": "Rua dos Pinheiros",
    "number": "498",
    "district": "Pinheiros",
    "city": "São Paulo",
    "state": "SP",
}


class StaffItemIn(ItemIn):
    price_cents: Price


class StaffOrderIn(CheckoutIn):
    """A checkout, by staff; whatever differs from a customer's is said and logged."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "store": "vila-madalena",
                    "fulfilment": "pickup",
                    "items": [{"product_id": _PRODUCT, "quantity": 1, "note": "bem passada"}],
                    "customer": {"name": "Maria da Silva", "phone": "(11) 98765-4321"},
                    "payment": {"method": "cash", "change_for_cents": 10000},
                    "note": "pedido por telefone",
                }
            ]
        }
    )

    items: list[StaffItemIn] = Field(min_length=1, max_length=100)  # type: ignore[assignment]
    customer: CustomerIn | None = None  # type: ignore[assignment]
    contact_id: UUID | None = Field(None, description="Instead of customer: somebody known.")
    despite_closed: bool = Field(False, description="Take it although the store is closed.")
    override_reason: Why

    @property
    def prices(self) -> dict[int, int]:
        return {n: i.price_cents for n, i in enumerate(self.items) if i.price_cents is not None}

    @property
    def overrides(self) -> bool:
        """Whether it asks for what the shop's own rules refuse."""
        return self.despite_closed or bool(self.prices)


class LineChange(Input):
    """What changes of one line; what is left out stays."""

    id: UUID
    quantity: int | None = Field(None, ge=1, le=999)
    modifiers: list[ModifierIn] | None = Field(None, max_length=50)
    note: str | None = Field(None, max_length=280)
    price_cents: Price


class OrderEditIn(Input):
    """Fields that are left out stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "add": [{"product_id": _PRODUCT, "quantity": 1}],
                    "change": [{"id": _LINE, "quantity": 3}],
                    "reason": "cliente ligou",
                },
                {"address": _ADDRESS, "note": "portaria 2"},
            ]
        }
    )

    add: list[StaffItemIn] = Field(default_factory=list, max_length=100)
    remove: list[UUID] = Field(default_factory=list, max_length=100)
    change: list[LineChange] = Field(default_factory=list, max_length=100)
    address: AddressIn | None = None
    note: str | None = Field(None, max_length=500)
    scheduled_for: Instant | None = None
    coupons: list[Annotated[str, Field(min_length=1, max_length=40)]] | None = Field(
        None, max_length=5, description="Empty: without the coupons it had."
    )
    expected_total_cents: int | None = Field(
        None, ge=0, description="What the customer was told; another total answers 409."
    )
    despite_closed: bool = Field(False, description="Another time although the store is closed.")
    reason: Why

    @property
    def overrides(self) -> bool:
        priced = [i.price_cents for i in self.add] + [c.price_cents for c in self.change]
        return self.despite_closed or any(price is not None for price in priced)

    @property
    def changes_something(self) -> bool:
        asked = {"add", "remove", "change", "address", "note", "scheduled_for", "coupons"}
        return bool(asked & self.model_fields_set)


class EditedRead(Output):
    """The order before and after, and what is owed or to be given back."""

    order: OrderRead
    before: dict[str, Any]
    after: dict[str, Any]
    difference_cents: int = Field(description="New total less the old one.")
    due_cents: int = Field(description="Still to be paid.")
    refund_due_cents: int = Field(description="Paid beyond the new total.")


class LeftOutRead(Output):
    name: str
    quantity: int
    reason: str = Field(description="Machine-readable: not-available, out-of-stock, …")


class AgainRead(Output):
    """A cart for POST /checkout, priced today, and what of the old order it cannot hold."""

    store: str
    fulfilment: FulfilmentType
    address: dict[str, Any] | None
    items: list[ItemIn]
    left_out: list[LeftOutRead]
    breakdown: BreakdownRead | None
    problem: str | None = Field(
        description="Code of why it could not be ordered right now, e.g. store-closed."
    )
