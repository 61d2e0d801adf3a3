"""Makes stores that deliver, and their shipping rules, for tests."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import select

from app.commerce.shipping.models import ShippingRule
from tests.factories.stores import open_store
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/shipping"
QUOTE = "/api/v1/shipping/quote"
ALWAYS = [{"weekday": day, "opens": "00:00", "closes": "24:00"} for day in range(7)]
NEAR, FAR = "05422010", "08465000"
"""About 1.5 km and 25 km from the store; other postal codes are unknown in tests."""
TIER = {"kind": "distance", "max_meters": 3000, "fee_cents": 600, "minutes": 20}


async def open_always(owner: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """A store open day and night, with free delivery above R$ 100."""
    facts = {"hours": ALWAYS, "preparation_minutes": 25, "free_shipping_above_cents": 10000}
    return await open_store(owner, **(facts | changes))


async def set_rules(
    owner: httpx.AsyncClient, store: dict[str, Any], *rules: dict[str, Any]
) -> list[dict[str, Any]]:
    answer = await owner.put(f"{ADMIN}/stores/{store['id']}/rules", json={"rules": rules})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def rules_of(world: World) -> list[dict[str, Any]]:
    names = ("id", "kind", "position", "max_meters", "cep_from", "cep_to", "fee_cents", "minutes")
    async with world.work() as work:
        rows = (
            await work.session.execute(select(ShippingRule).order_by(ShippingRule.id))
        ).scalars()
        return [{name: getattr(row, name) for name in names} for row in rows]


def ask(store: dict[str, Any], postal_code: str = NEAR, **more: Any) -> dict[str, Any]:
    return {"store": store["slug"], "postal_code": postal_code} | more
