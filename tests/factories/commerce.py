"""Makes a shop that can be ordered from: a store open day and night, products, stock, freight."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.commerce.catalog.models import (
    Category,
    Modifier,
    ModifierGroup,
    Product,
    ProductModifierGroup,
    Variant,
)
from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.promotions.models import Promotion
from app.commerce.shipping.models import ShippingRule
from app.commerce.stores.models import Store
from tests.factories.tenants import World

ALWAYS_OPEN = [{"weekday": day, "opens": "00:00", "closes": "00:00"} for day in range(7)]
PAULISTA = {
    "postal_code": "01310-100",
    "street": "Avenida Paulista",
    "number": "1578",
    "complement": None,
    "district": "Bela Vista",
    "city": "São Paulo",
    "state": "SP",
}


@dataclass(slots=True)
class Shop:
    world: World
    store_id: UUID
    store_slug: str
    category_id: UUID
    products: list[UUID] = field(default_factory=list)

    async def product(
        self,
        name: str = "Pizza calabresa",
        price_cents: int = 4990,
        *,
        stock: int | None = None,
        **fields: Any,
    ) -> UUID:
        """A product; ``stock`` makes it tracked, with the receipt that the ledger asks for."""
        async with self.world.work() as work:
            row = Product(
                category_id=self.category_id,
                name=name,
                slug=f"p-{secrets.token_hex(5)}",
                price_cents=price_cents,
                **fields,
            )
            work.session.add(row)
            await work.session.flush()
        self.products.append(row.id)
        if stock is not None:
            await self.track(row.id, stock)
        return row.id

    async def track(self, item_id: UUID, stock: int, kind: str = "product") -> None:
        async with self.world.work() as work:
            work.session.add(
                StockLevel(store_id=self.store_id, item_kind=kind, item_id=item_id, on_hand=stock)
            )
            if stock:
                work.session.add(
                    StockMovement(
                        store_id=self.store_id,
                        item_kind=kind,
                        item_id=item_id,
                        kind="receipt",
                        quantity=stock,
                    )
                )

    async def variant(self, product_id: UUID, name: str, price_cents: int) -> UUID:
        async with self.world.work() as work:
            row = Variant(product_id=product_id, name=name, price_cents=price_cents)
            work.session.add(row)
            await work.session.flush()
            return row.id

    async def group(
        self, product_id: UUID, modifiers: dict[str, int], **fields: Any
    ) -> dict[str, UUID]:
        """A modifier group on a product; answers the modifiers' ids by name."""
        async with self.world.work() as work:
            group = ModifierGroup(name="Adicionais", **{"max_choices": 3, **fields})
            work.session.add(group)
            await work.session.flush()
            rows = [
                Modifier(group_id=group.id, name=n, price_cents=c) for n, c in modifiers.items()
            ]
            work.session.add_all(rows)
            work.session.add(ProductModifierGroup(product_id=product_id, group_id=group.id))
            await work.session.flush()
            return {row.name: row.id for row in rows}

    async def promotion(self, **fields: Any) -> UUID:
        async with self.world.work() as work:
            row = Promotion(**{"name": "Promo", "kind": "fixed", "value": 500, **fields})
            work.session.add(row)
            await work.session.flush()
            return row.id

    async def change_store(self, **fields: Any) -> None:
        async with self.world.work() as work:
            store = await work.session.get_one(Store, self.store_id)
            for name, value in fields.items():
                setattr(store, name, value)

    def cart(self, *products: UUID, **fields: Any) -> dict[str, Any]:
        """A checkout body for pickup of one of each product; ``fields`` override."""
        return {
            "store": self.store_slug,
            "fulfilment": "pickup",
            "items": [{"product_id": str(p), "quantity": 1} for p in products],
            "customer": {"name": "Maria da Silva", "phone": "(11) 98765-4321"},
            "payment": {"method": "pix"},
            **fields,
        }

    def delivery(self, *products: UUID, **fields: Any) -> dict[str, Any]:
        return self.cart(*products, fulfilment="delivery", address=PAULISTA, **fields)


def key() -> dict[str, str]:
    """A fresh Idempotency-Key header."""
    return {"Idempotency-Key": secrets.token_hex(16)}


async def make_shop(world: World, *, slug: str = "centro", **fields: Any) -> Shop:
    """A store open day and night, with a flat freight of 7.00 and one category."""
    async with world.work() as work:
        store = Store(
            **{
                "name": "Loja Centro",
                "slug": slug,
                "address": {"street": "Rua Augusta", "number": "100", "postal_code": "01304000"},
                "latitude": -23.5535,
                "longitude": -46.6545,
                "timezone": "America/Sao_Paulo",
                "hours": ALWAYS_OPEN,
                **fields,
            }
        )
        category = Category(name="Pizzas", slug=f"pizzas-{secrets.token_hex(3)}")
        work.session.add_all([store, category])
        await work.session.flush()
        work.session.add(ShippingRule(store_id=store.id, kind="flat", fee_cents=700, minutes=20))
        return Shop(world, store.id, slug, category.id)
