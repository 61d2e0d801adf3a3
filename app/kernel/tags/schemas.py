"""Wire models of tags and of the tenant's own attributes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.schema import Input, Output

Color = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$", description="#rrggbb.")]
Kind = Literal["text", "number", "boolean", "date", "choice"]


class TagCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Cliente VIP", "color": "#0f766e"}]}
    )

    name: str = Field(min_length=1, max_length=60)
    color: Color = "#64748b"


class TagUpdate(Input):
    """Only the fields sent change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"color": "#b45309"}]})

    name: str = Field("", min_length=1, max_length=60)
    color: Color = ""


class TagRead(Output):
    id: UUID
    name: str
    color: str
    created_at: datetime


class TagCount(TagRead):
    contacts: int = Field(description="How many contacts carry it.")


class AttributeCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "tamanho_camiseta",
                    "label": "Tamanho da camiseta",
                    "kind": "choice",
                    "choices": ["P", "M", "G"],
                }
            ]
        }
    )

    key: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$")
    label: str = Field(min_length=1, max_length=80)
    kind: Kind
    choices: list[Annotated[str, Field(min_length=1, max_length=80)]] = Field(
        default_factory=list, max_length=50
    )

    @model_validator(mode="after")
    def _choices_fit(self) -> AttributeCreate:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a choice needs choices, and nothing else has any")
        return self


class AttributeUpdate(Input):
    """Only the fields sent change; a choice that is taken away stays where it was given."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "Camiseta"}]})

    label: str = Field("", min_length=1, max_length=80)
    choices: list[Annotated[str, Field(min_length=1, max_length=80)]] = Field(
        default_factory=list, min_length=1, max_length=50
    )


class AttributeRead(Output):
    id: UUID
    key: str
    label: str
    kind: str
    choices: list[str]
    created_at: datetime
