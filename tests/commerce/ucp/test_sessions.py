"""A checkout on its way: priced as the storefront prices, and told what is missing or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from app.commerce.orders.models import Order
from app.commerce.shipping.models import MapAnswer, ShippingRule
from app.core.clock import now
from tests.commerce.ucp.contract import check_session
from tests.commerce.ucp.platform import (
    BUYER,
    DELIVERY,
    PAULISTA,
    PICKUP,
    SESSIONS,
    Platform,
    said,
    total,
    wanted,
)
from tests.factories.commerce import PAULISTA as OUR_PAULISTA
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World

READY = {"buyer": BUYER, "fulfillment": PICKUP}


async def previewed(shopper: httpx.AsyncClient, shop: Shop, **fields: Any) -> dict[str, Any]:
    """The same cart at the storefront: two pizzas and a soda."""
    pizza, soda = shop.products
    cart = {
        "store": shop.store_slug,
        "fulfilment": "pickup",
        "items": [
            {"product_id": str(pizza), "quantity": 2},
            {"product_id": str(soda), "quantity": 1},
        ],
        **fields,
    }
    answer = await shopper.post("/api/v1/checkout/preview", json=cart)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def same(session: dict[str, Any], preview: dict[str, Any]) -> None:
    """Every sum of a session is the storefront's."""
    check_session(session)
    assert total(session) == preview["total_cents"]
    assert total(session, "subtotal") == preview["subtotal_cents"]
    assert -(total(session, "items_discount") or 0) == preview["discount_cents"]
    assert (total(session, "fulfillment") or 0) == preview["shipping_cents"]
    assert -(total(session, "discount") or 0) == preview["shipping_discount_cents"]
    assert [line["totals"][-1]["amount"] for line in session["line_items"]] == [
        line["total_cents"] for line in preview["lines"]
    ]


async def test_a_checkout_grows_until_it_can_be_completed(agent: Platform, shop: Shop) -> None:
    begun = await agent.create(("CAL", 2), (shop.products[1], 1))
    check_session(begun)
    assert begun["status"] == "incomplete"
    assert said(begun) == {
        ("missing", "$.buyer.first_name"),
        ("missing", "$.buyer.phone_number"),
        ("missing", "$.fulfillment.methods"),
    }
    assert [line["item"]["title"] for line in begun["line_items"]] == [
        "Pizza calabresa",
        "Guaraná",
    ]
    assert total(begun) == 2 * 4990 + 800
    kinds = [m["type"] for m in begun["fulfillment"]["available_methods"]]
    assert kinds == ["shipping", "pickup"]
    assert begun["continue_url"] == f"https://bellamassa.example/pedir?ucp_session={begun['id']}"
    assert begun["links"] == [
        {"type": "terms_of_service", "url": "https://bellamassa.example/termos"}
    ]
    items = ("CAL", 2), (shop.products[1], 1)
    known = await agent.update(begun["id"], *items, buyer=BUYER)
    assert said(known) == {("missing", "$.fulfillment.methods")}
    ready = await agent.update(begun["id"], *items, **READY)
    check_session(ready)
    assert (ready["status"], ready["messages"]) == ("ready_for_complete", [])
    [method] = ready["fulfillment"]["methods"]
    assert method["selected_destination_id"] == shop.store_slug
    assert method["destinations"][0]["name"] == "Bella Massa Centro"
    assert method["groups"][0]["selected_option_id"] == "now"
    assert await agent.get(begun["id"]) | {"fulfillment": 0} == ready | {"fulfillment": 0}
    bare = await agent.update(begun["id"], ("GUA", 1))
    assert "buyer" not in bare, "an update replaces everything"
    assert [line["id"] for line in bare["line_items"]] == ["li_1"]


