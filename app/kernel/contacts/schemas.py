"""Wire models of contacts that every domain shares."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from app.core.phone import normalise_phone
from app.core.schema import Output

PhoneNumber = Annotated[
    str,
    Field(min_length=8, max_length=40, examples=["(11) 98765-4321"]),
    AfterValidator(normalise_phone),
]
"""A number as people write it; read as E.164."""

EmailAddress = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$",
    ),
]
"""Shape only: whether somebody reads it, only a message can tell."""


class ContactRead(Output):
    id: UUID
    name: str
    phone: str | None = Field(description="E.164.", examples=["+5511987654321"])
    email: str | None
    source: str = Field(description="Where the contact came from first, e.g. storefront.")
    is_blocked: bool
    last_order_at: datetime | None
    created_at: datetime
