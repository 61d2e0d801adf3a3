"""Whatever a shop goes through, in whatever order and at once: its books stay exact.

Hypothesis makes up lives of a shop: crowds at the checkout, cancellations that race with staff,
edits, money, refunds, goods in and out, promotions switched on and off. Every step is several
requests at the same time against the real app and Postgres; after every step everything is
recounted. A long run: ``LIFE_EXAMPLES=200 LIFE_STEPS=25``.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.commerce.promotions.models import PromotionCode
from app.core.ids import new_id
from app.core.settings import Settings
from app.main import Largo, create_app
from tests.commerce.life.recount import broken, on_hand, sold
from tests.conftest import serving
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import make_world

EXAMPLES = int(os.environ.get("LIFE_EXAMPLES", "12"))
STEPS = int(os.environ.get("LIFE_STEPS", "10"))
PRICES = (1990, 3335, 777)
COUPONS = ("DEZ", "UMA", "VERBA", "LEVE", "FEIRA-1", "FEIRA-3")
INVENTORY = "/api/v1/admin/inventory"
ORDERS = "/api/v1/admin/orders"
T = TypeVar("T")

LIVES = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize="LIFE_EXAMPLES" not in os.environ,
    # A race is not repeated by repeating its steps: what was found is not shrunk.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

carts = st.lists(
    st.tuples(
        st.integers(0, 3),  # who orders
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=3),
        st.sampled_from((None, *COUPONS)),
        st.booleans(),  # sent twice under one key
    ),
    min_size=2,
    max_size=8,
)
picks = st.lists(st.integers(0, 200), min_size=1, max_size=4)
items = st.integers(0, 2)


@dataclass(slots=True)
class Loop:
    """An app on an event loop of its own thread: a state machine is not asynchronous."""

    loop: asyncio.AbstractEventLoop
    app: Largo

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60)


@pytest.fixture(scope="module")
def elsewhere(config: Settings) -> Iterator[Loop]:
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def start() -> Largo:
        return await stack.enter_async_context(serving(create_app(config)))

    try:
        yield Loop(loop, asyncio.run_coroutine_threadsafe(start(), loop).result(60))
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)


class Life(RuleBasedStateMachine):
    """One tenant; ``supplied`` is what staff brought in less what they took out."""

    where: Loop
    seen: Counter[str]

    @initialize()
    def open_the_shop(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.placed: set[str] = set()
        self.where.run(self._open())

    async def _open(self) -> None:
        world = await make_world(self.where.app.runtime)
        self.shop = await make_shop(world)
        self.items = [str(await self.shop.product(f"Item {c}", c, stock=12)) for c in PRICES]
        self.store = str(self.shop.store_id)
        self.supplied = Counter({(self.store, item): 12 for item in self.items})
        await self._promotions(self.shop)
        transport = httpx.ASGITransport(self.where.app, raise_app_exceptions=False)
        tenant = {"X-Tenant": world.tenant.slug}
        staff = tenant | {"Authorization": f"Bearer {world.owner.token}"}
        self.shopper = httpx.AsyncClient(
            transport=transport, base_url="http://life.test", headers=tenant
        )
        self.staff = httpx.AsyncClient(
            transport=transport, base_url="http://life.test", headers=staff
        )

    async def _promotions(self, shop: Shop) -> None:
        fields: dict[str, dict[str, Any]] = {
            "DEZ": {"kind": "percent", "value": 1000, "usage_limit": 4},
            "UMA": {"kind": "fixed", "value": 500, "per_customer_limit": 1},
            "VERBA": {"kind": "fixed", "value": 900, "budget_cents": 2000, "combinable": True},
            "LEVE": {
                "kind": "buy_x_get_y", "value": 10_000, "buy_quantity": 2, "get_quantity": 1,
                "combinable": True,
            },
        }  # fmt: skip
        self.campaigns = [str(await shop.promotion(code=c, **f)) for c, f in fields.items()]
        self.campaigns.append(
            str(await shop.promotion(name="Sempre", kind="percent", value=333, combinable=True))
        )
        leaflets = await shop.promotion(name="Feira", value=700, by_codes=True, combinable=True)
        self.campaigns.append(str(leaflets))
        async with shop.world.work() as work:
            for times in (1, 3):
                code = PromotionCode(
                    promotion_id=leaflets, batch_id=new_id(), code=f"FEIRA-{times}",
                    usage_limit=times,
                )  # fmt: skip
                work.session.add(code)

    def _note(self, what: str, answers: list[httpx.Response], *allowed: int) -> None:
        for answer in answers:
            assert answer.status_code in allowed, f"{what}: {answer.status_code} {answer.text}"
            self.seen[f"{what} {answer.status_code}"] += 1

    def _chosen(self, picked: list[int]) -> list[dict[str, Any]]:
        return [self.orders[p % len(self.orders)] for p in picked] if self.orders else []

    # -- the checkout ------------------------------------------------------------------

    @rule(crowd=carts)
    def crowd_orders(self, crowd: list[Any]) -> None:
        self.where.run(self._crowd(crowd))

    async def _crowd(self, crowd: list[Any]) -> None:
        sent = []
        for who, lines, coupon, twice in crowd:
            body = self.shop.cart(
                items=[{"product_id": self.items[i], "quantity": n} for i, n in lines],
                coupons=[coupon] if coupon else [],
                customer={"name": f"Cliente {who}", "phone": f"1198765432{who}"},
            )
            headers = key()
            sent += [(body, headers)] * (2 if twice else 1)
        answers = await asyncio.gather(
            *(self.shopper.post("/api/v1/checkout", json=b, headers=h) for b, h in sent)
        )
        self._note("checkout", answers, 201, 409)
        for answer in answers:
            if answer.status_code == 201 and answer.json()["id"] not in self.placed:
                self.placed.add(answer.json()["id"])
                self.orders.append(answer.json())

    # -- after the order ---------------------------------------------------------------

    @rule(picked=picks, to=st.sampled_from(("confirmed", "preparing", "rejected")))
    def customer_and_staff_race(self, picked: list[int], to: str) -> None:
        self.where.run(self._race(picked, to))

    async def _race(self, picked: list[int], to: str) -> None:
        asked = []
        for order in self._chosen(picked):
            move = f"{ORDERS}/{order['id']}/transitions"
            why = {"reason": "acabou a massa"}
            asked += [
                self.staff.post(move, json={"to": to, **why}, headers=key()),
                self.staff.post(move, json={"to": "cancelled", **why}, headers=key()),
                self.shopper.post(
                    f"/api/v1/orders/{order['id']}/cancel",
                    params={"token": order["tracking_token"]},
                    json={"reason": "desisti"},
                    headers=key(),
                ),
            ]
        self._note("move", await asyncio.gather(*asked), 200, 409)

    @rule(picked=picks, quantity=st.integers(1, 5), item=items, drop=st.booleans())
    def edits_race(self, picked: list[int], quantity: int, item: int, drop: bool) -> None:
        self.where.run(self._edits(picked, quantity, item, drop))

    async def _edits(self, picked: list[int], quantity: int, item: int, drop: bool) -> None:
        asked = []
        for order in self._chosen(picked):
            url = f"{ORDERS}/{order['id']}"
            line = (await self.staff.get(url)).json()["items"][0]["id"]
            more = {"change": [{"id": line, "quantity": quantity}], "reason": "cliente ligou"}
            other = [{"product_id": self.items[item], "quantity": 1}]
            add: dict[str, Any] = {"add": other, "reason": "cliente ligou"}
            if drop:
                add["coupons"] = []
            asked += [self.staff.patch(url, json=more), self.staff.patch(url, json=add)]
        self._note("edit", await asyncio.gather(*asked), 200, 404, 409)

    @rule(picked=picks, share=st.integers(1, 3))
    def money_comes_and_goes(self, picked: list[int], share: int) -> None:
        self.where.run(self._money(picked, share))

    async def _money(self, picked: list[int], share: int) -> None:
        asked = []
        for order in self._chosen(picked):
            url = f"{ORDERS}/{order['id']}"
            pays = (await self.staff.get(f"{url}/payments")).json()["payments"]
            pay = f"{url}/payments/{pays[0]['id']}"
            cents = max(1, pays[0]["amount_cents"])
            back = {"amount_cents": max(1, cents // share), "reason": "faltou um item"}
            asked += [
                self.staff.post(f"{pay}/received", json={"received_cents": cents}, headers=key()),
                self.staff.post(f"{pay}/refunds", json=back, headers=key()),
                self.staff.post(f"{pay}/refunds", json=back, headers=key()),
                self.staff.post(
                    f"{url}/transitions",
                    json={"to": "cancelled", "reason": "sem entregador"},
                    headers=key(),
                ),
            ]
        # The last of four: most orders that are paid stay alive.
        keep = asked if share == 1 else [a for n, a in enumerate(asked) if n % 4 != 3]
        for unsent in asked:
            if unsent not in keep:
                unsent.close()
        self._note("money", await asyncio.gather(*keep), 200, 409)

    # -- stock and promotions ----------------------------------------------------------

    @rule(item=items, received=st.integers(1, 6), lost=st.integers(1, 6), crowd=carts)
    def goods_come_and_go_amid_orders(
        self, item: int, received: int, lost: int, crowd: list[Any]
    ) -> None:
        self.where.run(self._goods(self.items[item], received, lost, crowd))

    async def _goods(self, item: str, received: int, lost: int, crowd: list[Any]) -> None:
        named = {"store_id": self.store, "item_kind": "product", "item_id": item}
        incoming, outgoing, less, _ = await asyncio.gather(
            self._stock("receipts", named, quantity=received),
            self._stock("losses", named, quantity=lost, reason="vencido"),
            self._stock("adjustments", named, delta=-1, reason="contagem"),
            self._crowd(crowd),
        )
        self._note("receive", [incoming], 201)
        self._note("lose", [outgoing, less], 201, 409)
        self.supplied[self.store, item] += received
        self.supplied[self.store, item] -= lost if outgoing.is_success else 0
        self.supplied[self.store, item] -= 1 if less.is_success else 0

    async def _stock(self, what: str, named: dict[str, str], **fields: Any) -> httpx.Response:
        return await self.staff.post(f"{INVENTORY}/{what}", json={**named, **fields}, headers=key())

    @rule(campaign=st.integers(0, 5), on=st.booleans(), limit=st.integers(1, 9), crowd=carts)
    def campaign_changes_amid_orders(
        self, campaign: int, on: bool, limit: int, crowd: list[Any]
    ) -> None:
        self.where.run(self._campaign(self.campaigns[campaign], on, limit, crowd))

    async def _campaign(self, campaign: str, on: bool, limit: int, crowd: list[Any]) -> None:
        changed, _ = await asyncio.gather(
            self.staff.patch(
                f"/api/v1/admin/campaigns/{campaign}",
                json={"is_active": on, "usage_limit": limit},
            ),
            self._crowd(crowd),
        )
        self._note("campaign", [changed], 200, 409)

    # -- what always holds -------------------------------------------------------------

    @invariant()
    def the_books_are_exact(self) -> None:
        self.seen["steps"] += 1
        assert self.where.run(broken(self.shop.world)) == {}

    @invariant()
    def what_is_left_is_what_came_less_what_was_sold(self) -> None:
        left = self.where.run(on_hand(self.shop.world))
        taken = self.where.run(sold(self.shop.world))
        assert left == {at: n - taken.get(at, 0) for at, n in self.supplied.items()}

    def teardown(self) -> None:
        if hasattr(self, "shopper"):
            self.where.run(self.shopper.aclose())
            self.where.run(self.staff.aclose())


def test_books_stay_exact_whatever_happens(elsewhere: Loop) -> None:
    seen: Counter[str] = Counter()
    machine = type("LifeHere", (Life,), {"where": elsewhere, "seen": seen})
    try:
        run_state_machine_as_test(machine, settings=LIVES)
    finally:
        print(f"\n{EXAMPLES} lives:", ", ".join(f"{k}: {n}" for k, n in sorted(seen.items())))
    for what in ("checkout 201", "checkout 409", "move", "edit", "money 200", "campaign"):
        assert any(k.startswith(what) for k in seen), f"too tame: no {what} among {dict(seen)}"
