"""Wire models of contacts that every domain shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from app.core.phone import normalise_phone
from app.core.schema import Input, Output
from app.kernel.contacts.expressions import Stage
from app.kernel.tags.schemas import TagRead

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

Name = Annotated[str, Field(min_length=1, max_length=120)]
Language = Annotated[str, Field(pattern="^[a-z]{2}(-[A-Z]{2})?$", examples=["pt-BR"])]
Adjustment = Annotated[int, Field(ge=-10_000, le=10_000, description="Points given by hand.")]
Attributes = Annotated[dict[str, JsonValue], Field(max_length=50)]


class ContactRead(Output):
    id: UUID
    name: str
    phone: str | None = Field(description="E.164.", examples=["+5511987654321"])
    email: str | None
    source: str = Field(description="Where the contact came from first, e.g. storefront.")
    is_blocked: bool
    last_order_at: datetime | None
    created_at: datetime


class ContactCard(ContactRead):
    """A contact as the inbox and campaigns see it."""

    stage: Stage
    score: int
    owner_id: UUID | None
    company: str | None
    language: str | None
    birth_date: date | None
    attributes: dict[str, JsonValue]
    seen_at: datetime | None = Field(description="Their last message or order.")
    tags: list[TagRead]


class IdentityRead(Output):
    id: UUID
    kind: Literal["phone", "wa_id", "bsuid", "email"]
    value: str
    is_primary: bool = Field(description="The telephone that the contact is written to.")


class ContactDetail(ContactCard):
    score_adjustment: int
    identities: list[IdentityRead]


class ContactCreate(Input):
    """A telephone or an e-mail address is needed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Maria da Silva",
                    "phone": "(11) 98765-4321",
                    "email": "maria@exemplo.com.br",
                    "stage": "lead",
                }
            ]
        }
    )

    name: Name
    phone: PhoneNumber | None = None
    email: EmailAddress | None = None
    company: str | None = Field(None, max_length=120)
    language: Language | None = None
    birth_date: date | None = None
    stage: Stage | None = None
    owner_id: UUID | None = None
    attributes: Attributes = Field(default_factory=dict)
    tag_ids: list[UUID] = Field(default_factory=list, max_length=50)

    @model_validator(mode="after")
    def _is_somebody(self) -> ContactCreate:
        if self.phone is None and self.email is None:
            raise ValueError("give a phone or an email")
        return self


class ContactUpdate(Input):
    """Only the fields sent change; null removes one, in attributes as well."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stage": "qualified", "is_blocked": False}]}
    )

    name: Name = ""
    email: EmailAddress | None = None
    is_blocked: bool = False
    company: str | None = Field(None, max_length=120)
    language: Language | None = None
    birth_date: date | None = None
    stage: Stage | None = None
    owner_id: UUID | None = None
    score_adjustment: Adjustment = 0
    attributes: Attributes = Field(default_factory=dict)


class IdentityCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "phone", "value": "(11) 97777-1234"}]}
    )

    kind: Literal["phone", "wa_id", "bsuid", "email"]
    value: str = Field(min_length=3, max_length=254)


class TagsSet(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tag_ids": ["01932c07-a0a3-7a10-8c39-0f6f2f9b6f11"]}]}
    )

    tag_ids: list[UUID] = Field(max_length=50)


class NoteCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Prefere entrega depois das 19h."}]}
    )

    text: str = Field(min_length=1, max_length=4000)


class NoteRead(Output):
    id: UUID
    text: str
    author_name: str
    created_at: datetime


class TimelineEntryRead(Output):
    at: datetime
    id: UUID
    kind: str = Field(examples=["order.placed"])
    text: str
    resource: str
    resource_id: UUID


class TimelineRead(Output):
    items: list[TimelineEntryRead]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ContactFilter:
    """What a list asks of contacts; every part given must hold."""

    query: str | None = None
    tags_all: Sequence[UUID] = ()
    tags_any: Sequence[UUID] = ()
    tags_none: Sequence[UUID] = ()
    stage: str | None = None
    owner_id: UUID | None = None
    is_blocked: bool | None = None
    seen_after: datetime | None = None
    seen_before: datetime | None = None
    attribute: str | None = None
    """``key:value``"""
