"""The providers a tenant can connect, and what each needs; adding one is adding a line."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from app.contracts.notices import Wording
from app.contracts.platform import ConnectionExpired
from app.core.problems import Invalid
from app.core.schema import Input

Kind = Literal["messaging", "ai", "signature", "crm", "storage", "meetings", "payments", "maps"]
Token = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^[\x21-\x7e]+$")]
Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Model = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Environment = Literal["sandbox", "production"]


class Nothing(Input):
    """A provider that needs nothing of this."""


class WhatsAppConfig(Input):
    phone_number_id: str = Field(pattern=r"^[0-9]{5,32}$")


class AccessToken(Input):
    access_token: Token


class TelegramConfig(Input):
    chat_id: str = Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{5,32})$")


class TelegramSecret(Input):
    bot_token: Token


class ModelConfig(Input):
    model: Model | None = Field(None, description="Used when a feature names none.")


class CompatibleConfig(Input):
    model: Model
    base_url: str = Field(max_length=500, description="Up to and including its version: .../v1.")


class ApiKey(Input):
    api_key: Token


class ClickSignConfig(Input):
    environment: Environment = "production"


class ClickSignSecret(AccessToken):
    webhook_secret: Token | None = Field(None, description="Proves who sends a notice.")


class DocuSignConfig(Input):
    integration_key: Guid
    user_id: Guid
    account_id: Guid | None = Field(None, description="Left out: the user's default account.")
    environment: Environment = "production"


class DocuSignSecret(Input):
    private_key: str = Field(min_length=200, max_length=8000, description="RSA key, PEM.")
    webhook_secret: Token | None = Field(None, description="Connect's HMAC key.")


class ZoomConfig(Input):
    account_id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    client_id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")


class ZoomSecret(Input):
    client_secret: Token
    webhook_secret: Token | None = Field(None, description="Proves who sends an event.")


class StripeConfig(Input):
    publishable_key: str | None = Field(
        None,
        pattern=r"^pk_(test|live)_[A-Za-z0-9]{8,200}$",
        description="What a shop's page shows to Stripe's own script.",
    )


class StripeSecret(Input):
    api_key: str = Field(pattern=r"^(sk|rk)_(test|live)_[A-Za-z0-9]{8,200}$")
    webhook_secret: Token | None = Field(None, description="Signs the events.")


@dataclass(frozen=True, slots=True)
class Provider:
    """Public configuration and secret parts of one vendor's credentials."""

    name: str
    label: str
    kind: Kind
    config: type[Input] = Nothing
    secret: type[Input] = Nothing
    by_consent: bool = False
    """Connected by OAuth: a person consents, nobody types a key."""

    @property
    def purpose(self) -> str:
        """Within what one connection is the default."""
        return self.kind if self.kind in ("ai", "signature") else self.name


PROVIDERS = {
    p.name: p
    for p in (
        Provider("whatsapp", "WhatsApp", "messaging", WhatsAppConfig, AccessToken),
        Provider("telegram", "Telegram", "messaging", TelegramConfig, TelegramSecret),
        Provider("openai", "OpenAI", "ai", ModelConfig, ApiKey),
        Provider("anthropic", "Anthropic", "ai", ModelConfig, ApiKey),
        Provider("gemini", "Google Gemini", "ai", ModelConfig, ApiKey),
        Provider("openai-compatible", "OpenAI-compatible", "ai", CompatibleConfig, ApiKey),
        Provider("clicksign", "ClickSign", "signature", ClickSignConfig, ClickSignSecret),
        Provider("docusign", "DocuSign", "signature", DocuSignConfig, DocuSignSecret),
        Provider("zoom", "Zoom", "meetings", ZoomConfig, ZoomSecret),
        Provider("stripe", "Stripe", "payments", StripeConfig, StripeSecret),
        Provider("google-maps", "Google Maps", "maps", Nothing, ApiKey),
        Provider("google", "Google Drive", "storage", by_consent=True),
        Provider("microsoft", "Microsoft OneDrive", "storage", by_consent=True),
        Provider("hubspot", "HubSpot", "crm", by_consent=True),
    )
}


def checked(model: type[Input], values: Mapping[str, str], pointer: str) -> dict[str, str]:
    """The values as the provider's model takes them.

    Raises Invalid, whose errors name fields below ``pointer`` and never repeat a value.
    """
    try:
        found: dict[str, str] = model.model_validate(dict(values)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise Invalid(
            errors=[
                {"pointer": f"{pointer}/{'/'.join(map(str, e['loc']))}", "detail": e["msg"]}
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    return found


def challenge_of(verifier: str) -> str:
    """S256 of a PKCE verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def may_return_to(url: str, origins: tuple[str, ...]) -> bool:
    """Whether a consent may end at ``url``: a path of ours, or a page of a listed origin."""
    if any(c <= " " or c in "\\\x7f" for c in url):
        return False  # browsers take "/\\host" for another host and drop tabs and newlines
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not parts.scheme and not parts.netloc:
        return url.startswith("/") and not url.startswith("//")
    return f"{parts.scheme}://{parts.netloc}".lower() in origins


def expired_notice(event: ConnectionExpired) -> Wording:
    """What the people in charge are told when a vendor ended a consent."""
    return Wording(
        f"Conexão encerrada: {event.label}",
        f"{event.provider} encerrou a autorização. O que depende dela espera até alguém conectar "
        "a conta de novo.",
        f"/admin/connections/{event.connection_id}",
    )
