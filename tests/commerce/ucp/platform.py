"""A platform whose agents shop: its profile on loopback, its headers, and what it may expect."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from tests.factories.commerce import Shop
from tests.factories.receiver import Receiver, receiving, reply

VERSION = "2026-08-25"
SESSIONS = "/api/v1/ucp/checkout-sessions"
ADMIN = "/api/v1/admin/ucp"
CHECKOUT, FULFILLMENT, DISCOUNT = (
    "dev.ucp.shopping.checkout",
    "dev.ucp.shopping.fulfillment",
    "dev.ucp.shopping.discount",
)
SEARCH, LOOKUP = "dev.ucp.shopping.catalog.search", "dev.ucp.shopping.catalog.lookup"
CATALOG = "/api/v1/ucp/catalog"
PIX = {
    "pix_key": "123e4567-e12b-12d1-a456-426655440000",
    "pix_key_type": "evp",
    "merchant_name": "Bella Massa",
    "merchant_city": "São Paulo",
    "unpaid_minutes": 30,
}
BUYER = {
    "first_name": "Maria",
    "last_name": "da Silva",
    "email": "maria@example.com",
    "phone_number": "+5511987654321",
}
PAULISTA = {
    "street_address": "Avenida Paulista, 1578",
    "extended_address": "ap 42",
    "address_locality": "São Paulo",
    "address_region": "SP",
    "postal_code": "01310-100",
    "address_country": "BR",
}
DELIVERY = {"methods": [{"type": "shipping", "destinations": [PAULISTA]}]}
PICKUP = {"methods": [{"type": "pickup"}]}


def profile(
    *names: str, version: str = VERSION, of_capabilities: str | None = None
) -> dict[str, Any]:
    """What a platform publishes; without names it speaks all that the shop does."""
    speaks = names or (CHECKOUT, FULFILLMENT, DISCOUNT, SEARCH, LOOKUP)
    return {
        "ucp": {
            "version": version,
            "services": {"dev.ucp.shopping": [{"version": version, "transport": "rest"}]},
            "capabilities": {name: [{"version": of_capabilities or version}] for name in speaks},
            "payment_handlers": {},
        }
    }


def instrument(kind: str = "cash", **fields: Any) -> dict[str, Any]:
    """The body that completes a checkout."""
    handler = "pix" if kind == "pix" else "pay_on_delivery"
    chosen = {"id": "i1", "handler_id": handler, "type": kind, "selected": True}
    return {"payment": {"instruments": [chosen | fields]}}


@dataclass
class Platform:
    """``receiver`` holds its profile and counts who came for it."""

    client: httpx.AsyncClient
    receiver: Receiver

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}/.well-known/ucp"

    @property
    def headers(self) -> dict[str, str]:
        return {"UCP-Agent": f'profile="{self.url}"', "Request-Id": secrets.token_hex(8)}

    async def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = self.headers | headers | {"Idempotency-Key": key or secrets.token_hex(16)}
        return await self.client.request(method, path, json=body, headers=sent)

    async def create(self, *items: tuple[object, int], **fields: Any) -> dict[str, Any]:
        answer = await self.ask("POST", SESSIONS, wanted(*items, **fields))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def update(
        self, session: str, *items: tuple[object, int], **fields: Any
    ) -> dict[str, Any]:
        answer = await self.ask("PUT", f"{SESSIONS}/{session}", wanted(*items, **fields))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, session: str) -> dict[str, Any]:
        answer = await self.client.get(f"{SESSIONS}/{session}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def complete(self, session: str, kind: str = "cash", **fields: Any) -> dict[str, Any]:
        body = instrument(kind, **fields)
        answer = await self.ask("POST", f"{SESSIONS}/{session}/complete", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def wanted(*items: tuple[object, int], **fields: Any) -> dict[str, Any]:
    """A checkout of these items and quantities; ``fields`` are its other members."""
    lines = [{"item": {"id": str(item)}, "quantity": quantity} for item, quantity in items]
    return {"line_items": lines, **fields}


@asynccontextmanager
async def platform(client: httpx.AsyncClient, *names: str) -> AsyncIterator[Platform]:
    """A platform that asks through ``client`` and speaks these capabilities."""
    document = orjson.dumps(profile(*names))
    async with receiving(lambda _: reply(200, document)) as receiver:
        yield Platform(client, receiver)


async def open_channel(owner: httpx.AsyncClient, shop: Shop, **fields: Any) -> None:
    """The shop's owner lets agents in."""
    body = {
        "is_enabled": True,
        "store": shop.store_slug,
        "storefront_url": "https://bellamassa.example/pedir",
        "terms_url": "https://bellamassa.example/termos",
        **fields,
    }
    answer = await owner.put(ADMIN, json=body)
    assert answer.status_code == 200, answer.text


def total(checkout: dict[str, Any], kind: str = "total") -> int | None:
    """One of a checkout's sums; None: it has none of this type."""
    found = [t["amount"] for t in checkout["totals"] if t["type"] == kind]
    assert len(found) < 2, checkout["totals"]
    return found[0] if found else None


def said(checkout: dict[str, Any]) -> set[tuple[str, str]]:
    """Code and place of every message."""
    return {(m["code"], m["path"]) for m in checkout["messages"]}
