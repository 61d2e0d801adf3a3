"""Weekly hours and pauses of products and categories: one rule for menu, search and checkout."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from app.commerce.catalog.rules import Absence, OffShelf, Shelf, absence, shelves
from app.commerce.checkout.prices import price_books
from app.core.clock import now
from app.core.hours import Schedule, WeeklyInterval
from tests.commerce.catalog.storefront import ADMIN, URL, by_id, read_menu
from tests.factories.commerce import Shop, key
from tests.factories.tenants import World

ZONE = ZoneInfo("America/Sao_Paulo")
LUNCH = Shelf(
    Schedule(
        "America/Sao_Paulo", tuple(WeeklyInterval.of(day, "11:00", "15:00") for day in range(5))
    )
)
LATE = Shelf(Schedule("America/Sao_Paulo", (WeeklyInterval.of(4, "22:00", "02:00"),)))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of November 2026 on the store's clock; the 2nd is a Monday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def outside(next_at: datetime | None) -> Absence:
    return Absence(OffShelf.OUTSIDE_HOURS, next_at)


@pytest.mark.parametrize(
    ("of", "moment", "expected"),
    [
        ((LUNCH,), at(2, 11), None),
        ((LUNCH,), at(2, 14, 59), None),
        ((LUNCH,), at(2, 15), outside(at(3, 11))),
        ((LUNCH,), at(2, 10, 59), outside(at(2, 11))),
        ((LUNCH,), at(6, 15), outside(at(9, 11))),
        ((LATE,), at(7, 1, 59), None),
        ((LATE,), at(7, 2), outside(at(13, 22))),
        ((LUNCH, LATE), at(2, 12), outside(None)),
        ((Shelf(is_paused=True),), at(2, 12), Absence(OffShelf.PAUSED, None)),
        ((LUNCH, Shelf(None, True, at(2, 16))), at(2, 12), Absence(OffShelf.PAUSED, at(3, 11))),
        ((LUNCH, Shelf(None, True, at(2, 13))), at(2, 13), None),
        ((Shelf(LUNCH.schedule, True, None),), at(2, 16), Absence(OffShelf.PAUSED, None)),
        ((), at(2, 12), None),
    ],
)
def test_when_something_is_sold(
    of: tuple[Shelf, ...], moment: datetime, expected: Absence | None
) -> None:
    assert absence(of, moment) == expected


def test_the_answer_changes_at_no_other_moment_than_the_one_announced() -> None:
    """Minute by minute over a week, for hours across midnight and a pause that ends."""
    for shelf in (LUNCH, LATE, Shelf(LATE.schedule, True, at(7, 0, 30))):
        moment, last = at(2, 0), shelf.refusal(at(2, 0))
        announced = shelf.changes_at(moment)
        while moment < at(9, 0):
            moment += timedelta(minutes=1)
            found = shelf.refusal(moment)
            if found != last:
                assert announced is not None
                assert announced <= moment, f"{moment} was not announced"
            if announced is not None and announced <= moment:
                announced = shelf.changes_at(moment)
            last = found


def test_ordinary_rows_lie_on_no_shelf() -> None:
    row: dict[str, object] = {"windows": [], "is_paused": False, "paused_until": None}
    assert shelves("America/Sao_Paulo", [row, row]) == ()
    assert shelves("America/Sao_Paulo", None) == ()


def hours_around_now(first: int, last: int) -> list[dict[str, Any]]:
    """One window, from ``first`` to ``last`` hours from now on the store's clock."""
    start, end = (now().astimezone(ZONE) + timedelta(hours=h) for h in (first, last))
    return [{"weekday": start.weekday(), "opens": f"{start:%H:%M}", "closes": f"{end:%H:%M}"}]


async def sold(client: httpx.AsyncClient, product: UUID) -> tuple[bool, str | None, str | None]:
    """What the menu says of the product; the search says the same."""
    found = by_id(await read_menu(client))[product]
    [searched] = (await client.get(f"{URL}/products", params={"store": "centro"})).json()["items"]
    assert searched == found
    return found["available"], found["unavailable_reason"], found["next_available_at"]


