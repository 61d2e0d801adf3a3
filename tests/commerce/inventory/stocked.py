"""A shop with one product, and how tests of stock look at levels and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.kernel.audit.models import AuditEntry
from tests.factories.commerce import Shop
from tests.factories.tenants import World

BASE = "/api/v1/admin/inventory"


@dataclass(slots=True)
class Stock:
    """What these tests know: a client, a shop and one product of it."""

    client: httpx.AsyncClient
    shop: Shop
    item: UUID

    def body(self, **fields: Any) -> dict[str, Any]:
        named = {"store_id": self.shop.store_id, "item_kind": "product", "item_id": self.item}
        return {k: str(v) if isinstance(v, UUID) else v for k, v in {**named, **fields}.items()}

    async def post(self, what: str, **fields: Any) -> httpx.Response:
        return await self.client.post(f"{BASE}/{what}", json=self.body(**fields))

    async def receive(self, quantity: int, **fields: Any) -> dict[str, Any]:
        answer = await self.post("receipts", quantity=quantity, **fields)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def on_hand(self) -> int | None:
        async with self.shop.world.work() as work:
            return await work.session.scalar(
                select(StockLevel.on_hand).where(
                    StockLevel.item_id == self.item, StockLevel.store_id == self.shop.store_id
                )
            )


async def ledger(world: World) -> tuple[dict[tuple[UUID, UUID], int], dict[Any, int], int]:
    """Levels by (store, item), sums of movements by the same, and how many movements."""
    async with world.work() as work:
        levels = await work.session.execute(
            select(StockLevel.store_id, StockLevel.item_id, StockLevel.on_hand)
        )
        sums = await work.session.execute(
            select(
                StockMovement.store_id,
                StockMovement.item_id,
                func.sum(StockMovement.quantity),
                func.count(),
            ).group_by(StockMovement.store_id, StockMovement.item_id)
        )
        moved = sums.all()
        return (
            {(store, item): on_hand for store, item, on_hand in levels},
            {(store, item): int(total) for store, item, total, _ in moved},
            sum(int(count) for *_, count in moved),
        )


async def facts(world: World, action: str) -> list[dict[str, Any]]:
    async with world.work() as work:
        found = await work.session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == action).order_by(AuditEntry.id)
        )
        return list(found)
