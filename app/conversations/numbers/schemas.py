"""Wire models of WhatsApp numbers; secrets go in and never come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints

from app.core.phone import InvalidPhone, normalise_phone
from app.core.schema import Input, Output

NodeId = Annotated[str, StringConstraints(pattern=r"^\d{5,30}$")]


def _header(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError("a token has printable ASCII characters only, as it goes in a header")
    return secret


Secret = Annotated[SecretStr, Field(min_length=8, max_length=1000)]
Token = Annotated[Secret, AfterValidator(_header)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00]+$")]
BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\x00]+$", max_length=300)]
Version = Annotated[str, StringConstraints(pattern=r"^v\d{1,2}\.\d$")]


def _phone(written: str) -> str:
    try:
        return normalise_phone(written)
    except InvalidPhone as error:
        raise ValueError(str(error)) from None


Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]


class NumberCreate(Input):
    name: Label
    waba_id: NodeId
    phone_number_id: NodeId
    display_phone: Phone
    access_token: Token
    app_secret: Secret
    verify_token: Secret
    base_url: BaseUrl | None = None
    api_version: Version | None = None
    is_coexistent: bool = False
    default_bot_id: UUID | None = None
    department_id: UUID | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Atendimento",
                    "waba_id": "102290129340398",
                    "phone_number_id": "106540352242922",
                    "display_phone": "+55 11 4002-8922",
                    "access_token": "EAAGm0PX4ZCpsBAKexemplo",
                    "app_secret": "5f0c2a9be7d14c3aa6d1exemplo",
                    "verify_token": "um-segredo-nosso",
                }
            ]
        }
    )


class NumberUpdate(Input):
    """Fields left out stay; a new ``base_url`` needs ``access_token`` again."""

    name: Label | None = None
    display_phone: Phone | None = None
    access_token: Token | None = None
    verify_token: Secret | None = None
    base_url: BaseUrl | None = None
    api_version: Version | None = None
    is_coexistent: bool | None = None
    is_active: bool | None = None
    default_bot_id: UUID | None = None
    department_id: UUID | None = None
    cart_store: Annotated[str, Field(min_length=1, max_length=80)] | None = Field(
        None,
        description="Slug of the store whose orders carts become that are filled in the chat;"
        " null: a cart is a message like others.",
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Atendimento Centro", "is_active": True}]}
    )


class SecretRotation(Input):
    app_secret: Secret

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_secret": "9c1d7ab04e6f4f0e8a52exemplo"}]}
    )


class Registration(Input):
    pin: Annotated[str, StringConstraints(pattern=r"^\d{6}$")]

    model_config = ConfigDict(json_schema_extra={"examples": [{"pin": "482913"}]})


class NumberRead(Output):
    id: UUID
    name: str
    waba_id: str
    phone_number_id: str
    display_phone: str
    verified_name: str | None
    base_url: str | None
    api_version: str | None
    quality: str
    status: str
    messaging_limit: int | None
    per_second: int
    is_coexistent: bool
    is_active: bool
    default_bot_id: UUID | None
    department_id: UUID | None
    cart_store: str | None
    campaigns_stopped_at: datetime | None
    campaigns_stopped_why: str | None
    is_rotating_secret: bool
    last_webhook_at: datetime | None
    checked_at: datetime | None
    check_error: str | None
    created_at: datetime


class NumberCheck(Output):
    """How asking the vendor with the stored token ended; the number keeps what it said."""

    ok: bool
    code: str | None
    detail: str | None
    number: NumberRead


class NumberHealth(Output):
    """The last 24 hours of one number; the limit is the whole portfolio's."""

    number: NumberRead
    limit: int | None = Field(description="People who may be written to first; null: no end.")
    limit_used: int = Field(description="People reached by templates outside their window.")
    limit_left: int | None
    sent: int
    delivered: int
    read: int
    failed: int
    error_rate: float = Field(description="Failed of all that ended, 0 to 1.")
    errors: dict[str, int] = Field(description="Failures by the vendor's code.")
    received: int
    is_healthy: bool
    problems: list[str] = Field(description="What needs attention, in machine words.")