async def buy(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await client.post("/api/v1/checkout", json=body, headers=key())


async def orders(world: World) -> int:
    async with world.work() as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM orders")) or 0)


@pytest.mark.parametrize("where", ["product", "category"])
async def test_outside_its_hours_nothing_is_sold_and_everybody_says_when_again(
    world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop, where: str
) -> None:
    product = await shop.product("Prato feito", 2990)
    url = f"{ADMIN}/products/{product}"
    if where == "category":
        url = f"{ADMIN}/categories/{shop.category_id}"
    body = shop.cart(product)
    books = price_books(world.runtime)
    assert (await buy(shopper, body)).status_code == 201
    before = books.at_once
    assert (await buy(shopper, body)).status_code == 201
    assert books.at_once == before + 1, "the short way is the one that must hear of it"
    assert await sold(shopper, product) == (True, None, None)

    windows = hours_around_now(2, 4)
    changed = await owner.patch(url, json={"windows": windows})
    assert (changed.status_code, changed.json()["windows"]) == (200, windows), changed.text
    _, reason, again = await sold(shopper, product)
    assert reason == "outside-hours"
    opens = datetime.fromisoformat(again or "")
    assert timedelta(hours=1, minutes=58) < opens - now() <= timedelta(hours=2)
    count = await orders(world)
    preview = await shopper.post("/api/v1/checkout/preview", json=_preview(body))
    for refused in (await buy(shopper, body), preview):
        assert (refused.status_code, refused.json()["code"]) == (409, "items-unavailable")
        [line] = refused.json()["lines"]
        assert line["reason"] == "outside-hours"
        assert datetime.fromisoformat(line["next_available_at"]) == opens
    assert await orders(world) == count

    await owner.patch(url, json={"windows": hours_around_now(-1, 1)})
    assert await sold(shopper, product) == (True, None, None)
    assert [(await buy(shopper, body)).status_code for _ in range(2)] == [201, 201]
    assert books.at_once > before + 1, "and goes at once again"


def _preview(body: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k in ("store", "fulfilment", "items")}


async def test_a_remembered_product_is_refused_by_the_clock_alone(
    shopper: httpx.AsyncClient,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    owner: httpx.AsyncClient,
) -> None:
    """Nothing is written when hours end: the short way's memory holds the hours themselves."""
    product = await shop.product("Prato feito", 2990)
    await owner.patch(f"{ADMIN}/products/{product}", json={"windows": hours_around_now(-1, 1)})
    body = shop.cart(product)
    assert [(await buy(shopper, body)).status_code for _ in range(2)] == [201, 201]
    monkeypatch.setattr(
        "app.commerce.checkout.service.now", lambda: now() + timedelta(hours=1, minutes=1)
    )
    refused = await buy(shopper, body)
    assert refused.json()["lines"][0]["reason"] == "outside-hours"


async def test_a_pre_order_asks_for_the_hours_of_its_slot(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Prato feito", 2990)
    await shop.change_store(
        preorder_enabled=True, preorder_slot_minutes=30, preorder_horizon_days=1
    )
    await owner.patch(f"{ADMIN}/products/{product}", json={"windows": hours_around_now(2, 5)})
    hour = now().replace(minute=0, second=0, microsecond=0)
    within, beyond = hour + timedelta(hours=4), hour + timedelta(hours=7)
    refused = await buy(shopper, shop.cart(product, scheduled_for=beyond.isoformat()))
    assert refused.json()["code"] == "items-unavailable", refused.text
    taken = await buy(shopper, shop.cart(product, scheduled_for=within.isoformat()))
    assert taken.status_code == 201, taken.text


async def test_a_pause_marks_its_items_and_its_end_restores_their_own_state(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza")
    category = f"{ADMIN}/categories/{shop.category_id}"
    url = f"{ADMIN}/products/{product}"
    paused = (await owner.patch(category, json={"is_paused": True})).json()
    assert (paused["is_paused"], paused["paused_until"]) == (True, None)
    assert await sold(shopper, product) == (False, "paused", None)
    [line] = (await buy(shopper, shop.cart(product))).json()["lines"]
    assert (line["reason"], line["next_available_at"]) == ("paused", None)
    await owner.patch(url, json={"is_paused": True})
    await owner.patch(category, json={"is_paused": False})
    assert await sold(shopper, product) == (False, "paused", None), "its own pause stays"
    until = now() + timedelta(hours=3)
    kept = (await owner.patch(url, json={"paused_until": until.isoformat()})).json()
    assert (kept["is_paused"], datetime.fromisoformat(kept["paused_until"])) == (True, until)
    _, reason, again = await sold(shopper, product)
    assert (reason, datetime.fromisoformat(again or "")) == ("paused", until)
    lifted = (await owner.patch(url, json={"is_paused": False})).json()
    assert (lifted["is_paused"], lifted["paused_until"]) == (False, None)
    assert await sold(shopper, product) == (True, None, None)
    assert (await buy(shopper, shop.cart(product))).status_code == 201


async def test_the_kept_menu_changes_at_the_boundary_without_a_doorbell(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza")
    until = now() + timedelta(seconds=1.2)
    await owner.patch(f"{ADMIN}/products/{product}", json={"paused_until": until.isoformat()})
    first = await shopper.get(URL, params={"store": "centro"})
    assert by_id(first.json())[product]["unavailable_reason"] == "paused"
    kept = await shopper.get(URL, params={"store": "centro"})
    assert kept.headers["etag"] == first.headers["etag"]
    await asyncio.sleep((until - now()).total_seconds() + 0.02)
    fresh = await shopper.get(
        URL, params={"store": "centro"}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert fresh.status_code == 200, "the menu is another one now"
    assert by_id(fresh.json())[product]["available"] is True


async def test_sold_out_says_so(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product("Última", stock=0)
    assert await sold(shopper, product) == (False, "sold-out", None)


async def test_hours_that_contradict_are_refused(owner: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product("Pizza")
    url = f"{ADMIN}/products/{product}"
    twice = [{"weekday": 0, "opens": "11:00", "closes": "15:00"}] * 2
    for body in ({"windows": twice}, {"windows": [{"weekday": 7, "opens": "1", "closes": "2"}]}):
        answer = await owner.patch(url, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    assert (await owner.get(url)).json()["windows"] == []
    for until in ("2026-11-22T10:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"):
        assert (await owner.patch(url, json={"paused_until": until})).status_code == 422
    assert (await owner.get(url)).json()["is_paused"] is False
