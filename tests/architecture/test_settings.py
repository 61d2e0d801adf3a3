"""Every setting is documented with its default, and a bad one stops the start with a sentence."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys

import pytest
from pydantic import SecretStr

from app.core.settings import Settings, described, example
from tests.architecture.sources import ROOT

EXAMPLE = ROOT / ".env.example"
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "PORT"}
REQUIRED = {
    "AUTH_SECRETS": "signs-the-access-tokens-of-this-test",
    "ORDER_TRACKING_SECRET": "signs-the-quotes-and-links-of-this-test",
    "ENCRYPTION_KEYS": "k1:" + "A" * 43 + "=",
}


def _pairs(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _start(environment: dict[str, str], *program: str) -> subprocess.CompletedProcess[str]:
    names = {name.upper() for name in Settings.model_fields}
    outer = {k: v for k, v in os.environ.items() if k not in names}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *(program or ("-m", "app.core.settings"))],
        cwd=ROOT,
        env={**outer, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_example_equals_the_settings() -> None:
    assert EXAMPLE.read_text() == example(), (
        "run: python -m app.core.settings --example > .env.example"
    )


def test_every_setting_is_in_the_example_with_what_it_is_for() -> None:
    text = EXAMPLE.read_text()
    assert set(_pairs(text)) == {n.upper() for n in Settings.model_fields} | COMPOSE_ONLY
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} needs a description"
        assert field.description.endswith("."), name
        assert f"# {field.description}\n{name.upper()}=" in text, name


def test_compose_reads_nothing_undocumented() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    read = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert read <= set(_pairs(EXAMPLE.read_text())), read


def test_example_with_secrets_is_the_default_configuration() -> None:
    filled = {**_pairs(EXAMPLE.read_text()), **REQUIRED}
    started, plain = _start(filled), _start(REQUIRED)
    assert started.returncode == 0, started.stderr
    assert started.stdout == plain.stdout


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"AUTH_SECRETS": ""}, "AUTH_SECRETS needs secrets of at least 32 characters"),
        ({"AUTH_SECRETS": "short"}, "AUTH_SECRETS needs secrets of at least 32 characters"),
        (
            {"AUTH_SECRETS": REQUIRED["AUTH_SECRETS"] + ",short"},
            "AUTH_SECRETS needs secrets of at least 32 characters",
        ),
        ({"ORDER_TRACKING_SECRET": "x" * 31}, "ORDER_TRACKING_SECRET needs secrets"),
        ({"ENCRYPTION_KEYS": ""}, "ENCRYPTION_KEYS needs at least one"),
        ({"ENCRYPTION_KEYS": "k1:c2hvcnQ="}, "of exactly 32 bytes"),
        ({"ENCRYPTION_KEYS": "A" * 43 + "="}, "of exactly 32 bytes"),
        ({"DATABASE_URL": "mysql://localhost/largo"}, "must be a postgresql:// URL"),
        ({"CORS_ALLOWED_ORIGINS": "*"}, "list the origins"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT"),
        ({"WEBHOOK_ALLOW_HTTP": "true"}, "would send customers' data in the open"),
        ({"WEBHOOK_ALLOWED_NETWORKS": "10.0.0.1/8"}, "has host bits set"),
    ],
    ids=lambda value: (
        "-".join(f"{k}={v[:6]}" for k, v in value.items()) if isinstance(value, dict) else ""
    ),
)
def test_a_bad_setting_stops_the_start(change: dict[str, str], sentence: str) -> None:
    stopped = _start({**REQUIRED, **change})
    assert stopped.returncode == 1
    assert "Largo cannot start" in stopped.stderr
    assert sentence in stopped.stderr
    assert "Traceback" not in stopped.stderr
    given = next(iter(change.values()))
    assert len(given) < 20 or given not in stopped.stderr, "the secret itself is not repeated"


def test_the_application_itself_does_not_start_without_secrets() -> None:
    stopped = _start({}, "-c", "from app.main import app; print('started')")
    assert stopped.returncode == 1
    assert "AUTH_SECRETS" in stopped.stderr
    assert "started" not in stopped.stdout


def test_printing_the_configuration_masks_secrets() -> None:
    password = secrets.token_hex(8)
    shown = _start({**REQUIRED, "DATABASE_URL": f"postgresql://largo:{password}@db:5432/largo"})
    assert shown.returncode == 0, shown.stderr
    assert "AUTH_SECRETS=" in shown.stdout
    assert "**********@db:5432/largo" in shown.stdout
    for secret in (password, *REQUIRED.values()):
        assert secret not in shown.stdout


def test_secret_settings_are_typed_as_secrets() -> None:
    config = Settings.model_validate({k.lower(): v for k, v in REQUIRED.items()})
    for name, value in config.model_dump().items():
        if re.search(r"secret|encryption|password|token$|api_key", name):
            ring = value if isinstance(value, tuple) else (value,)
            assert all(isinstance(item, SecretStr) for item in ring), name
    assert not any(v in described(config) + repr(config) for v in REQUIRED.values())
