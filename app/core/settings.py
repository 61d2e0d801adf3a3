"""Every setting of the product, read once from the environment; a bad one stops the start.

``python -m app.core.settings`` prints the effective configuration with its secrets masked.
"""

from __future__ import annotations

import base64
import binascii
import sys
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.setting_types import Delays, Hosts, Names, Ring
from app.core.vendor_settings import AI, OAuthApps, Providers, Vendors, WebPush

_HOW = "generate one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"


class Runtime(BaseModel):
    environment: Literal["development", "production", "test"] = Field(
        "production", description="development relaxes cookies and hosts for localhost."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is written."
    )
    worker_in_process: bool = Field(
        True, description="Run jobs inside the web process; false when app.worker runs alone."
    )
    worker_concurrency: int = Field(
        10, ge=2, le=200, description="Jobs that one worker runs at the same time."
    )


class Storage(BaseModel):
    database_url: str = Field(
        "postgresql://largo@127.0.0.1:5432/largo",
        description="Postgres >= 17.6; the login owns the tables and may SET ROLE app_tenant.",
    )
    database_pool_size: int = Field(
        12, ge=2, le=100, description="Connections of the tenant pool of each process."
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Redis or Valkey: limits and doorbells."
    )
    storage_backend: Literal["local", "s3"] = Field(
        "local", description="Where uploaded files live: a directory, or an S3-compatible store."
    )
    media_root: Path = Field(
        Path("media"), description="Directory of uploaded files when storage is local."
    )
    s3_bucket: str = Field(
        "",
        description="Bucket of uploaded files when storage is s3; leave it closed to the public.",
    )
    s3_endpoint_url: str = Field(
        "", description="Address of an S3-compatible store (MinIO, OCI, R2); empty: AWS."
    )
    s3_region: str = Field("us-east-1", description="Region of the bucket.")
    s3_access_key_id: str = Field(
        "", description="Empty with its secret: the machine's own role or profile."
    )
    s3_secret_access_key: SecretStr = Field(
        SecretStr(""), description="Secret of S3_ACCESS_KEY_ID."
    )
    media_orphan_hours: int = Field(
        72, ge=1, description="A file that nothing refers to is removed after so many hours."
    )
    conversation_media_days: int = Field(
        0, ge=0, description="Media of conversations are removed after so many days; 0: never."
    )
    media_cleanup_minutes: int = Field(
        60, ge=1, description="How often unused and half-uploaded files are looked for."
    )

    @field_validator("database_url")
    @classmethod
    def _asyncpg(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"postgresql", "postgres", "postgresql+asyncpg"}:
            raise ValueError("must be a postgresql:// URL")
        return urlunsplit(parts._replace(scheme="postgresql+asyncpg"))

    @model_validator(mode="after")
    def _has_bucket(self) -> Storage:
        if self.storage_backend == "s3" and not self.s3_bucket:
            raise ValueError("STORAGE_BACKEND=s3 needs S3_BUCKET: name the bucket")
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key.get_secret_value()):
            raise ValueError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together: set both")
        return self


class Secrets(BaseModel):
    auth_secrets: Ring = Field(
        (), description="Comma-separated key ring of access tokens: first signs, all verify."
    )
    auth_algorithm: Literal["HS256", "HS384", "HS512"] = Field(
        "HS256", description="Signature of access tokens."
    )
    order_tracking_secret: Ring = Field(
        (), description="Key ring that signs freight quotes, tracking links and links to files."
    )
    encryption_keys: Ring = Field(
        (),
        description="Comma-separated kid:base64(32 bytes); first encrypts, all decrypt.",
    )

    @model_validator(mode="after")
    def _strong(self) -> Secrets:
        for name in ("auth_secrets", "order_tracking_secret"):
            ring: tuple[SecretStr, ...] = getattr(self, name)
            if not ring or any(len(key.get_secret_value()) < 32 for key in ring):
                raise ValueError(f"{name.upper()} needs secrets of at least 32 characters; {_HOW}")
        if not self.encryption_keys:
            raise ValueError("ENCRYPTION_KEYS needs at least one kid:base64key of 32 bytes")
        for entry in self.encryption_keys:
            self.key_pair(entry)
        return self

    @staticmethod
    def key_pair(entry: SecretStr) -> tuple[str, bytes]:
        """Split ``kid:base64`` into its id and its 32 bytes; ValueError when malformed."""
        kid, _, encoded = entry.get_secret_value().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not kid or len(key) != 32:
            raise ValueError("ENCRYPTION_KEYS entries are kid:base64 of exactly 32 bytes")
        return kid, key


