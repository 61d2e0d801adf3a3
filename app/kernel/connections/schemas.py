"""Wire models of connections: secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.connections.rules import Kind

Values = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=8192)],
    ],
    Field(max_length=20),
]
Name = Annotated[str, Field(min_length=1, max_length=80, examples=["OpenAI da loja"])]
Status = Literal["active", "expired", "error"]


class ConnectionPut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config": {"phone_number_id": "106540352242922"},
                    "secret": {"access_token": "the-token-from-the-vendor"},
                    "is_enabled": True,
                }
            ]
        }
    )

    config: Values
    secret: Values | None = Field(None, description="Write-only; left out, the stored one stays.")
    is_enabled: bool = True


class ConnectionCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "provider": "openai",
                    "name": "OpenAI da loja",
                    "config": {"model": "gpt-5-mini"},
                    "secret": {"api_key": "sk-the-key-from-the-vendor"},
                    "is_default": True,
                }
            ]
        }
    )

    provider: str = Field(max_length=64)
    name: Name
    config: Values = Field(default_factory=dict)
    secret: Values = Field(description="Write-only.")
    is_enabled: bool = True
    is_default: bool = Field(
        False, description="Serves whatever names no connection; the first one does anyway."
    )


class ConnectionUpdate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "OpenAI do atendimento", "is_default": True, "is_enabled": True}]
        }
    )

    name: Name | None = None
    config: Values | None = None
    secret: Values | None = Field(None, description="Write-only; left out, the stored one stays.")
    is_enabled: bool | None = None
    is_default: Literal[True] | None = Field(
        None, description="Prefer this one; the one preferred until now steps back."
    )


class ConnectionRead(Output):
    id: UUID
    provider: str
    kind: Kind
    name: str
    config: dict[str, str]
    is_enabled: bool
    is_default: bool
    status: Status = Field(
        description="`expired`: connect the account again; `error`: the last check failed."
    )
    status_reason: str | None = Field(description="What to do about it.")
    checked_at: datetime | None
    account_name: str | None = Field(description="Whose account was connected.")
    scopes: list[str] = Field(description="What the person consented to.")
    token_expires_at: datetime | None = Field(description="Renewed by itself before then.")
    created_at: datetime


class ProviderRead(Output):
    """A provider, and what it needs to be connected."""

    provider: str
    label: str
    kind: Kind
    by_consent: bool = Field(description="Connected by OAuth: nobody types a key.")
    is_available: bool = Field(description="False when this installation is not registered there.")
    config_schema: dict[str, Any] = Field(description="JSON Schema of `config`.")
    secret_schema: dict[str, Any] = Field(description="JSON Schema of `secret`.")


class SignatureProviderRead(ProviderRead):
    connections: list[ConnectionRead]


class IntegrationRead(Output):
    """A provider, and how far this tenant is with it."""

    provider: str
    label: str
    kind: Kind
    by_consent: bool
    is_connected: bool = Field(description="Whether credentials are stored.")
    is_enabled: bool
    config: dict[str, str]
    config_fields: list[str] = Field(description="What `config` needs.")
    secret_fields: list[str] = Field(description="What `secret` needs.")
    connected_at: datetime | None
    connection_id: UUID | None = Field(description="The one that stands for the provider.")
    connections: int = Field(description="How many there are.")
    status: Status | None


class IntegrationStatus(Output):
    connected: bool
    status: Status | None
    status_reason: str | None
    checked_at: datetime | None
    scopes: list[str]


class CheckRead(Output):
    ok: bool
    reason: str = Field(
        description=(
            "`ok`, `credentials-refused`, `consent-required`, `consent-ended`, `not-found`, "
            "`rate-limited`, `unavailable`, `url-refused` or `unexpected-answer`."
        )
    )
    detail: str = Field(description="What to do next; empty when all is well.")
    account: str | None
    checked_at: datetime
    duration_ms: int


class CredentialsTest(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "config": {"environment": "sandbox"},
                    "secret": {"access_token": "the-token-from-the-vendor"},
                }
            ]
        }
    )

    config: Values = Field(default_factory=dict)
    secret: Values = Field(description="Used for this one call, stored nowhere.")


class ConsentStart(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Drive da matriz", "return_to": "/configuracoes/conexoes"}]
        }
    )

    name: Name | None = Field(None, description="Of a new connection; left out: the account's.")
    return_to: str | None = Field(
        None,
        max_length=500,
        description="Where the browser goes afterwards; a path of ours or a listed origin.",
    )


class ConsentRead(Output):
    authorization_url: str = Field(description="Send the person's browser there.")
    expires_at: datetime