async def test_pickup_costs_what_the_storefront_says(
    agent: Platform, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.promotion(name="Terça", kind="percent", value=1000)
    found = await agent.create(("CAL", 2), ("GUA", 1), **READY)
    same(found, await previewed(shopper, shop))
    [applied] = found["discounts"]["applied"]
    assert (applied["title"], applied["automatic"]) == ("Terça", True)
    assert {p["path"] for p in applied["allocations"]} == {"$.line_items[0]", "$.line_items[1]"}


async def test_delivery_and_coupons_cost_what_the_storefront_says(
    agent: Platform, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.promotion(name="Frete grátis", kind="free_shipping", value=0, code="FRETE")
    await shop.promotion(name="Dez", kind="fixed", value=1000, code="DEZ", combinable=True)
    fields = {"buyer": BUYER, "fulfillment": DELIVERY}
    for codes in ([], ["dez"], ["FRETE"], ["nada", "DEZ"]):
        found = await agent.create(("CAL", 2), ("GUA", 1), **fields, discounts={"codes": codes})
        asked = {"fulfilment": "delivery", "address": OUR_PAULISTA, "coupons": codes}
        same(found, await previewed(shopper, shop, **asked))
        assert found["status"] == "ready_for_complete"
        assert found["discounts"]["codes"] == codes
    assert said(found) == {("discount_code_invalid", "$.discounts.codes[0]")}
    [unknown] = found["messages"]
    assert unknown["type"] == "warning", "the buyer is told, and may go on"
    assert [a["code"] for a in found["discounts"]["applied"]] == ["DEZ"]


async def test_freight_by_road_is_the_storefronts(
    agent: Platform, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    await shop.change_store(distance_source="road")
    async with world.work() as work:
        await work.session.execute(
            update(ShippingRule).values(kind="distance", max_meters=3000, fee_cents=500)
        )
        far = ShippingRule(
            store_id=shop.store_id, kind="distance", max_meters=30_000, fee_cents=2900, minutes=50
        )
        at = MapAnswer(
            question="place:01310100", provider="nominatim", latitude=-23.65, longitude=-46.70,
            expires_at=now() + timedelta(days=1),
        )  # fmt: skip
        work.session.add_all([far, at])
    fields = {"buyer": BUYER, "fulfillment": DELIVERY}
    found = await agent.create(("CAL", 2), ("GUA", 1), **fields)
    same(found, await previewed(shopper, shop, fulfilment="delivery", address=OUR_PAULISTA))
    assert total(found, "fulfillment") == 2900, "as the maps say, not as the crow flies"
    done = await agent.complete(found["id"])
    assert (done["status"], total(done)) == ("completed", total(found))


async def test_an_expired_code_says_so(agent: Platform, shop: Shop) -> None:
    over = now() - timedelta(days=1)
    await shop.promotion(code="VELHO", starts_at=over - timedelta(days=9), ends_at=over)
    found = await agent.create(("GUA", 1), **READY, discounts={"codes": ["VELHO"]})
    assert said(found) == {("discount_code_expired", "$.discounts.codes[0]")}


async def test_the_freight_is_told_for_a_postal_code_alone(agent: Platform, shop: Shop) -> None:
    only = {"methods": [{"type": "shipping", "destinations": [{"postal_code": "01310100"}]}]}
    found = await agent.create(("GUA", 1), buyer=BUYER, fulfillment=only)
    check_session(found)
    assert total(found, "fulfillment") == 700
    path = "$.fulfillment.methods[0].destinations[0]"
    assert said(found) == {
        ("missing", f"{path}.street_address"),
        ("missing", f"{path}.address_locality"),
        ("missing", f"{path}.address_region"),
    }
    [option] = found["fulfillment"]["methods"][0]["groups"][0]["options"]
    assert (option["id"], option["totals"][0]["amount"]) == ("now", 700)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"postal_code": "1"}, "invalid_postal_code", "postal_code"),
        ({"address_region": "Bahia!"}, "invalid_region", "address_region"),
        ({"address_country": "PT"}, "address_undeliverable", "address_country"),
    ],
)
async def test_an_address_that_cannot_be_is_named(
    agent: Platform, shop: Shop, change: dict[str, str], code: str, field: str
) -> None:
    methods = [{"type": "shipping", "destinations": [PAULISTA | change]}]
    found = await agent.create(("GUA", 1), buyer=BUYER, fulfillment={"methods": methods})
    check_session(found)
    assert said(found) == {(code, f"$.fulfillment.methods[0].destinations[0].{field}")}


