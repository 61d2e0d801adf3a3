"""The environment that the programs of development and tests run in: settings and their secrets."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local.processes import write_whole

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
LOCAL = ROOT / ".local"
DEVELOPMENT_FILE = LOCAL / "dev.env"
ROLE = "largo"

HEADER = """\
# Made by ./scripts/dev for this machine alone; never commit or share it.
# In a shell of yours:  set -a; . .local/dev.env; set +a
"""


@dataclass(frozen=True)
class Where:
    """Addresses of what one run started."""

    database_url: str
    redis_url: str
    sandbox_url: str
    media: Path
    smtp_port: int


def read(path: Path) -> dict[str, str]:
    """The KEY=value lines of a file, nothing when it is not there."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def new_secrets() -> dict[str, str]:
    """Fresh secrets, letters that neither a shell nor a URL needs quoted."""
    return {
        "AUTH_SECRETS": secrets.token_urlsafe(48),
        "ORDER_TRACKING_SECRET": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "WHATSAPP_APP_SECRET": secrets.token_hex(32),
        "WHATSAPP_VERIFY_TOKEN": secrets.token_hex(32),
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(24)}",
        "BILLING_WEBHOOK_SECRET": secrets.token_urlsafe(48),
        "DEV_PASSWORD": f"largo-{secrets.token_hex(6)}",
        "DEV_POSTGRES_PASSWORD": secrets.token_hex(24),
        "DEV_VALKEY_PASSWORD": secrets.token_hex(24),
    }


def kept_secrets(path: Path) -> dict[str, str]:
    """The secrets in ``path``; what is missing is made and kept there (mode 0600)."""
    held = read(path)
    fresh = new_secrets()
    kept = {name: held.get(name) or value for name, value in fresh.items()}
    if any(held.get(name) != value for name, value in kept.items()):
        save(path, {**held, **kept})
    return kept


def save(path: Path, values: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    write_whole(path, HEADER + lines, mode=0o600)


def inherited(path: Path) -> dict[str, str]:
    """Our own environment without what a shell has read from ``path``: that is ours to renew."""
    held = read(path)
    passwords = (held.get("DEV_POSTGRES_PASSWORD"), held.get("DEV_VALKEY_PASSWORD"))

    def ours(name: str, value: str) -> bool:
        if name in ("DATABASE_URL", "REDIS_URL"):
            return any(password and password in value for password in passwords)
        return held.get(name) == value

    return {name: value for name, value in os.environ.items() if not ours(name, value)}


def settings(where: Where, kept: Mapping[str, str], environment: str) -> dict[str, str]:
    """The product's settings for one run."""
    return {
        "ENVIRONMENT": environment,
        "DATABASE_URL": where.database_url,
        "REDIS_URL": where.redis_url,
        "STORAGE_BACKEND": "local",
        "MEDIA_ROOT": str(where.media),
        "WORKER_IN_PROCESS": "true",
        "LOG_LEVEL": "INFO",
        # Receivers on this machine; production refuses to start with them.
        "WEBHOOK_ALLOW_HTTP": "false" if environment == "production" else "true",
        "WEBHOOK_ALLOWED_NETWORKS": "" if environment == "production" else "127.0.0.0/8",
        "WHATSAPP_GRAPH_BASE_URL": f"{where.sandbox_url}/graph",
        "TELEGRAM_API_BASE_URL": f"{where.sandbox_url}/telegram",
        # The sandbox takes any key, so a fresh tenant can ask without connecting anything.
        "OPENAI_API_KEY": "sk-sandbox-openai",
        **connected(where.sandbox_url),
        "STRIPE_SECRET_KEY": "" if environment == "production" else "sk_test_largo_sandbox",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(where.smtp_port),
        "SMTP_FROM": "Largo <nao-responda@largo.example>",
        "SMTP_TLS": "none",
        **kept,
    }


def connected(sandbox_url: str) -> dict[str, str]:
    """Where the vendors that tenants connect are played, and our registrations there."""
    found = {
        "OPENAI_BASE_URL": f"{sandbox_url}/openai/v1",
        "ANTHROPIC_BASE_URL": f"{sandbox_url}/anthropic",
        "GEMINI_BASE_URL": f"{sandbox_url}/gemini",
        "CLICKSIGN_BASE_URL": f"{sandbox_url}/clicksign",
        "CLICKSIGN_SANDBOX_BASE_URL": f"{sandbox_url}/clicksign",
        "DOCUSIGN_ACCOUNT_BASE_URL": f"{sandbox_url}/docusign",
        "DOCUSIGN_DEMO_ACCOUNT_BASE_URL": f"{sandbox_url}/docusign",
        "ZOOM_OAUTH_BASE_URL": f"{sandbox_url}/zoom",
        "STRIPE_API_BASE_URL": f"{sandbox_url}/stripe",
        "GOOGLE_MAPS_BASE_URL": sandbox_url,
        "NOMINATIM_BASE_URL": f"{sandbox_url}/nominatim",
        "GOOGLE_ACCOUNTS_BASE_URL": f"{sandbox_url}/google",
        "GOOGLE_OAUTH_BASE_URL": f"{sandbox_url}/google",
        "GOOGLE_API_BASE_URL": f"{sandbox_url}/google",
        "MICROSOFT_LOGIN_BASE_URL": f"{sandbox_url}/microsoft",
        "MICROSOFT_GRAPH_BASE_URL": f"{sandbox_url}/microsoft",
        "HUBSPOT_APP_BASE_URL": f"{sandbox_url}/hubspot",
        "HUBSPOT_API_BASE_URL": f"{sandbox_url}/hubspot",
    }
    for vendor in ("GOOGLE", "MICROSOFT", "HUBSPOT"):
        found[f"{vendor}_CLIENT_ID"] = "sandbox-client"
        found[f"{vendor}_CLIENT_SECRET"] = "sandbox-client-secret"
    return found


def for_programs(values: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """``values``, overruled by what the person has set (``outer``); packages and clone in reach."""
    path = f"{PYTHON.parent}{os.pathsep}{outer.get('PATH', os.defpath)}"
    return {
        **values,
        **outer,
        "PATH": path,
        "VIRTUAL_ENV": str(PYTHON.parents[1]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
