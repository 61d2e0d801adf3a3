"""The demo tenants: planted once, complete, and never over a merchant's own changes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.catalog.models import Modifier, Product, ProductModifierGroup, Variant
from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.promotions.models import Promotion
from app.commerce.shipping.models import PostalArea
from app.commerce.stores.models import Store
from app.commerce.stores.rules import Channel
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Runtime, unit_of_work
from scripts.seeds.planting import ACTOR
from scripts.seeds.tenants import PLANS, plant_all
from tests.conftest import ROOT

PASSWORD = "senha de demonstração"


@pytest.fixture(scope="module")
async def planted(app: object) -> Runtime:
    runtime: Runtime = app.runtime  # type: ignore[attr-defined]
    await plant_all(runtime, PASSWORD, "first")
    return runtime


async def counts(runtime: Runtime, slug: str) -> dict[str, int]:
    tenant = await runtime.tenants.find("slug", slug)
    assert tenant is not None
    found = {}
    async with unit_of_work(runtime, tenant, ACTOR) as work:
        for model in (
            Store, Product, Variant, Modifier, ProductModifierGroup, Promotion, StockLevel,
            StockMovement,
        ):  # fmt: skip
            found[model.__tablename__] = await work.session.scalar(
                select(func.count()).select_from(model)
            )
    return found  # type: ignore[return-value]


async def test_both_shops_are_complete(planted: Runtime) -> None:
    pizzeria = await counts(planted, "bella-massa")
    assert pizzeria["stores"] == 2
    assert pizzeria["products"] == 25
    assert pizzeria["variants"] == 3 * 14
    assert pizzeria["promotions"] == 4
    assert pizzeria["stock_levels"] == 2 * 7 == pizzeria["stock_movements"]
    gifts = await counts(planted, "presentes-da-lu")
    assert gifts["stores"] == 1
    assert gifts["products"] == 20 == gifts["stock_levels"]


async def test_a_second_run_adds_nothing_and_keeps_what_the_merchant_changed(
    planted: Runtime,
) -> None:
    before = {plan.slug: await counts(planted, plan.slug) for plan in PLANS}
    tenant = await planted.tenants.find("slug", "bella-massa")
    assert tenant is not None
    async with unit_of_work(planted, tenant, ACTOR) as work:
        product = await work.session.scalar(select(Product).where(Product.slug == "margherita"))
        assert product is not None
        product.name, product.price_cents = "Margherita da Nonna", 100

    added = await plant_all(planted, "another password", "second")

    assert not added
    assert {plan.slug: await counts(planted, plan.slug) for plan in PLANS} == before
    async with unit_of_work(planted, tenant, ACTOR) as work:
        kept = await work.session.scalar(select(Product).where(Product.slug == "margherita"))
        assert kept is not None
        assert (kept.name, kept.price_cents) == ("Margherita da Nonna", 100)


async def test_one_store_takes_orders_at_every_hour(planted: Runtime) -> None:
    tenant = await planted.tenants.find("slug", "bella-massa")
    assert tenant is not None
    async with unit_of_work(planted, tenant, ACTOR) as work:
        stores = {store.slug: store for store in await work.session.scalars(select(Store))}
    start = datetime(2026, 12, 20, tzinfo=UTC)
    moments = [start + timedelta(minutes=30 * step) for step in range(2 * 24 * 14)]
    for channel in Channel:
        assert all(stores["vila-madalena"].availability(channel, at).open for at in moments)
    christmas = datetime(2026, 12, 25, 22, 0, tzinfo=UTC)
    assert not stores["moema"].availability(Channel.PICKUP, christmas).open
    friday_past_midnight = datetime(2026, 12, 19, 3, 30, tzinfo=UTC)
    assert stores["moema"].availability(Channel.PICKUP, friday_past_midnight).open


async def test_postal_areas_of_the_first_order_are_known(planted: Runtime) -> None:
    async with planted.database.system_session() as session:
        found = set(await session.scalars(select(PostalArea.prefix)))
    assert {"01310", "05434", "04077", "05422"} <= found


@pytest.mark.parametrize(
    ("slug", "email", "role"),
    [
        ("bella-massa", "dono@bellamassa.example", "owner"),
        ("presentes-da-lu", "atendimento@presentes-da-lu.example", "agent"),
        ("bella-massa", "consulta@bellamassa.example", "viewer"),
        ("largo", "root@largo.example", "owner"),
    ],
)
async def test_the_demo_people_log_in(
    planted: Runtime, anonymous: httpx.AsyncClient, slug: str, email: str, role: str
) -> None:
    answer = await anonymous.post(
        "/api/v1/auth/login",
        json={"email": email, "password": PASSWORD},
        headers={"X-Tenant": slug},
    )
    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}", "X-Tenant": slug}
    me = await anonymous.get("/api/v1/auth/me", headers=bearer)
    assert me.json()["role"] == role


async def test_sandbox_connections_open(planted: Runtime) -> None:
    for slug in ("bella-massa", "presentes-da-lu"):
        tenant = await planted.tenants.find("slug", slug)
        assert tenant is not None
        async with unit_of_work(planted, tenant, ACTOR) as work:
            whatsapp = await ConnectionService(work).credentials("whatsapp")
            telegram = await ConnectionService(work).credentials("telegram")
        assert whatsapp is not None
        assert telegram is not None
        assert whatsapp["phone_number_id"].startswith("10000000000000")
        assert slug in telegram["bot_token"]


def run_seed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "scripts/seed.py", *arguments],
        cwd=ROOT,
        env={**environment, "DEV_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_plants_once_and_refuses_production(
    environment: dict[str, str], planted: Runtime
) -> None:
    first = run_seed(environment)
    assert first.returncode == 0, first.stderr
    second = run_seed(environment)
    assert second.returncode == 0
    assert second.stdout.strip() == "Demo tenants: nothing new"
    refused = run_seed({**environment, "ENVIRONMENT": "production"})
    assert refused.returncode == 1
    assert "not planted in production" in refused.stderr


async def test_a_newcomer_gets_a_menu_and_a_price_for_the_way(
    planted: Runtime, anonymous: httpx.AsyncClient
) -> None:
    here = {"X-Tenant": "bella-massa"}
    menu = await anonymous.get("/api/v1/catalog?store=vila-madalena", headers=here)
    assert menu.status_code == 200, menu.text
    assert "Calabresa" in menu.text
    for cep in ("01310-100", "05434-020", "04077-020", "05422-001"):
        quote = await anonymous.post(
            "/api/v1/shipping/quote",
            json={"store": "vila-madalena", "postal_code": cep},
            headers=here,
        )
        assert quote.status_code == 200, quote.text
        assert quote.json()["fee_cents"] > 0


async def test_every_promotion_makes_sense(planted: Runtime) -> None:
    for slug in ("bella-massa", "presentes-da-lu"):
        tenant = await planted.tenants.find("slug", slug)
        assert tenant is not None
        async with unit_of_work(planted, tenant, ACTOR) as work:
            for promotion in await work.session.scalars(select(Promotion)):
                assert not promotion.flaws()
