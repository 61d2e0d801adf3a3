"""Settings of vendors: addresses, the platform's own keys, our registrations with them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

Names = Annotated[tuple[str, ...], NoDecode]


class Providers(BaseModel):
    whatsapp_graph_base_url: str = Field(
        "https://graph.facebook.com", description="WhatsApp Cloud API; the sandbox in development."
    )
    whatsapp_graph_version: str = Field("v23.0", description="Version of the Cloud API.")
    whatsapp_app_secret: SecretStr = Field(
        SecretStr(""),
        description="Of the platform's own Meta app: signs for every number; empty: none.",
    )
    whatsapp_verify_token: SecretStr = Field(
        SecretStr(""), description="Of that app's webhook subscription; empty: none."
    )
    telegram_api_base_url: str = Field(
        "https://api.telegram.org", description="Telegram Bot API; the sandbox in development."
    )


class AI(BaseModel):
    openai_api_key: SecretStr = Field(
        SecretStr(""), description="The platform's own key, for tenants without; empty: none."
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1", description="OpenAI; the sandbox in development."
    )
    openai_model: str = Field("gpt-4o-mini", description="Model unless a question names one.")
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), description="The platform's own key, for tenants without; empty: none."
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", description="Anthropic; the sandbox in development."
    )
    anthropic_model: str = Field(
        "", description="Model unless a question names one, as the vendor's documentation has it."
    )
    gemini_api_key: SecretStr = Field(
        SecretStr(""), description="The platform's own key, for tenants without; empty: none."
    )
    gemini_base_url: str = Field(
        "https://generativelanguage.googleapis.com",
        description="Google Gemini; the sandbox in development.",
    )
    gemini_model: str = Field("gemini-2.5-flash", description="Model unless a question names one.")
    ai_max_tokens: int = Field(
        2000, ge=1, description="Longest AI answer unless a question says otherwise, in tokens."
    )
    ai_timeout_seconds: float = Field(
        120, gt=0, le=600, description="Longest wait for one AI answer."
    )
    ai_calls_per_minute: int = Field(60, ge=1, description="AI calls of one tenant.")
    ai_platform_monthly_micro_usd: int = Field(
        5_000_000,
        ge=0,
        description="Most that the platform's own keys pay a month for one tenant, in micro-USD.",
    )


class Vendors(BaseModel):
    """Where vendors are reached that tenants connect; the sandbox in development."""

    clicksign_base_url: str = Field("https://app.clicksign.com", description="ClickSign API.")
    clicksign_sandbox_base_url: str = Field(
        "https://sandbox.clicksign.com", description="ClickSign's own test environment."
    )
    docusign_account_base_url: str = Field(
        "https://account.docusign.com", description="DocuSign's token server."
    )
    docusign_demo_account_base_url: str = Field(
        "https://account-d.docusign.com", description="The token server of DocuSign's demo."
    )
    zoom_oauth_base_url: str = Field("https://zoom.us", description="Zoom's token server.")
    stripe_api_base_url: str = Field(
        "https://api.stripe.com", description="Stripe's API; the sandbox in development."
    )
    google_maps_base_url: str = Field(
        "https://maps.googleapis.com", description="Google Maps Platform."
    )
    google_maps_api_key: SecretStr = Field(
        SecretStr(""), description="The platform's own key, for tenants without; empty: none."
    )
    nominatim_base_url: str = Field(
        "https://nominatim.openstreetmap.org",
        description="OpenStreetMap's geocoder, where no Google key is; empty: never asked.",
    )
    maps_timeout_seconds: float = Field(
        2, gt=0, le=30, description="Longest wait for one answer of a maps provider."
    )
    maps_patience_ms: int = Field(
        1500, ge=0, le=30_000, description="Longest that a buyer waits for distances by road."
    )


class WebPush(BaseModel):
    """The key that signs web pushes, and whom push services may write to about them."""

    web_push_private_key: SecretStr = Field(
        SecretStr(""),
        description="VAPID key, base64url of 32 bytes; empty: made once, kept in the database.",
    )
    web_push_subject: str = Field(
        "mailto:suporte@largo.example",
        description="Whom push services may write to: a mailto: or https: of yours.",
    )

    @field_validator("web_push_private_key")
    @classmethod
    def _raw_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not re.fullmatch(r"[A-Za-z0-9_-]{43}=?", text):
            raise ValueError("must be base64url of a private P-256 key's 32 bytes, or empty")
        return value

    @field_validator("web_push_subject")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if not re.fullmatch(r"mailto:[^@\s]+@[\w-]+(\.[\w-]+)+|https://[\w-]+\.[\w.-]+", value):
            raise ValueError("must be mailto:somebody@your.domain or https://your.domain")
        return value


class OAuthApps(BaseModel):
    """Our own registrations with vendors whose accounts are connected by consent (OAuth 2.0)."""

    public_base_url: str = Field(
        "http://127.0.0.1:8000",
        description="Where browsers reach us; no slash at the end.",
    )
    oauth_return_origins: Names = Field(
        (),
        description="Comma-separated origins that a consent may return to, besides our own paths.",
    )
    google_client_id: str = Field("", description="OAuth client at Google; empty: off.")
    google_client_secret: SecretStr = Field(SecretStr(""), description="Secret of that client.")
    google_accounts_base_url: str = Field(
        "https://accounts.google.com", description="Google's consent page."
    )
    google_oauth_base_url: str = Field(
        "https://oauth2.googleapis.com", description="Google's token server."
    )
    google_api_base_url: str = Field("https://www.googleapis.com", description="Google APIs.")
    google_scopes: str = Field(
        "openid email https://www.googleapis.com/auth/drive.file",
        description="Scopes asked of Google, separated by spaces.",
    )
    microsoft_client_id: str = Field("", description="OAuth client at Microsoft; empty: off.")
    microsoft_client_secret: SecretStr = Field(SecretStr(""), description="Secret of that client.")
    microsoft_directory: str = Field(
        "common", description="Whose accounts may connect: common, organizations or a directory id."
    )
    microsoft_login_base_url: str = Field(
        "https://login.microsoftonline.com", description="Microsoft's identity platform."
    )
    microsoft_graph_base_url: str = Field(
        "https://graph.microsoft.com", description="Microsoft Graph."
    )
    microsoft_scopes: str = Field(
        "offline_access User.Read Files.ReadWrite",
        description="Scopes asked of Microsoft, separated by spaces.",
    )
    hubspot_client_id: str = Field("", description="OAuth client at HubSpot; empty: off.")
    hubspot_client_secret: SecretStr = Field(SecretStr(""), description="Secret of that client.")
    hubspot_app_base_url: str = Field(
        "https://app.hubspot.com", description="HubSpot's consent page."
    )
    hubspot_api_base_url: str = Field("https://api.hubapi.com", description="HubSpot APIs.")
    hubspot_scopes: str = Field(
        "oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read files",
        description="Scopes asked of HubSpot, separated by spaces; as the app is registered.",
    )

    @field_validator("oauth_return_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value
