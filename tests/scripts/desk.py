"""A tenant with a store, a folder for its files, and the import programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from app.commerce.orders.models import Order
from app.commerce.stores.models import Store
from app.core.model import TenantModel
from app.kernel.work import Runtime
from scripts import import_customers, import_orders, import_postal_areas, import_products
from tests.factories.tenants import World

Program = Callable[[Runtime, Sequence[str], TextIO], Awaitable[int]]


@dataclass
class Desk:
    """A tenant, a folder for its files, and the import programs."""

    world: World
    folder: Path

    def file(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    async def run(self, module: Program, path: Path, *more: str) -> tuple[int, str]:
        """Exit code and what was printed."""
        out = io.StringIO()
        argv = [str(path), "--errors", str(self.folder / "errors.csv"), *more]
        if module is not import_postal_areas.execute:
            argv += ["--tenant", self.world.tenant.slug]
        code = await module(self.world.runtime, argv, out)
        return code, out.getvalue()

    async def count(self, model: type[TenantModel]) -> int:
        async with self.world.work() as work:
            return await work.session.scalar(select(func.count()).select_from(model)) or 0

    def errors(self) -> list[dict[str, str]]:
        with (self.folder / "errors.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    async def order(self, key: str) -> Order:
        async with self.world.work() as work:
            found = await work.session.scalar(
                select(Order)
                .where(Order.external_ref == key)
                .options(
                    selectinload(Order.items),
                    selectinload(Order.payments),
                    selectinload(Order.history),
                    selectinload(Order.delivery),
                )
            )
            assert found is not None
            return found


async def add_store(world: World, slug: str) -> None:
    async with world.work() as work:
        work.session.add(
            Store(
                name=slug, slug=slug, address={}, latitude=-23.5, longitude=-46.6,
                timezone="America/Sao_Paulo",
            )
        )  # fmt: skip


PRODUCTS = import_products.execute
CUSTOMERS = import_customers.execute
ORDERS = import_orders.execute

PEOPLE = (
    "customer_id,customer_unique_id,name,phone,customer_zip_code_prefix,customer_city,customer_state\n"
    "c1,u1,Maria Silva,(11) 98765-4321,01310,sao paulo,SP\n"
    "c2,u2,,,20231,rio de janeiro,RJ\n"
    "c3,u1,Maria Silva,11987654321,05422,sao paulo,SP\n"
)
