"""The demo with a few orders, and databases of its own to restore it into."""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from app.core.settings import Settings
from app.main import Largo
from scripts import restore_db
from scripts.backups import manifest, picture, terminal
from scripts.backups.manifest import Manifest
from tests.conftest import _create_database

PASSWORD = "senha de demonstração"
SHOP, OTHER = "bella-massa", "presentes-da-lu"
PEOPLE = {SHOP: "dono@bellamassa.example", OTHER: "atendimento@presentes-da-lu.example"}


def in_database(config: Settings, name: str) -> Settings:
    parts = urlsplit(config.database_url)
    return config.model_copy(update={"database_url": urlunsplit(parts._replace(path=f"/{name}"))})


@dataclass
class Databases:
    """Databases of this file alone, dropped at its end."""

    config: Settings
    maintenance: str
    media: Path
    names: list[str] = field(default_factory=list)

    def named(self) -> Settings:
        """Settings of a database that is not there yet."""
        name = f"largo_backup_{secrets.token_hex(4)}"
        self.names.append(name)
        found = in_database(self.config, name)
        return found.model_copy(update={"media_root": self.media / name})

    async def empty(self) -> Settings:
        found = self.named()
        await _create_database(self.maintenance, self.names[-1])
        return found


@dataclass
class Demo:
    """The demo with a few orders, a number and an upload, and the backup that was made of it."""

    config: Settings
    app: Largo
    token: str
    order: dict[str, Any]
    customer: str
    file: dict[str, Any]
    backup: Path
    said: str


async def log_in(client: httpx.AsyncClient, slug: str) -> str:
    body = {"email": PEOPLE[slug], "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", json=body, headers={"X-Tenant": slug})
    token: str = answer.json()["access_token"]
    return token


async def buy(client: httpx.AsyncClient, phone: str) -> dict[str, Any]:
    """Order two of something at the store that never closes, as the storefront does."""
    headers = {"X-Tenant": SHOP}
    menu = await client.get("/api/v1/catalog?store=vila-madalena", headers=headers)
    product = next(p for p in menu.json()["products"] if p["slug"] == "pao-de-alho-da-casa")
    cart = {
        "store": "vila-madalena", "fulfilment": "pickup",
        "items": [{"product_id": product["id"], "quantity": 2}],
    }  # fmt: skip
    preview = await client.post("/api/v1/checkout/preview", json=cart, headers=headers)
    body = {
        **cart, "expected_total_cents": preview.json()["total_cents"],
        "customer": {"name": "Ana Souza", "phone": phone}, "payment": {"method": "pix"},
    }  # fmt: skip
    key = {"Idempotency-Key": secrets.token_hex(12)}
    answer = await client.post("/api/v1/checkout", json=body, headers=headers | key)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def connect_number(client: httpx.AsyncClient, token: str) -> None:
    body = {
        "name": "Atendimento", "waba_id": "102290129340398", "phone_number_id": "106540352242922",
        "display_phone": "(11) 94002-8922", "access_token": "EAAG-exemplo",
        "app_secret": "segredo-do-app", "verify_token": "segredo-nosso",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(12)}
    answer = await client.post("/api/v1/whatsapp/numbers", json=body, headers=headers)
    assert answer.status_code == 201, answer.text


async def restore(demo: Demo, target: Settings, *more: str) -> tuple[int, str]:
    out = io.StringIO()
    code = await restore_db.execute(target, [str(demo.backup), *more], out)
    return code, out.getvalue()


@asynccontextmanager
async def connected(config: Settings) -> AsyncIterator[Any]:
    connection = await terminal.connected(config.database_url)
    yield connection
    await connection.close()


async def tables_in(config: Settings) -> int:
    async with connected(config) as connection:
        return len(await connection.fetch(picture.TABLES))


async def seen(config: Settings) -> picture.Picture:
    async with connected(config) as connection:
        await picture.prepare(connection)
        return await picture.take(connection)


def altered(demo: Demo, folder: Path, change: Callable[[Manifest, Path], None]) -> Path:
    """A copy that was changed together with its sums, as no accident does."""
    shutil.copytree(demo.backup, folder)
    made = manifest.opened(folder, lambda _: None)
    change(made, folder)
    (folder / manifest.SUMS).unlink()
    manifest.seal(folder, made)
    return folder
