"""Wire models of customers, their addresses and what they ordered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from app.core.postal import normalise_cep
from app.core.schema import Input, Output
from app.kernel.contacts.schemas import ContactRead, EmailAddress, PhoneNumber

Name = Annotated[str, Field(min_length=2, max_length=120)]
Cep = Annotated[
    str,
    Field(min_length=8, max_length=10, description="CEP, e.g. 01310-100."),
    AfterValidator(normalise_cep),
]
Line = Annotated[str, Field(min_length=1, max_length=80)]
_ADDRESS: dict[str, JsonValue] = {
    "postal_code": "01310-100",
    "street": "Avenida Paulista",
    "number": "1578",
    "complement": "ap 42",
    "district": "Bela Vista",
    "city": "São Paulo",
    "state": "SP",
}


class CustomerCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Maria da Silva",
                    "phone": "(11) 98765-4321",
                    "email": "maria@exemplo.com.br",
                }
            ]
        }
    )

    name: Name
    phone: PhoneNumber
    email: EmailAddress | None = None


class CustomerUpdate(Input):
    """Only the fields sent change; e-mail null removes it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Maria Souza da Silva", "is_blocked": False}]}
    )

    name: Name = ""
    email: EmailAddress | None = None
    is_blocked: bool = Field(False, description="A blocked customer cannot order.")


class AddressCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [_ADDRESS]})

    postal_code: Cep
    street: Line
    number: str = Field(min_length=1, max_length=20)
    complement: str | None = Field(None, max_length=80)
    district: str | None = Field(None, max_length=80)
    city: Line
    state: str = Field(pattern="^[A-Za-z]{2}$")


class AddressUpdate(Input):
    """Only the fields sent change."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"number": "1580", "complement": None}]}
    )

    postal_code: Cep = ""
    street: Line = ""
    number: str = Field("", min_length=1, max_length=20)
    complement: str | None = Field(None, max_length=80)
    district: str | None = Field(None, max_length=80)
    city: Line = ""
    state: str = Field("", pattern="^[A-Za-z]{2}$")


class AddressRead(Output):
    id: UUID
    postal_code: str = Field(description="CEP, eight digits.")
    street: str | None
    number: str | None
    complement: str | None
    district: str | None
    city: str | None
    state: str | None
    created_at: datetime


class LastOrderRead(Output):
    id: UUID
    number: int
    status: str
    total_cents: int
    placed_at: datetime


class FavouriteRead(Output):
    product_id: UUID | None
    name: str
    quantity: int
    orders: int = Field(description="In how many orders.")


class OrderStatisticsRead(Output):
    """Of all orders that were neither cancelled nor rejected."""

    count: int
    total_cents: int
    average_cents: int = Field(description="Average ticket, rounded to the cent.")
    last_order: LastOrderRead | None
    first_order_at: datetime | None
    favourites: list[FavouriteRead] = Field(description="The five items ordered most.")


class BestRead(Output):
    contact_id: UUID
    name: str
    count: int
    total_cents: int


class ShopStatisticsRead(Output):
    """Orders count unless cancelled or rejected."""

    customers: int
    ordered: int = Field(description="Customers with an order.")
    returning: int = Field(description="Customers with more than one.")
    blocked: int
    new_30_days: int
    average_cents: int = Field(description="Average ticket of all orders.")
    best: list[BestRead] = Field(description="The ten who ordered for most.")


class CustomerRead(ContactRead):
    pass


class CustomerDetail(CustomerRead):
    addresses: list[AddressRead]
    orders: OrderStatisticsRead
