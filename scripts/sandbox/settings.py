"""What the sandbox starts with; everything can be changed later over ``/_sandbox/...``."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """Read from ``SANDBOX_*`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_")

    keep: int = 2000
    whatsapp_callback_url: str = ""
    whatsapp_app_secret: str = ""
    stripe_webhook_url: str = ""
    stripe_webhook_secret: str = ""
    journal: str = ""
    """A file to which each request to a vendor is appended as a line of JSON, whole but for the
    secrets in its headers; empty: none."""
    smtp_port: int = 0
    """Where letters are received; 0 takes a free port, which ``/_sandbox/health`` names."""
