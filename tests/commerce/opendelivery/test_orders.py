"""A played point of sale takes orders through their lives, in the words of Open Delivery."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from app.commerce.catalog.models import Modifier
from app.commerce.opendelivery.rules import Call, steps
from app.commerce.orders.models import Order
from app.commerce.orders.rules import FulfilmentType, OrderStatus, may_move
from app.core.clock import now
from tests.commerce.opendelivery.conftest import Place
from tests.commerce.opendelivery.pos import ROOT, Pos
from tests.factories.commerce import Shop, key

ADMIN = "/api/v1/admin/orders"
WHY = {"reason": "acabou a massa", "code": "UNAVAILABLE_ITEM", "mode": "MANUAL"}


async def state(shop: Shop, order_id: str) -> tuple[str, int]:
    async with shop.world.work() as work:
        order = await work.session.get_one(Order, UUID(order_id))
        return order.status, order.version


async def test_an_order_goes_to_the_door(
    pos: Pos, owner: httpx.AsyncClient, place: Place, shop: Shop
) -> None:
    assert await pos.poll() == []
    order_id = (await place())["id"]
    (created,) = await pos.poll()
    assert (created["eventType"], created["orderId"]) == ("CREATED", order_id)
    base = shop.world.runtime.settings.public_base_url.rstrip("/")
    assert created["orderURL"] == f"{base}{ROOT}/v1/orders/{order_id}"
    path = created["orderURL"].removeprefix(base)
    assert (await pos.http.get(path)).json()["id"] == order_id
    await pos.acknowledge(created)
    assert await pos.poll() == []

    confirmed = {"createdAt": created["createdAt"], "orderExternalCode": "4711", "later": 1}
    await pos.told(order_id, "confirm", confirmed)
    await pos.told(order_id, "preparing")
    await pos.told(order_id, "readyForPickup")
    dispatched = {"deliveryTrackingInfo": {"deliveryPerson": {"name": "João"}}}
    await pos.told(order_id, "dispatch", dispatched)
    await pos.told(order_id, "delivered")
    found = await pos.poll()
    assert [e["eventType"] for e in found] == [
        "CONFIRMED", "PREPARING", "READY_FOR_PICKUP", "DISPATCHED", "DELIVERED",
    ]  # fmt: skip
    times = [datetime.fromisoformat(e["createdAt"]) for e in [created, *found]]
    assert times == sorted(times)
    assert len({e["eventId"] for e in [created, *found]}) == 6
    assert (await pos.detail(order_id))["lastEvent"] == "DELIVERED"
    assert await state(shop, order_id) == ("delivered", 6)
    history = (await owner.get(f"{ADMIN}/{order_id}")).json()["history"]
    assert history[1]["reason"] == "PDV 4711"
    assert history[1]["actor_name"].startswith("PDV (lgk_")


async def test_an_order_is_fetched(pos: Pos, place: Place) -> None:
    """What the standard leaves to choice is passed through: no call for preparing."""
    order_id = (await place(fulfilment="pickup"))["id"]
    for call in ("confirm", "readyForPickup", "pickedUp"):
        await pos.told(order_id, call)
    assert await pos.kinds() == [
        "CREATED", "CONFIRMED", "PREPARING", "READY_FOR_PICKUP", "PICKED_UP",
    ]  # fmt: skip
    told = await pos.detail(order_id)
    assert (told["type"], told["takeout"]["mode"]) == ("TAKEOUT", "DEFAULT")
    assert "delivery" not in told
    assert (told["sendPickedUp"], told["sendDelivered"]) == (True, False)


async def test_what_was_said_before_changes_nothing(pos: Pos, place: Place, shop: Shop) -> None:
    order_id = (await place())["id"]
    for call in ("confirm", "confirm", "dispatch", "confirm", "readyForPickup", "dispatch"):
        await pos.told(order_id, call)
    assert await state(shop, order_id) == ("out_for_delivery", 5)
    assert await pos.kinds() == [
        "CREATED", "CONFIRMED", "PREPARING", "READY_FOR_PICKUP", "DISPATCHED",
    ]  # fmt: skip


async def test_who_repeats_a_call_hears_its_event_again(pos: Pos, place: Place) -> None:
    """They lost the answer, and maybe the event that they had acknowledged."""
    order_id = (await place())["id"]
    await pos.told(order_id, "confirm")
    await pos.told(order_id, "preparing")
    first = await pos.poll()
    await pos.acknowledge(*first)
    await pos.told(order_id, "confirm")
    assert await pos.poll() == [first[1]], "the same event, by its id"
    assert await pos.kinds() == ["CONFIRMED"]
    assert await pos.poll() == []


async def test_a_wrong_move_changes_nothing(pos: Pos, place: Place, shop: Shop) -> None:
    order_id = (await place())["id"]
    for call in ("preparing", "readyForPickup", "dispatch", "delivered", "pickedUp"):
        answer = await pos.tell(order_id, call)
        said = answer.json()
        assert (answer.status_code, said["status"]) == (422, 422), call
        assert said["title"], "the standard's error has a title"
        assert (said["code"], said["status_now"]) == ("open-delivery-move-refused", "pending")
    assert await state(shop, order_id) == ("pending", 1)
    await pos.told(order_id, "confirm")
    assert (await pos.tell(order_id, "delivered")).status_code == 422, "it was not dispatched"
    assert await state(shop, order_id) == ("confirmed", 2)
    missing = await pos.tell("01931b2e-7c00-7000-8000-000000000001", "confirm")
    assert (missing.status_code, missing.json()["status"]) == (404, 404)


@pytest.mark.parametrize("kind", FulfilmentType)
def test_every_step_is_a_move_of_the_one_machine(kind: FulfilmentType) -> None:
    done = 0
    for status in OrderStatus:
        for call in Call:
            here = status
            for to in steps(kind, status, call) or ():
                assert may_move(kind, here, to), f"{call} of {status}"
                here, done = to, done + 1
            again = steps(kind, here, call) if here is not status else ()
            assert again == (), "what was done is not done again"
    assert done > 5


async def test_the_store_calls_an_order_off(
    pos: Pos, owner: httpx.AsyncClient, place: Place, shop: Shop
) -> None:
    refused, cancelled, gone = [(await place())["id"] for _ in range(3)]
    await pos.told(cancelled, "confirm")
    for call in ("confirm", "dispatch", "delivered"):
        await pos.told(gone, call)
    await pos.kinds()
    await pos.told(refused, "requestCancellation", WHY)
    await pos.told(cancelled, "requestCancellation", WHY | {"code": "DELIVERY_PROBLEM"})
    await pos.told(refused, "requestCancellation", WHY)
    late = await pos.tell(gone, "requestCancellation", WHY)
    assert (late.status_code, late.json()["status_now"]) == (422, "delivered")
    wrong = await pos.tell(gone, "requestCancellation", WHY | {"code": "MOOD"})
    assert (wrong.status_code, wrong.json()["status"]) == (422, 422)
    assert [(await state(shop, o))[0] for o in (refused, cancelled, gone)] == [
        "rejected", "cancelled", "delivered",
    ]  # fmt: skip
    found = await pos.poll()
    assert [(e["eventType"], e["orderId"]) for e in found] == [
        ("CANCELLED", refused), ("CANCELLED", cancelled),
    ]  # fmt: skip
    assert found[0]["metadata"] == {
        "code": "OTHER_CANCELLATION_REASON",
        "reason": "item indisponível: acabou a massa",
    }
    assert (await pos.tell(refused, "confirm")).status_code == 422
    # Stock came back: 50, less the one that was delivered.
    levels = (await owner.get("/api/v1/admin/inventory/levels")).json()["items"]
    assert [level["on_hand"] for level in levels] == [49]


async def test_the_customer_calls_an_order_off(
    pos: Pos, shopper: httpx.AsyncClient, place: Place
) -> None:
    placed = await place()
    path, _, query = placed["tracking_path"].partition("?")
    gone = await shopper.post(f"{path}/cancel?{query}", json={"why": "too-long"}, headers=key())
    assert gone.status_code == 200, gone.text
    created, cancelled = await pos.poll()
    assert (created["eventType"], cancelled["eventType"]) == ("CREATED", "CANCELLED")
    assert cancelled["metadata"]["code"] == "CONSUMER_CANCELLATION_REQUESTED"


def cents(price: Any) -> int:
    value = float(price["value"] if isinstance(price, dict) else price)
    assert abs(value * 100 - round(value * 100)) < 1e-6, value
    return round(value * 100)


def adds_up(told: dict[str, Any]) -> int:
    """Hold every sum of the standard against its parts; what the order costs, in cents."""
    for item in told["items"]:
        options = item["options"]
        for option in options:
            assert cents(option["totalPrice"]) == cents(option["unitPrice"]) * option["quantity"]
        assert cents(item["optionsPrice"]) == sum(cents(o["totalPrice"]) for o in options)
        one = cents(item["unitPrice"]) + cents(item["optionsPrice"])
        assert cents(item["totalPrice"]) == one * item["quantity"]
    total = told["total"]
    assert cents(total["itemsPrice"]) == sum(cents(i["totalPrice"]) for i in told["items"])
    assert cents(total["otherFees"]) == sum(cents(f["price"]) for f in told["otherFees"])
    assert cents(total["discount"]) == sum(cents(d["amount"]) for d in told["discounts"])
    for discount in told["discounts"]:
        given = sum(cents(s["amount"]) for s in discount["sponsorshipValues"])
        assert given == cents(discount["amount"])
    amount = cents(total["orderAmount"])
    fees, off = cents(total["otherFees"]), cents(total["discount"])
    assert amount == cents(total["itemsPrice"]) + fees - off
    paid = told["payments"]
    assert amount == sum(cents(m["value"]) for m in paid["methods"])
    assert amount == cents(paid["prepaid"]) + cents(paid["pending"])
    return amount


async def test_an_order_in_full(pos: Pos, place: Place, shop: Shop) -> None:
    product = await shop.product("Pizza", 4990, sku="PIZ-1", stock=9)
    extras = await shop.group(product, {"Borda": 500, "Bacon": 333})
    async with shop.world.work() as work:
        await work.session.execute(update(Modifier).values(max_quantity=2))
    await shop.promotion(code="DEZ", kind="fixed", value=1000)
    line = {
        "product_id": str(product),
        "quantity": 3,
        "note": "bem assada",
        "modifiers": [
            {"id": str(extras["Borda"]), "quantity": 1},
            {"id": str(extras["Bacon"]), "quantity": 2},
        ],
    }
    placed = await place(
        items=[line],
        coupons=["DEZ"],
        payment={"method": "cash", "change_for_cents": 20000},
        note="portão azul",
    )
    told = await pos.detail(placed["id"])
    assert adds_up(told) == placed["total_cents"] == (4990 + 500 + 666) * 3 + 700 - 1000
    (item,) = told["items"]
    assert (item["name"], item["externalCode"], item["unit"]) == ("Pizza", "PIZ-1", "UN")
    assert (item["quantity"], item["specialInstructions"]) == (3, "bem assada")
    assert {o["name"]: (o["quantity"], cents(o["unitPrice"])) for o in item["options"]} == {
        "Borda": (1, 500), "Bacon": (2, 333),
    }  # fmt: skip
    assert told["discounts"][0]["sponsorshipValues"][0]["discountCode"] == "DEZ"
    (method,) = told["payments"]["methods"]
    assert (method["method"], method["type"], method["changeFor"]) == ("CASH", "PENDING", 200.0)
    assert told["payments"]["prepaid"] == 0
    assert told["merchant"] == {"id": str(shop.store_id), "name": "Loja Centro"}
    assert (told["displayId"], told["extraInfo"]) == (str(placed["number"]), "portão azul")
    assert told["orderTiming"] == "INSTANT"
    assert "schedule" not in told
    customer = told["customer"]
    assert (customer["name"], customer["phone"]["number"]) == ("Maria da Silva", "+5511987654321")
    assert customer["ordersCountOnMerchant"] == 0
    address = told["delivery"]["deliveryAddress"]
    assert (address["country"], address["state"], address["street"]) == (
        "BR", "BR-SP", "Avenida Paulista",
    )  # fmt: skip
    assert address["formattedAddress"].startswith("Avenida Paulista, 1578 - Bela Vista - São Paulo")
    second = await place()
    assert (await pos.detail(second["id"]))["customer"]["ordersCountOnMerchant"] == 1


async def test_an_order_for_later(pos: Pos, place: Place, shop: Shop) -> None:
    await shop.change_store(preorder_enabled=True, preparation_minutes=25)
    begins = (now() + timedelta(days=1)).replace(minute=30, second=0, microsecond=0)
    placed = await place(fulfilment="pickup", scheduled_for=begins.isoformat())
    told = await pos.detail(placed["id"])
    assert told["orderTiming"] == "SCHEDULED"
    ends, starts = begins + timedelta(minutes=30), begins - timedelta(minutes=25)
    schedule = told["schedule"]
    assert datetime.fromisoformat(schedule["scheduledDateTimeStart"]) == begins
    assert datetime.fromisoformat(schedule["scheduledDateTimeEnd"]) == ends
    assert datetime.fromisoformat(told["preparationStartDateTime"]) == starts


async def test_a_pix_is_shown_once_it_is_paid(
    pos: Pos, owner: httpx.AsyncClient, place: Place
) -> None:
    settings = {
        "pix_key": "loja@loja.example",
        "pix_key_type": "email",
        "merchant_name": "Loja",
        "merchant_city": "Recife",
    }
    assert (await owner.put("/api/v1/admin/payments/settings", json=settings)).is_success
    order_id = (await place(payment={"method": "pix"}))["id"]
    dropped = (await place(payment={"method": "pix"}))["id"]
    assert await pos.poll() == [], "nobody is to cook what was not paid"
    gone = await owner.post(
        f"{ADMIN}/{dropped}/transitions",
        json={"to": "cancelled", "reason": "não pagou"},
        headers=key(),
    )
    assert gone.is_success, gone.text
    assert await pos.poll() == [], "it never began for this point of sale"
    detail = (await owner.get(f"{ADMIN}/{order_id}")).json()
    payment = detail["payments"][0]
    paid = await owner.post(
        f"{ADMIN}/{order_id}/payments/{payment['id']}/received",
        json={"received_cents": payment["amount_cents"]},
        headers=key(),
    )
    assert paid.is_success, paid.text
    assert [e["orderId"] for e in await pos.poll()] == [order_id]
    told = await pos.detail(order_id)
    assert adds_up(told) == payment["amount_cents"]
    assert told["payments"]["pending"] == 0
    assert told["payments"]["methods"] == [
        {
            "value": payment["amount_cents"] / 100,
            "currency": "BRL",
            "type": "PREPAID",
            "method": "PIX",
        }
    ]