class Sessions(BaseModel):
    access_token_expire_minutes: int = Field(
        15, ge=1, le=120, description="Life of an access token."
    )
    admin_session_expire_minutes: int = Field(
        720, ge=5, description="A session ends after this long without use."
    )
    session_absolute_days: int = Field(
        30, ge=1, description="A session ends after this long whatever its use."
    )
    refresh_token_expire_days: int = Field(
        7, ge=1, le=90, description="A refresh token ends after this long without being rotated."
    )
    max_active_sessions: int = Field(
        10, ge=1, description="Sessions per user; a new one cuts the oldest."
    )
    login_attempts_per_minute: int = Field(
        6, ge=1, description="Password attempts per minute at one account from one address."
    )
    login_attempts_per_account: int = Field(
        30, ge=1, description="Password attempts per minute at one account from all addresses."
    )
    login_attempts_per_address: int = Field(
        60, ge=1, description="Password attempts per minute from one address at all accounts."
    )


class Web(BaseModel):
    cors_allowed_origins: Hosts = Field(
        (), description="Comma-separated origins of browser frontends; * is refused in production."
    )
    trusted_hosts: Hosts = Field(
        (), description="Comma-separated host names served; *.example.com allowed; empty: all."
    )
    trusted_proxy_count: int = Field(
        0, ge=0, le=5, description="Proxies in front that append to X-Forwarded-For."
    )
    base_domain: str = Field(
        "", description="loja.<base_domain> resolves to the tenant with slug loja; empty: off."
    )
    legacy_tenant: str = Field(
        "", description="Slug of the tenant served when a request names none; empty: none."
    )
    rate_limit_anonymous: int = Field(
        100,
        ge=1,
        description="Requests per 15 minutes of one address without a session, on writes.",
    )
    rate_limit_reads_per_minute: int = Field(
        6000, ge=1, description="Public reads per minute of one address."
    )


class Webhooks(BaseModel):
    webhook_allow_http: bool = Field(
        False, description="Send webhooks over plain http, too; refused in production."
    )
    webhook_allowed_networks: Names = Field(
        (),
        description="Comma-separated private networks that webhooks may reach; for development.",
    )
    webhook_retry_seconds: Delays = Field(
        (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0),
        description="Comma-separated waits after each failed delivery of a webhook, in seconds.",
    )
    webhook_disable_days: int = Field(
        5, ge=1, description="An endpoint that fails for so many days is switched off."
    )

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for block in value:
            ip_network(block)  # a ValueError names the block
        return value


class Mail(BaseModel):
    smtp_host: str = Field("", description="Server that carries e-mail; empty: letters fail.")
    smtp_port: int = Field(
        587, ge=1, le=65535, description="587 goes with starttls, 465 with implicit."
    )
    smtp_username: str = Field("", description="Login at the server; empty: none.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password of that login.")
    smtp_from: str = Field(
        "", description="Sender of every letter, as in: Largo <no-reply@example.com>."
    )
    smtp_tls: Literal["starttls", "implicit", "none"] = Field(
        "starttls", description="none sends in the open: for a server on this machine."
    )
    smtp_timeout_seconds: float = Field(
        15.0, gt=0, le=120, description="Patience with each answer of the server."
    )
    frontend_url: str = Field(
        "", description="Where people work: links in letters lead to its pages; empty: no links."
    )

    @model_validator(mode="after")
    def _complete(self) -> Mail:
        if self.smtp_host and not self.smtp_from:
            raise ValueError("SMTP_HOST without SMTP_FROM: name the sender of the letters, too")
        if self.smtp_username and self.smtp_tls == "none":
            raise ValueError("SMTP_TLS=none would send SMTP_PASSWORD in the open: use starttls")
        return self


class Observability(BaseModel):
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token of GET /metrics; empty: this machine alone."
    )
    otel_exporter_otlp_endpoint: str = Field(
        "",
        description="Base URL of an OTLP/HTTP collector of traces; empty: none are made. The "
        "SDK's other OTEL_* variables (headers, sampling) apply.",
    )
    otel_service_name: str = Field("largo", description="This process's name in traces.")


