"""Wire models of importing contacts."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.consents.schemas import Category, Channel


class ImportConsent(Input):
    """What everybody in the file agreed to, and what proves it."""

    channel: Channel
    category: Category | Literal["all"] = "marketing"
    evidence: str = Field(min_length=3, max_length=500)


class ContactsImport(Input):
    """A CSV text with a header; known contacts are those of the same phone or e-mail."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "csv": "nome;celular\nMaria da Silva;(11) 98765-4321\n",
                    "mapping": {"phone": "celular"},
                    "tag_ids": [],
                }
            ]
        }
    )

    csv: str = Field(min_length=1, max_length=2_000_000)
    mapping: dict[str, Annotated[str, Field(max_length=80)]] = Field(
        default_factory=dict,
        max_length=60,
        description="Column by field (name, phone, email, company, or an attribute's key).",
    )
    tag_ids: list[UUID] = Field(default_factory=list, max_length=20)
    consent: ImportConsent | None = None


class ImportFault(Output):
    line: int
    reason: str


class ImportRead(Output):
    """rows = created + updated + unchanged + repeated + failed."""

    columns: dict[str, str] = Field(description="The column that each field is read from.")
    ignored: list[str] = Field(description="Columns that are no field.")
    rows: int
    created: int
    updated: int
    unchanged: int
    repeated: int = Field(description="Lines of a phone or e-mail that an earlier line has.")
    failed: int
    faults: list[ImportFault] = Field(description="The first hundred wrong lines.")
