"""A merchant's point of sale, as Open Delivery has it: no header of ours, a token of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.main import Largo

ROOT = "/api/v1/open-delivery"
CREDENTIALS = "/api/v1/admin/open-delivery/credentials"


async def credential(owner: httpx.AsyncClient, *stores: Any) -> dict[str, Any]:
    """A new credential; for all stores when none is named."""
    body = {"name": "PDV", "store_ids": [str(s) for s in stores] or None}
    made = await owner.post(CREDENTIALS, json=body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def asked(known: dict[str, Any], **fields: str) -> dict[str, str]:
    """The form of a request for a token."""
    return {
        "grant_type": "client_credentials",
        "client_id": known["client_id"],
        "client_secret": known["client_secret"],
        **fields,
    }


@dataclass
class Pos:
    http: httpx.AsyncClient

    async def poll(self, **params: Any) -> list[dict[str, Any]]:
        """The events that wait; none is 204."""
        answer = await self.http.get(f"{ROOT}/v1/events:polling", **params)
        if answer.status_code == 204:
            assert not answer.content
            return []
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        assert found, "nothing is 204"
        return found

    async def acknowledge(self, *events: dict[str, Any]) -> None:
        body = [
            {"id": e["eventId"], "orderId": e["orderId"], "eventType": e["eventType"]}
            for e in events
        ]
        answer = await self.http.post(f"{ROOT}/v1/events/acknowledgment", json=body)
        assert (answer.status_code, answer.content) == (202, b""), answer.text

    async def kinds(self) -> list[str]:
        """What happened since, taken out."""
        found = await self.poll()
        await self.acknowledge(*found)
        return [e["eventType"] for e in found]

    async def detail(self, order_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"{ROOT}/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def tell(self, order_id: str, call: str, body: Any = None) -> httpx.Response:
        return await self.http.post(f"{ROOT}/v1/orders/{order_id}/{call}", json=body)

    async def told(self, order_id: str, call: str, body: Any = None) -> None:
        answer = await self.tell(order_id, call, body)
        assert (answer.status_code, answer.content) == (202, b""), f"{call}: {answer.text}"


@asynccontextmanager
async def connected(app: Largo, known: dict[str, Any]) -> AsyncIterator[Pos]:
    """A point of sale that has asked for its token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as http:
        answer = await http.post(f"{ROOT}/oauth/token", data=asked(known))
        assert answer.status_code == 200, answer.text
        given = answer.json()
        assert (given["token_type"], given["expires_in"]) == ("bearer", 3600)
        http.headers["Authorization"] = f"Bearer {given['access_token']}"
        yield Pos(http)
