"""The providers a tenant can connect, and what each needs; adding one is adding a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from app.core.problems import Invalid
from app.core.schema import Input

Token = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^[\x21-\x7e]+$")]


class WhatsAppConfig(Input):
    phone_number_id: str = Field(pattern=r"^[0-9]{5,32}$")


class WhatsAppSecret(Input):
    access_token: Token


class TelegramConfig(Input):
    chat_id: str = Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{5,32})$")


class TelegramSecret(Input):
    bot_token: Token


Model = Annotated[str, Field(max_length=200, pattern=r"^[\x21-\x7e]*$")]
"""A vendor's name of a model; empty: the platform's choice."""


class AiConfig(Input):
    model: Model = ""


class CompatibleConfig(Input):
    base_url: str = Field(max_length=500, pattern=r"^https?://[\x21-\x7e]+$")
    model: Model = Field(min_length=1)


class AiSecret(Input):
    api_key: Token


@dataclass(frozen=True, slots=True)
class Provider:
    """Public configuration and secret parts of one vendor's credentials."""

    name: str
    config: type[Input]
    secret: type[Input]


PROVIDERS = {
    p.name: p
    for p in (
        Provider("whatsapp", WhatsAppConfig, WhatsAppSecret),
        Provider("telegram", TelegramConfig, TelegramSecret),
        Provider("openai", AiConfig, AiSecret),
        Provider("anthropic", AiConfig, AiSecret),
        Provider("gemini", AiConfig, AiSecret),
        Provider("openai-compatible", CompatibleConfig, AiSecret),
    )
}


def checked(model: type[Input], values: Mapping[str, str], pointer: str) -> dict[str, str]:
    """The values as the provider's model takes them.

    Raises Invalid, whose errors name fields below ``pointer`` and never repeat a value.
    """
    try:
        found: dict[str, str] = model.model_validate(dict(values)).model_dump()
    except ValidationError as error:
        raise Invalid(
            errors=[
                {"pointer": f"{pointer}/{'/'.join(map(str, e['loc']))}", "detail": e["msg"]}
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    return found
