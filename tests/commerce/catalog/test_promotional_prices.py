"""What the menu says that a product costs while promotions are on, and what is charged for it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commerce.promotions.offers import (
    Cart,
    CartLine,
    Promotion,
    PromotionContext,
    PromotionKind,
)
from app.commerce.promotions.rules import apply
from app.commerce.promotions.shelf import Tags, changes_at
from app.core.clock import now
from tests.commerce.catalog.storefront import ADMIN, URL, by_id, read_menu
from tests.factories.commerce import Shop, key

CAMPAIGNS = f"{ADMIN.removesuffix('/catalog')}/campaigns"


async def campaign(owner: httpx.AsyncClient, **fields: Any) -> str:
    body = {"name": "Terça da pizza", "kind": "percent", "value": 2000, **fields}
    answer = await owner.post(CAMPAIGNS, json=body, headers=key())
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def charged(shop: Shop, shopper: httpx.AsyncClient, item: dict[str, Any]) -> int:
    """What one of it comes to in a cart of its own."""
    cart = {"store": "centro", "fulfilment": "pickup", "items": [{"quantity": 1, **item}]}
    answer = await shopper.post("/api/v1/checkout/preview", json=cart)
    assert answer.status_code == 200, answer.text
    found: int = answer.json()["total_cents"]
    return found


async def test_menu_search_and_checkout_agree(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 4995)
    small = await shop.variant(pizza, "Broto", 3333)
    drink = await shop.product("Suco", 901)
    plain = by_id(await read_menu(shopper))[drink]
    assert (plain["promotional_cents"], plain["promotions"]) == (None, [])

    await campaign(owner, scope="product", target_ids=[str(pizza)])
    everywhere = await campaign(
        owner, name="Tudo", value=1000, combinable=True, target_ids=[str(shop.category_id)],
        scope="category",
    )  # fmt: skip
    menu = by_id(await read_menu(shopper))
    assert (menu[pizza]["price_cents"], menu[pizza]["promotional_cents"]) == (4995, 3996)
    assert menu[pizza]["promotions"] == ["Terça da pizza"], "the better one of the two"
    assert (menu[drink]["promotional_cents"], menu[drink]["promotions"]) == (
        811,
        ["Tudo"],
    )
    [broto] = menu[pizza]["variants"]
    item = {"product_id": str(pizza), "variant_id": str(small)}
    assert broto["promotional_cents"] == await charged(shop, shopper, item) == 2666
    assert await charged(shop, shopper, {"product_id": str(drink)}) == 811
    found = (await shopper.get(f"{URL}/products", params={"query": "suco"})).json()["items"]
    assert [p["promotional_cents"] for p in found] == [811]

    assert (await owner.post(f"{CAMPAIGNS}/{everywhere}/pause")).is_success
    assert by_id(await read_menu(shopper))[drink]["promotional_cents"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "PIZZA"},
        {"kind": "fixed", "value": 500},
        {"kind": "first_order"},
        {"min_subtotal_cents": 1},
        {"max_discount_cents": 5000},
        {"usage_limit": 100},
        {"per_customer_limit": 1},
        {"budget_cents": 10_000},
        {"scope": "product", "target_ids": [str(uuid4())]},
        {"starts_at": (now() + timedelta(hours=1)).isoformat()},
    ],
)
async def test_what_not_everybody_gets_is_no_price(
    shopper: httpx.AsyncClient, shop: Shop, fields: dict[str, Any]
) -> None:
    pizza = await shop.product("Pizza", 5000)
    rows = {name: value for name, value in fields.items() if name != "target_ids"}
    if "starts_at" in rows:
        rows["starts_at"] = datetime.fromisoformat(rows["starts_at"])
    targets = [UUID(t) for t in fields.get("target_ids", [])]
    await shop.promotion(**{"kind": "percent", "value": 1000, "target_ids": targets, **rows})
    assert by_id(await read_menu(shopper))[pizza]["promotional_cents"] is None


async def test_the_menu_changes_when_a_promotion_begins(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    begins = now() + timedelta(seconds=1.5)
    await campaign(owner, starts_at=begins.isoformat())
    before: list[int | None] = []
    after: list[int | None] = []
    between: list[int | None] = []
    while now() < begins + timedelta(seconds=1):
        at = now()
        price = by_id(await read_menu(shopper))[pizza]["promotional_cents"]
        (before if now() < begins else after if at > begins else between).append(price)
    assert set(before) == {None}
    assert set(after) == {4000}


SAO_PAULO = "America/Sao_Paulo"
CONTEXT = PromotionContext(datetime(2026, 11, 24, 20, tzinfo=UTC), SAO_PAULO, uuid4())
"""A Tuesday, 17:00 in the shop."""


def offer(**fields: Any) -> Promotion:
    return Promotion(**{"id": uuid4(), "name": "x", "kind": PromotionKind.PERCENT, **fields})


def test_when_prices_change_by_the_clock() -> None:
    hour = timedelta(hours=1)
    assert changes_at(offer(), CONTEXT) is None
    assert changes_at(offer(ends_at=CONTEXT.now + hour), CONTEXT) == CONTEXT.now + hour
    assert changes_at(offer(starts_at=CONTEXT.now - hour), CONTEXT) is None
    happy = offer(hour_from=time(18), hour_to=time(20))
    assert changes_at(happy, CONTEXT) == CONTEXT.now + hour
    tuesday = offer(weekdays=frozenset({1}))
    assert changes_at(tuesday, CONTEXT) == datetime(2026, 11, 25, 3, tzinfo=UTC), "midnight there"


@given(
    values=st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=4),
    cents=st.integers(0, 100_000),
)
def test_a_tag_is_what_the_rules_charge(values: list[tuple[int, bool]], cents: int) -> None:
    offers = tuple(offer(value=value, combinable=both) for value, both in values)
    product, category = uuid4(), uuid4()
    found = Tags(offers, CONTEXT).of(product, category, cents)
    line = CartLine("1", product, cents, category_ids=frozenset({category}))
    off = sum(part.cents for part in apply(offers, Cart((line,)), CONTEXT).lines)
    assert (found.cents if found else cents) == cents - off
    assert found is None or found.promotions