@pytest.mark.parametrize(
    ("buyer", "code", "field"),
    [
        ({"phone_number": "12"}, "invalid_phone", "phone_number"),
        ({"email": "maria@"}, "invalid_email", "email"),
    ],
)
async def test_a_buyer_who_cannot_be_reached_is_asked_again(
    agent: Platform, shop: Shop, buyer: dict[str, str], code: str, field: str
) -> None:
    found = await agent.create(("GUA", 1), buyer=BUYER | buyer, fulfillment=PICKUP)
    check_session(found)
    assert said(found) == {(code, f"$.buyer.{field}")}


async def test_an_address_nobody_goes_to_is_told_at_the_address(
    agent: Platform, shop: Shop, world: World
) -> None:
    async with world.work() as work:
        rio = {"kind": "cep_range", "cep_from": "20000000", "cep_to": "20999999"}
        await work.session.execute(update(ShippingRule).values(rio))
    two = [{"id": "casa", **PAULISTA}, {"id": "rio", **PAULISTA, "postal_code": "20040-002"}]
    asked = {"type": "shipping", "destinations": two, "selected_destination_id": "casa"}
    found = await agent.create(("GUA", 1), buyer=BUYER, fulfillment={"methods": [asked]})
    check_session(found)
    assert said(found) == {("address_undeliverable", "$.fulfillment.methods[0].destinations[0]")}
    assert found["fulfillment"]["methods"][0]["groups"][0]["options"] == []
    other = {"methods": [asked | {"selected_destination_id": "rio"}]}
    moved = await agent.update(found["id"], ("GUA", 1), buyer=BUYER, fulfillment=other)
    assert moved["status"] == "ready_for_complete"


async def test_what_is_short_or_not_sold_now_is_told_at_its_line(
    agent: Platform, shop: Shop
) -> None:
    late = await shop.product("Só retirada", 500, for_delivery=False, sku="RET")
    sizes = await shop.product("Pizza do chef", 3000, sku="CHEF")
    big = await shop.variant(sizes, "grande", 4500)
    short = await agent.create(("GUA", 1), ("CAL", 11), **READY)
    check_session(short)
    assert said(short) == {("out_of_stock", "$.line_items[1].quantity")}
    assert "10" in short["messages"][0]["content"]
    assert total(short) == 800 + 11 * 4990
    fields = {"buyer": BUYER, "fulfillment": DELIVERY}
    found = await agent.create((late, 1), (sizes, 1), ("GUA", 1), **fields)
    check_session(found)
    assert said(found) == {
        ("item_unavailable", "$.line_items[0]"),
        ("variant_required", "$.line_items[1].item.id"),
    }
    right = await agent.update(found["id"], (big, 1), ("GUA", 1), **fields)
    check_session(right)
    assert right["status"] == "ready_for_complete"
    assert right["line_items"][0]["item"]["title"] == "Pizza do chef grande"
    assert right["line_items"][0]["item"]["price"] == 4500


async def test_choices_are_made_by_hand(agent: Platform, shop: Shop) -> None:
    own = await shop.product("Monte a sua", 2000)
    await shop.group(own, {"Borda": 500}, min_choices=1)
    found = await agent.create((own, 1), **READY)
    check_session(found)
    assert found["status"] == "requires_escalation"
    assert said(found) == {("choices_required", "$.line_items[0]")}


async def test_what_nobody_sells_is_left_out_and_said(
    agent: Platform, shop: Shop, stranger: World
) -> None:
    theirs = await make_shop(stranger)
    foreign = await theirs.product("Alheia", 100, sku="ALHEIA")
    some = await agent.create(("GUA", 1), ("NADA", 3), (foreign, 1), **READY)
    check_session(some)
    assert some["status"] == "ready_for_complete"
    [told] = some["messages"]
    assert (told["type"], told["code"]) == ("warning", "item_unavailable")
    assert "NADA" in told["content"]
    assert str(foreign) in told["content"]
    none = await agent.ask("POST", SESSIONS, wanted(("ALHEIA", 1)))
    assert none.status_code == 200
    assert none.json()["ucp"]["status"] == "error"
    assert none.json()["messages"][0]["severity"] == "unrecoverable"
    assert "id" not in none.json()
    kept = await agent.update(some["id"], ("NADA", 1))
    check_session(kept)
    assert [line["item"]["id"] for line in kept["line_items"]] == ["GUA"], "nothing has changed"
    assert said(kept) == {("item_unavailable", "$.line_items")}