class Billing(BaseModel):
    stripe_secret_key: SecretStr = Field(
        SecretStr(""),
        description="sk_live_... takes live notices alone, sk_test_... test ones; empty: off.",
    )
    stripe_publishable_key: str = Field("", description="pk_..., shown to browser frontends.")
    stripe_webhook_secret: Ring = Field(
        (), description="Comma-separated whsec_... of Stripe's webhook: any verifies; empty: off."
    )
    billing_webhook_secret: Ring = Field(
        (), description="Signs /billing/webhook/status and /intake; empty with the next: off."
    )
    billing_webhook_secrets: Ring = Field(
        (), description="More secrets that verify them, comma-separated, while one is replaced."
    )

    @model_validator(mode="after")
    def _guessable(self) -> Billing:
        for name, shortest in (
            ("stripe_webhook_secret", 16),
            ("billing_webhook_secret", 32),
            ("billing_webhook_secrets", 32),
        ):
            ring: tuple[SecretStr, ...] = getattr(self, name)
            if any(len(key.get_secret_value()) < shortest for key in ring):
                raise ValueError(f"{name.upper()} needs at least {shortest} characters; {_HOW}")
        return self

    @property
    def billing_keys(self) -> tuple[SecretStr, ...]:
        return self.billing_webhook_secret + self.billing_webhook_secrets

    @property
    def stripe_is_live(self) -> bool:
        return self.stripe_secret_key.get_secret_value().startswith(("sk_live_", "rk_live_"))


class Settings(
    Runtime,
    Storage,
    Secrets,
    Sessions,
    Web,
    Providers,
    Vendors,
    OAuthApps,
    AI,
    WebPush,
    Webhooks,
    Mail,
    Observability,
    Billing,
    BaseSettings,
):
    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    def vendors(self) -> list[tuple[str, str]]:
        """Base URL and name of every vendor: ``WHATSAPP_GRAPH_BASE_URL`` names ``whatsapp``."""
        suffix = "_base_url"
        return [
            (str(getattr(self, name)), name.removesuffix(suffix).partition("_")[0])
            for name in type(self).model_fields
            if name.endswith(suffix) and getattr(self, name)
        ]

    @model_validator(mode="after")
    def _safe_in_production(self) -> Settings:
        if self.environment == "production" and "*" in self.cors_allowed_origins:
            raise ValueError("CORS_ALLOWED_ORIGINS=* would open every tenant: list the origins")
        if self.environment == "production" and self.webhook_allow_http:
            raise ValueError("WEBHOOK_ALLOW_HTTP would send customers' data in the open: unset it")
        return self


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process.

    Raises SystemExit with one sentence per wrong value: the start stops, saying what to do.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc'])).upper() or 'SETTINGS'}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        ]
        sys.exit("Largo cannot start, its configuration is wrong:\n" + "\n".join(lines))


_COMPOSE = """\
# --- Docker Compose alone reads these

# Password of the Postgres that Compose starts: letters and digits.
POSTGRES_PASSWORD=

# Port of the application on this machine.
PORT=8000
"""


def example() -> str:
    """The text of ``.env.example``: every setting with its default and what it is for."""
    parts = [
        "# Copy to .env and fill in the secrets; what keeps its default may be left out.\n"
        "# Made by: python -m app.core.settings --example > .env.example\n"
    ]
    for group in Settings.__bases__[:-1]:
        parts.append(f"# --- {group.__name__}\n")
        for name in group.__annotations__:
            field = Settings.model_fields[name]
            parts.append(f"# {field.description}\n{name.upper()}={_written(field.default)}\n")
    return "\n".join([*parts, _COMPOSE])


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


def described(config: Settings) -> str:
    """The effective configuration, one setting a line, without secrets and passwords."""
    lines = []
    for name, value in config.model_dump().items():
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is not None and parts.password is not None:
            hidden = parts.netloc.replace(f":{parts.password}@", ":**********@")
            value = urlunsplit(parts._replace(netloc=hidden))
        lines.append(f"{name.upper()}={value}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(example() if "--example" in sys.argv else described(settings()))
