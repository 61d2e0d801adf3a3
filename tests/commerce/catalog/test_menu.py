"""The menu: what it holds, and how it is sent by the route and from memory alike."""

from __future__ import annotations

import gzip
import hashlib
from uuid import uuid4

import httpx
import pytest

from app.commerce.catalog.snapshot import MenuCache
from app.kernel.files.models import StoredFile
from app.kernel.work import Runtime
from tests.commerce.catalog.storefront import ADMIN, URL, by_id, read_menu, ring
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World, make_world


async def test_what_a_menu_holds(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    async with shop.world.work() as work:
        file = StoredFile(
            key=f"t/{uuid4()}.webp", media_type="image/webp", size_bytes=1, sha256="",
            original_name="a.webp",
        )  # fmt: skip
        work.session.add(file)
        await work.session.flush()
    pizza = await shop.product(
        "Pizza", 4990, compare_at_cents=5990, dietary_tags=["vegano"], for_pickup=False,
        image_file_ids=[str(uuid4()), str(file.id)],
    )  # fmt: skip
    small = await shop.variant(pizza, "Broto", 2990)
    big = await shop.variant(pizza, "Grande", 6990)
    extras = await shop.group(pizza, {"Bacon": 500}, free_quantity=1)
    await shop.product("Fora do cardápio", is_active=False)
    await owner.post(f"{ADMIN}/categories", json={"name": "Vazia"})

    menu = await read_menu(shopper)
    assert menu["store"]["slug"] == "centro"
    assert menu["store"]["currency"] == "BRL"
    assert [c["id"] for c in menu["categories"]] == [str(shop.category_id)], "the empty one hides"
    [found] = menu["products"]
    assert found["images"] == [f"/media/{file.key}"], "a missing image is left out"
    [group] = found["modifier_groups"]
    assert {k: found[k] for k in ("id", "name", "price_cents", "compare_at_cents")} == {
        "id": str(pizza), "name": "Pizza", "price_cents": 4990, "compare_at_cents": 5990,
    }  # fmt: skip
    assert (found["dietary_tags"], found["for_delivery"], found["for_pickup"]) == (
        ["vegano"], True, False,
    )  # fmt: skip
    assert found["variants"] == [
        {"id": str(id), "name": name, "price_cents": cents, "available": True,
         "promotional_cents": None, "channel_prices": {}}
        for id, name, cents in ((small, "Broto", 2990), (big, "Grande", 6990))
    ]  # fmt: skip
    assert (group["name"], group["free_quantity"]) == ("Adicionais", 1)
    assert group["modifiers"] == [
        {
            "id": str(extras["Bacon"]), "name": "Bacon", "price_cents": 500,
            "available": True, "max_quantity": 1,
        }
    ]  # fmt: skip


async def test_order_follows_categories_then_positions(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    drinks = (await owner.post(f"{ADMIN}/categories", json={"name": "Bebidas"})).json()["id"]
    late = await shop.product("A", position=2)
    early = await shop.product("B", position=1)
    drink = (
        await owner.post(
            f"{ADMIN}/products", json={"category_id": drinks, "name": "Suco", "price_cents": 1}
        )
    ).json()["id"]
    pizzas = str(shop.category_id)
    for order, expected in (
        ([drinks, pizzas], [drink, str(early), str(late)]),
        ([pizzas, drinks], [str(early), str(late), drink]),
    ):
        await owner.put(f"{ADMIN}/categories/order", json={"ids": order})
        menu = await read_menu(shopper)
        assert [c["id"] for c in menu["categories"]] == order
        assert [p["id"] for p in menu["products"]] == expected
    await owner.patch(f"{ADMIN}/categories/{drinks}", json={"is_active": False})
    assert [p["id"] for p in (await read_menu(shopper))["products"]] == [str(early), str(late)]


async def test_availability_is_of_the_stock(shopper: httpx.AsyncClient, shop: Shop) -> None:
    untracked = await shop.product("Sem controle")
    gone = await shop.product("Acabou", stock=0)
    some = await shop.product("Tem", stock=3)
    half = await shop.product("Metade")
    none = await shop.product("Nenhum")
    left = [await shop.variant(half, n, 1) for n in ("P", "G")]
    lost = [await shop.variant(none, n, 1) for n in ("P", "G")]
    await shop.track(left[0], 0, "variant")
    for variant in lost:
        await shop.track(variant, 0, "variant")
    extras = await shop.group(some, {"Bacon": 1, "Ovo": 1})
    await shop.track(extras["Bacon"], 0, "modifier")
    found = by_id(await read_menu(shopper))
    assert {i: p["available"] for i, p in found.items()} == {
        untracked: True, gone: False, some: True, half: True, none: False,
    }  # fmt: skip
    assert [v["available"] for v in found[half]["variants"]] == [False, True]
    modifiers = found[some]["modifier_groups"][0]["modifiers"]
    assert {m["name"]: m["available"] for m in modifiers} == {"Bacon": False, "Ovo": True}


async def test_stores_differ(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    other = await make_shop(shop.world, slug="norte")
    dear = await shop.product("Mais cara", 1000, compare_at_cents=1500)
    absent = await shop.product("Só no norte", 1000)
    url = f"{ADMIN}/products"
    await owner.put(f"{url}/{dear}/stores/{shop.store_id}", json={"price_cents": 1600})
    await owner.put(f"{url}/{absent}/stores/{shop.store_id}", json={"is_available": False})
    here, there = by_id(await read_menu(shopper)), by_id(await read_menu(shopper, other.store_slug))
    assert {i: p["price_cents"] for i, p in here.items()} == {dear: 1600}
    assert here[dear]["compare_at_cents"] is None, "1500 is no price before 1600"
    assert {i: p["price_cents"] for i, p in there.items()} == {dear: 1000, absent: 1000}
    assert there[dear]["compare_at_cents"] == 1500


async def test_without_a_slug_the_first_store_answers(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await make_shop(shop.world, slug="norte")
    for _ in range(2):
        assert (await shopper.get(URL)).json()["store"]["slug"] == shop.store_slug


async def test_sent_alike_by_the_route_and_from_memory(
    shopper: httpx.AsyncClient, shop: Shop, cache: MenuCache
) -> None:
    await shop.product("Açaí")
    plain, packed = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip, deflate"}
    tags = set()
    for headers in (plain, packed):
        await ring(shop.world)
        assert cache.peek(shop.world.tenant, b"centro") is None
        routed = await shopper.get(URL, params={"store": "centro"}, headers=headers)
        assert cache.peek(shop.world.tenant, b"centro") is not None
        ready = await shopper.get(URL, params={"store": "centro"}, headers=headers)
        kept = ("content-type", "content-length", "content-encoding", "etag", "cache-control")
        assert [ready.headers.get(h) for h in kept] == [routed.headers.get(h) for h in kept]
        assert ready.headers["cache-control"] == "no-cache"
        assert "Accept-Encoding" in ready.headers["vary"]
        assert ready.headers["x-content-type-options"] == "nosniff", "the layers stay around it"
        assert ready.content == routed.content
        tags.add(ready.headers["etag"])
    assert ready.headers["content-encoding"] == "gzip"
    assert len(tags) == 2, "a strong tag is of one coding alone"
    raw = await _raw_body(shopper, packed)
    assert gzip.decompress(raw) == ready.content
    digest = hashlib.sha256(ready.content).hexdigest()[:32]
    assert tags == {f'"{digest}"', f'"{digest}-gzip"'}


async def _raw_body(client: httpx.AsyncClient, headers: dict[str, str]) -> bytes:
    async with client.stream("GET", URL, params={"store": "centro"}, headers=headers) as answer:
        return b"".join([chunk async for chunk in answer.aiter_raw()])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0, *", None),
        ("gzip; q=0.000", None),
        ("gzip;q=0.001", "gzip"),
        ("identity", None),
        ("br", None),
        ("", None),
    ],
)
async def test_coding_as_accepted(
    shopper: httpx.AsyncClient, shop: Shop, accepted: str, coding: str | None
) -> None:
    for _ in range(2):
        answer = await shopper.get(URL, headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding
        assert answer.json()["store"]["id"] == str(shop.store_id)


async def test_not_modified(shopper: httpx.AsyncClient, shop: Shop) -> None:
    for accepted in ("identity", "gzip"):
        headers = {"Accept-Encoding": accepted}
        tag = (await shopper.get(URL, headers=headers)).headers["etag"]
        for seen in (tag, f'"other", W/{tag}', "*"):
            for _ in range(2):
                same = await shopper.get(URL, headers={**headers, "If-None-Match": seen})
                assert (same.status_code, same.content) == (304, b"")
                assert same.headers["etag"] == tag
            await ring(shop.world)
            rebuilt = await shopper.get(URL, headers={**headers, "If-None-Match": seen})
            assert rebuilt.status_code == 304, "the same content keeps its tag"
        other = await shopper.get(URL, headers={**headers, "If-None-Match": '"other"'})
        assert (other.status_code, other.headers["etag"]) == (200, tag)


async def test_refusals(
    shopper: httpx.AsyncClient, anonymous: httpx.AsyncClient, shop: Shop, stranger: World,
    runtime: Runtime,
) -> None:  # fmt: skip
    theirs = await make_shop(stranger, slug="deles")
    await theirs.product("Segredo")
    without = await make_world(runtime, modules=("conversations",))
    await make_shop(without)
    for path in (URL, f"{URL}/products"):
        for slug in ("deles", "nenhuma"):
            answer = await shopper.get(path, params={"store": slug})
            assert (answer.status_code, answer.json()["code"]) == (404, "store-not-found")
            assert "Segredo" not in answer.text
        answer = await shopper.get(path, params={"store": "\x00'"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        answer = await anonymous.get(path, params={"store": "centro"})
        assert (answer.status_code, answer.json()["code"]) == (400, "tenant-required")
        answer = await anonymous.get(path, headers={"X-Tenant": without.tenant.slug})
        assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")
    await shop.change_store(is_active=False)
    await ring(shop.world)
    answer = await shopper.get(URL, params={"store": "centro"})
    assert answer.json()["code"] == "store-not-found"


async def test_each_tenant_has_its_own(
    shopper: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    mine = await shop.product("Meu")
    theirs = await (await make_shop(stranger)).product("Deles")
    for _ in range(2):
        assert list(by_id(await read_menu(shopper))) == [mine]
        assert list(by_id(await read_menu(outsider))) == [theirs]