async def test_below_the_minimum_is_told_with_what_is_missing(agent: Platform, shop: Shop) -> None:
    await shop.change_store(min_order_cents=3000)
    found = await agent.create(("GUA", 1), **READY)
    check_session(found)
    assert said(found) == {("minimum_order", "$.line_items")}
    assert "22,00" in found["messages"][0]["content"]
    english = await agent.ask(
        "POST", SESSIONS, wanted(("GUA", 1), **READY, context={"language": "en-US"})
    )
    assert english.json()["messages"][0]["content"].endswith("for the minimum order.")


async def test_a_closed_store_offers_its_slots(agent: Platform, shop: Shop) -> None:
    await shop.change_store(
        paused_until=now() + timedelta(minutes=30),
        pause_reason="forno",
    )
    paused = await agent.create(("GUA", 1), **READY)
    check_session(paused)
    assert said(paused) == {
        ("store_closed", "$.fulfillment.methods[0].groups[0].selected_option_id")
    }
    assert paused["fulfillment"]["methods"][0]["groups"][0]["options"] == []
    await shop.change_store(preorder_enabled=True)
    offered = await agent.get(paused["id"])
    [group] = offered["fulfillment"]["methods"][0]["groups"]
    assert group["selected_option_id"] is None
    slot = group["options"][0]
    assert slot["id"].startswith("at:")
    chosen = {"methods": [{"type": "pickup", "groups": [{"selected_option_id": slot["id"]}]}]}
    ready = await agent.update(paused["id"], ("GUA", 1), buyer=BUYER, fulfillment=chosen)
    check_session(ready)
    assert ready["status"] == "ready_for_complete"
    done = await agent.complete(paused["id"])
    async with shop.world.work() as work:
        order = await work.session.get_one(Order, UUID(done["order"]["id"]))
        assert order.scheduled_for is not None
        assert slot["earliest_fulfillment_time"] == f"{order.scheduled_for:%Y-%m-%dT%H:%M:%SZ}"


async def test_a_place_to_pick_up_at_is_never_swapped(
    agent: Platform, shop: Shop, world: World
) -> None:
    await make_shop(world, slug="bairro", name="Bella Massa Bairro")
    begun = await agent.create(("GUA", 1), **READY)
    places = begun["fulfillment"]["methods"][0]["destinations"]
    assert {p["id"] for p in places} == {"centro", "bairro"}
    there = {"methods": [{"type": "pickup", "selected_destination_id": "bairro"}]}
    moved = await agent.update(begun["id"], ("GUA", 1), buyer=BUYER, fulfillment=there)
    assert moved["fulfillment"]["methods"][0]["selected_destination_id"] == "bairro"
    nowhere = {"methods": [{"type": "pickup", "selected_destination_id": "lua"}]}
    kept = await agent.update(begun["id"], ("GUA", 2), buyer=BUYER, fulfillment=nowhere)
    check_session(kept)
    assert said(kept) == {
        ("destination_unknown", "$.fulfillment.methods[0].selected_destination_id")
    }
    assert kept["fulfillment"]["methods"][0]["selected_destination_id"] == "bairro"
    assert kept["line_items"][0]["quantity"] == 1, "a refused update changes nothing"
    home = await agent.create(("GUA", 1), **READY, context={"location": "bairro"})
    assert home["fulfillment"]["methods"][0]["selected_destination_id"] == "bairro"


async def test_one_order_goes_one_way(agent: Platform, shop: Shop) -> None:
    both = {"methods": [PICKUP["methods"][0], DELIVERY["methods"][0]]}
    found = await agent.create(("GUA", 1), buyer=BUYER, fulfillment=both)
    assert ("split_fulfillment_unsupported", "$.fulfillment.methods") in said(found)
    odd = {"methods": [{"type": "drone"}]}
    found = await agent.create(("GUA", 1), buyer=BUYER, fulfillment=odd)
    check_session(found)
    assert said(found) == {("fulfillment_method_unsupported", "$.fulfillment.methods[0].type")}
