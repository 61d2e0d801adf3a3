"""Wire models of message templates."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from app.contracts.gateways.whatsapp import Component, Language
from app.core.schema import FreeJson, Input, Output

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
Components = Annotated[list[dict[str, FreeJson]], Field(min_length=1, max_length=10)]
_COMPONENTS: list[JsonValue] = [
    {
        "type": "BODY",
        "text": "Oi {{1}}, o pedido {{2}} saiu para entrega.",
        "example": {"body_text": [["Ana", "1042"]]},
    },
    {"type": "FOOTER", "text": "Pizzaria Bella Massa"},
]


class TemplateCategory(StrEnum):
    MARKETING = "marketing"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"


class ParameterFormat(StrEnum):
    POSITIONAL = "positional"
    NAMED = "named"


class TemplateCreate(Input):
    number_id: UUID = Field(description="Any number of the account that gets the template.")
    name: Name
    language: Language = "pt_BR"
    category: TemplateCategory
    parameter_format: ParameterFormat = ParameterFormat.POSITIONAL
    components: Components

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number_id": "0199a5f0-7c1e-7000-8000-000000000001",
                    "name": "pedido_saiu",
                    "language": "pt_BR",
                    "category": "utility",
                    "components": _COMPONENTS,
                }
            ]
        }
    )


class TemplateUpdate(Input):
    """What is left out stays; the vendor reviews the template again."""

    category: TemplateCategory | None = None
    components: Components | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"components": _COMPONENTS}]})


class TemplatePreview(Input):
    components: list[Component] = Field([], max_length=20)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "components": [
                        {
                            "type": "body",
                            "parameters": [
                                {"type": "text", "text": "João"},
                                {"type": "text", "text": "2077"},
                            ],
                        }
                    ]
                }
            ]
        }
    )


class TemplateRead(Output):
    id: UUID
    waba_id: str
    name: str
    language: str
    category: str
    parameter_format: str
    components: list[dict[str, Any]]
    status: str
    reason: str | None
    quality: str
    synced_at: datetime | None
    deleted_at: datetime | None
    created_at: datetime


class PreviewRead(Output):
    """A template as the person would read it; samples stand where no value was given."""

    header: str | None = Field(description="The text, or the kind of medium.")
    body: str
    footer: str | None
    buttons: list[str]
    cards: list[str] = Field(description="The texts of a carousel's cards.")
    is_sendable: bool
    errors: list[dict[str, str]] = Field(description="What keeps these values from being sent.")


class SyncStarted(Output):
    queued: int = Field(description="Accounts whose templates are being read anew.")
