"""How these tests read a menu and ring its doorbell."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from app.commerce.catalog import snapshot
from app.commerce.catalog.menu_schemas import MenuRead
from tests.factories.tenants import World

URL = "/api/v1/catalog"
ADMIN = "/api/v1/admin/catalog"


async def read_menu(client: httpx.AsyncClient, store: str = "centro") -> dict[str, Any]:
    """The menu, checked against its documented shape."""
    answer = await client.get(URL, params={"store": store})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    MenuRead.model_validate(found, extra="forbid")
    return found


def by_id(menu: dict[str, Any]) -> dict[UUID, dict[str, Any]]:
    return {UUID(p["id"]): p for p in menu["products"]}


async def ring(world: World) -> None:
    """Ring the catalogue's doorbell, as a commit that changes it does."""
    async with world.work() as work:
        work.ring(snapshot.TOPIC)
