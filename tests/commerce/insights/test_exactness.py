"""Whatever happens to orders, and however far they are summed up, the answer is the recount."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from app.commerce.insights.models import InsightCell, InsightChange, InsightProgress
from app.commerce.insights.rules import Grain
from app.commerce.insights.service import Asked, InsightService
from app.commerce.orders.models import Delivery, Order, OrderItem, OrderStatusChange
from app.commerce.payments.models import Payment
from app.commerce.promotions.models import PromotionRedemption
from app.commerce.stores.models import Store
from app.kernel.contacts.models import Contact
from app.kernel.work import UnitOfWork
from tests.commerce.insights.recount import books, parts, recount
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World

REPORTS = (
    "products", "payments", "fulfilments", "sources", "distances", "promotions", "cancellations",
)  # fmt: skip
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
# Clocks there jumped at midnight: 2018-02-17 had 25 hours, 2018-11-04 began at one o'clock.
TURNS = (datetime(2018, 2, 18, tzinfo=SAO_PAULO), datetime(2018, 11, 4, 1, tzinfo=SAO_PAULO))


def id_of(at: datetime, chance: random.Random) -> UUID:
    """As an import gives it: the id carries the time of purchase."""
    head = int(at.timestamp() * 1000) << 80 | 7 << 76 | chance.getrandbits(12) << 64
    return uuid.UUID(int=head | 2 << 62 | chance.getrandbits(62))


class Trade:
    """Random business at two stores."""

    def __init__(self, seed: int, shops: list[Shop], promotion: UUID) -> None:
        self.chance = random.Random(seed)
        self.shops, self.promotion = shops, promotion
        self.orders: list[UUID] = []
        self.number = 0

    def instant(self) -> datetime:
        turn = self.chance.choice(TURNS)
        return turn.astimezone(UTC) + timedelta(minutes=self.chance.randint(-3000, 3000))

    async def place(self, work: UnitOfWork) -> None:
        chance, at = self.chance, self.instant()
        contacts = list(await work.session.scalars(select(Contact.id).order_by(Contact.id)))
        shop = chance.choice(self.shops)
        self.number += 1
        subtotal, freight, cut = chance.randint(500, 9000), chance.choice((0, 700)), 0
        uses = chance.random() < 0.3
        cut = chance.randint(1, 400) if uses else 0
        order = Order(
            id=id_of(at, chance), number=self.number, store_id=shop.store_id,
            contact_id=chance.choice(contacts), customer_name="Maria", customer_phone=None,
            fulfilment=chance.choice(("delivery", "pickup")), placed_at=at, created_at=at,
            status=chance.choice(("pending", "delivered", "delivered", "cancelled")),
            subtotal_cents=subtotal, discount_cents=cut, shipping_cents=freight,
            total_cents=subtotal - cut + freight, source=chance.choice(("import", "admin")),
            promised_at=at + timedelta(minutes=40),
        )  # fmt: skip
        work.session.add(order)
        await work.session.flush()
        self.orders.append(order.id)
        for position, product in enumerate(chance.sample(shop.products, 2)):
            work.session.add(
                OrderItem(
                    order_id=order.id, position=position, product_id=product,
                    name=f"Pizza {position}", unit_price_cents=subtotal, quantity=1,
                    total_cents=subtotal,
                )
            )  # fmt: skip
        work.session.add(Payment(order_id=order.id, method="pix", amount_cents=order.total_cents))
        if order.fulfilment == "delivery":
            meters = chance.choice((None, 900, 1000, 7999, 50_000))
            work.session.add(
                Delivery(
                    order_id=order.id, postal_code="01310100", address={}, fee_cents=freight,
                    minutes=40, distance_meters=meters,
                )
            )  # fmt: skip
        if uses:
            work.session.add(
                PromotionRedemption(
                    promotion_id=self.promotion, order_id=order.id, contact_id=order.contact_id,
                    name="Promo", amount_cents=cut,
                )
            )  # fmt: skip
        minutes = 0
        for step in ("pending", "confirmed", "ready", "out_for_delivery", "delivered"):
            work.session.add(
                OrderStatusChange(
                    order_id=order.id, after=step, actor_kind="system", actor_name="x",
                    created_at=at + timedelta(minutes=minutes),
                )
            )  # fmt: skip
            minutes += chance.randint(1, 20)
        await work.session.flush()

    async def change(self, work: UnitOfWork) -> None:
        """One of all that may happen to an order later."""
        if not self.orders:
            return
        order = await work.session.get_one(Order, self.chance.choice(self.orders))
        kind = self.chance.randrange(7)
        if kind == 0:
            order.status, order.cancel_reason = "cancelled", "desistiu"
        elif kind == 1:
            order.status = "delivered"
        elif kind == 2:
            order.subtotal_cents += 100
            order.total_cents += 100
        elif kind == 3:
            order.placed_at = self.instant()
        elif kind == 4:
            ids = list(await work.session.scalars(select(Contact.id).order_by(Contact.id)))
            order.contact_id = self.chance.choice(ids)
        elif kind == 5:
            await self._parts(work, order.id)
        else:
            self.orders.remove(order.id)
            driver = await work.raw()
            await driver.execute("DELETE FROM orders WHERE id = $1", order.id)
            work.session.expunge(order)
        await work.session.flush()

    async def _parts(self, work: UnitOfWork, order_id: UUID) -> None:
        driver = await work.raw()
        for statement in (
            "UPDATE payments SET method = 'cash' WHERE order_id = $1",
            "UPDATE promotion_redemptions SET released_at = now() WHERE order_id = $1",
            "DELETE FROM order_items WHERE order_id = $1 AND position = 0",
            "UPDATE deliveries SET distance_meters = 2500 WHERE order_id = $1",
        ):
            if self.chance.random() < 0.5:
                await driver.execute(statement, order_id)
        work.session.add(
            OrderStatusChange(
                order_id=order_id, after="delivered", actor_kind="user", actor_name="x"
            )
        )  # fmt: skip
        await work.session.flush()


async def check(world: World, since: date, until: date, store: UUID | None = None) -> None:
    """Compare everything that one answer says with the recount."""
    async with world.work() as work:
        told = await InsightService(work).summary(
            Asked(store, since, until, Grain.DAY, products=1000)
        )
        found = await books(work)
    assert told.current.model_dump() == recount(found, since, until, store)
    span = until - since
    before = since - timedelta(days=1)
    assert told.previous.model_dump() == recount(found, before - span, before, store)
    for day in told.series:
        assert day.model_dump(exclude={"since"}) == recount(found, day.since, day.since, store)
    if store is None:
        expected = parts(found, since, until)
        for report in REPORTS:
            lines = {p.key: (p.orders, p.amount_cents) for p in getattr(told, report)}
            assert lines == expected.get(report, {}), report
        hours = {f"{h.weekday}-{h.hour}": (h.orders, h.amount_cents) for h in told.hours}
        assert hours == expected.get("hours", {})


async def rolled(world: World) -> None:
    left = True
    while left:
        async with world.work() as work:
            left = await InsightService(work).roll_up()


async def trade_of(world: World, seed: int) -> Trade:
    shops = [
        await make_shop(world, slug="sp"),
        await make_shop(world, slug="manaus", timezone="America/Manaus"),
    ]
    for shop in shops:
        for name in ("Calabresa", "Portuguesa", "Marguerita"):
            await shop.product(name)
    async with world.work() as work:
        work.session.add_all([Contact(name=f"Cliente {n}", source="import") for n in range(4)])
    return Trade(seed, shops, await shops[0].promotion())


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_answer_is_the_recount_whatever_happens(world: World, seed: int) -> None:
    trade = await trade_of(world, seed)
    for step in range(36):
        async with world.work() as work:
            for _ in range(3 if step < 14 else 1):
                happens = trade.place if trade.chance.random() < 0.6 else trade.change
                await happens(work)
        if trade.chance.random() < 0.3:
            await rolled(world)
        if step % 6 == 5:
            turn = trade.chance.choice(TURNS).date()
            await check(
                world,
                turn - timedelta(days=trade.chance.randint(0, 40)),
                turn + timedelta(days=trade.chance.randint(0, 40)),
                trade.chance.choice((None, trade.shops[0].store_id)),
            )
    await rolled(world)
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(InsightChange)) == 0
        assert await work.session.scalar(select(func.count()).select_from(InsightCell))
    await check(world, date(2018, 1, 1), date(2018, 12, 31))


async def test_sums_follow_a_store_to_another_timezone(world: World) -> None:
    trade = await trade_of(world, 7)
    async with world.work() as work:
        for _ in range(20):
            await trade.place(work)
    await rolled(world)
    await trade.shops[0].change_store(timezone="Asia/Tokyo")
    await check(world, date(2018, 1, 1), date(2018, 12, 31))
    await rolled(world)
    async with world.work() as work:
        zones = set(await work.session.scalars(select(InsightProgress.timezone)))
        assert zones == {"Asia/Tokyo", "America/Manaus"}
    await check(world, date(2018, 1, 1), date(2018, 12, 31))


async def test_sums_are_really_used(world: World) -> None:
    """A cell that is made wrong shows: else all of the above would only test the recount."""
    trade = await trade_of(world, 9)
    async with world.work() as work:
        for _ in range(10):
            await trade.place(work)
    await rolled(world)
    async with world.work() as work:
        driver = await work.raw()
        await driver.execute("UPDATE insight_cells SET amount_cents = amount_cents + 1")
    with pytest.raises(AssertionError):
        await check(world, date(2018, 1, 1), date(2018, 12, 31))
    async with world.work() as work:
        await InsightService(work).rebuild()
    await check(world, date(2018, 1, 1), date(2018, 12, 31))
    await rolled(world)
    await check(world, date(2018, 1, 1), date(2018, 12, 31))


async def test_a_shop_in_the_sums_can_be_left_alone(world: World) -> None:
    """Summing up twice does nothing."""
    trade = await trade_of(world, 11)
    async with world.work() as work:
        for _ in range(10):
            await trade.place(work)
    await rolled(world)
    async with world.work() as work:
        before = set(await work.session.scalars(select(InsightCell.id)))
    await rolled(world)
    async with world.work() as work:
        assert set(await work.session.scalars(select(InsightCell.id))) == before
        assert await work.session.scalar(select(func.count()).select_from(Store)) == 2


async def test_the_best_product_is_found_where_all_sell_nearly_alike(world: World) -> None:
    """No day has it among its best, and the heads of the lists prove nothing: all is read."""
    trade = await trade_of(world, 13)
    shop, days = trade.shops[0], [datetime(2018, 3, n, 15, tzinfo=UTC) for n in (5, 6, 7)]
    best, others = uuid.uuid4(), [[uuid.uuid4() for _ in range(70)] for _ in days]
    async with world.work() as work:
        contact = await work.session.scalar(select(Contact.id).limit(1))
        assert contact is not None
        for number, (day, products) in enumerate(zip(days, others, strict=True), 1):
            order = Order(
                id=id_of(day, trade.chance), number=number, store_id=shop.store_id,
                contact_id=contact, customer_name="Maria", customer_phone=None,
                fulfilment="pickup", placed_at=day, created_at=day, status="delivered",
                subtotal_cents=70_900, total_cents=70_900, source="import",
            )  # fmt: skip
            work.session.add(order)
            await work.session.flush()
            for position, product in enumerate([best, *products]):
                cents = 900 if product == best else 1000
                work.session.add(
                    OrderItem(
                        order_id=order.id, position=position, product_id=product, name="Suco",
                        unit_price_cents=cents, quantity=1, total_cents=cents,
                    )
                )  # fmt: skip
    await rolled(world)
    async with world.work() as work:
        asked = Asked(since=date(2018, 3, 1), until=date(2018, 3, 10), products=1)
        found = await InsightService(work).summary(asked)
    assert [(part.key, part.amount_cents) for part in found.products] == [(str(best), 2700)]
