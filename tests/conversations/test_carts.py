"""Ordering in a chat: cart, question, button, one order, its PIX and its status, all once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from app.commerce.catalog.models import Product
from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.conversations.carts import jobs as carts
from app.conversations.carts.models import WhatsAppCart
from app.conversations.carts.rules import choice_of, items_of
from app.conversations.inbox.models import Message
from app.conversations.notifications import jobs as news
from app.conversations.sending import jobs as sending
from app.kernel.jobs.service import Handler, Worker
from app.kernel.work import Runtime
from tests.conversations.inbound.line import Line, make_line
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.conversations import at_sandbox
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, until

NUMBERS = "/api/v1/whatsapp/numbers"
HANDLERS: dict[str, Handler] = {
    carts.RECEIVED: carts.received,
    carts.ANSWERED: carts.answered,
    news.ORDER_NEWS: news.order_news,
    sending.SEND: sending.send,
}
PIX = {
    "pix_key": "123e4567-e12b-12d1-a456-426655440000",
    "pix_key_type": "evp",
    "merchant_name": "Bella Massa",
    "merchant_city": "São Paulo",
    "unpaid_minutes": None,
}


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, name="Bella Massa Centro")
    await shop.product("Pizza calabresa", 4990, stock=10, sku="CAL")
    await shop.product("Guaraná", 800, sku="GUA")
    return shop


@pytest.fixture
async def line(world: World, shop: Shop, owner: httpx.AsyncClient) -> Line:
    """A number whose chats sell what the shop has, paid by PIX."""
    line = await make_line(world, waba_id="200000000000001")
    sells = await owner.patch(f"{NUMBERS}/{line.id}", json={"cart_store": shop.store_slug})
    assert sells.json()["cart_store"] == shop.store_slug
    assert (await owner.put("/api/v1/admin/payments/settings", json=PIX)).is_success
    return line


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    worker = Worker(runtime, HANDLERS)
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def put_into_cart(client: httpx.AsyncClient, line: Line, **counts: int) -> None:
    listed = [
        {"product_retailer_id": name, "quantity": n, "item_price": 1, "currency": "BRL"}
        for name, n in counts.items()
    ]
    order = {"catalog_id": "194836987003835", "text": "", "product_items": listed}
    await line.tell(client, line.message("order", at=int(time.time()), order=order))


async def press(client: httpx.AsyncClient, line: Line, button: str) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": button, "title": "-"}}
    await line.tell(client, line.message("interactive", at=int(time.time()), interactive=reply))


async def said(line: Line, count: int) -> list[Message]:
    """What we said, when that many have gone out, and not one more."""

    async def sent() -> list[Message]:
        found = [m for m in await line.messages() if m.direction == "out"]
        return sorted(found, key=lambda m: m.id)

    async def all_out() -> bool:
        found = await sent()
        return len(found) >= count and {m.status for m in found} == {"accepted"}

    await until(all_out, 15)
    found = await sent()
    assert len(found) == count, [m.text for m in found]
    return found


def buttons(message: Message) -> dict[str, str]:
    """What each button of a question says, and what pressing it sends."""
    found = message.content["action"]["buttons"]
    return {b["reply"]["title"]: b["reply"]["id"] for b in found}


async def orders(world: World) -> list[Order]:
    async with world.work() as work:
        return list(await work.session.scalars(select(Order).order_by(Order.number)))


async def cart(world: World) -> WhatsAppCart:
    async with world.work() as work:
        return (await work.session.scalars(select(WhatsAppCart))).one()


async def test_a_cart_is_delivered_paid_by_pix_and_followed_in_the_chat(
    world: World, shop: Shop, line: Line, here: Runtime, sandbox: SandboxServer,
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient,
) -> None:  # fmt: skip
    known = {"name": "Maria da Silva", "phone": f"+{line.person}"}
    before = shop.delivery(shop.products[1], customer=known)
    assert (await shopper.post("/api/v1/checkout", json=before, headers=key())).status_code == 201
    await sandbox.reset()
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")  # that order's news
    async with working(here):
        await put_into_cart(anonymous, line, CAL=2, GUA=1)
        [question] = await said(line, 1)
        assert "2 x Pizza calabresa\n1 x Guaraná" in str(question.text)
        street = f"{PAULISTA['street']}, {PAULISTA['number']}"
        assert f"Entrega em {street} (frete R$ 7,00): R$ 114,80" in str(question.text)
        assert "Retirada na loja: R$ 107,80" in str(question.text)
        chosen = buttons(question)
        assert list(chosen) == ["Receber em casa", "Retirar na loja", "Desistir"]
        await press(anonymous, line, chosen["Receber em casa"])
        receipt = (await said(line, 2))[-1]
        _, order = await orders(world)
        assert (order.source, order.fulfilment, order.total_cents) == (
            "whatsapp",
            "delivery",
            11480,
        )
        assert str(receipt.text).startswith(f"Pedido nº {order.number} recebido!")
        url = f"/api/v1/admin/orders/{order.id}/transitions"
        # What is done in the kitchen is not told unless the tenant has words for it.
        for to, told in (
            ("confirmed", 3), ("preparing", 3), ("ready", 3), ("out_for_delivery", 4),
            ("delivered", 5),
        ):  # fmt: skip
            assert (await owner.post(url, json={"to": to})).status_code == 200
            await said(line, told)
    asked = [r["body"]["interactive"] for r in await sandbox.requests(vendor="whatsapp", limit="50")
             if r["body"].get("type") == "interactive"][::-1]  # fmt: skip
    assert [a["type"] for a in asked] == ["button", "order_details", *["order_status"] * 3]
    details = asked[1]["action"]["parameters"]
    assert details["reference_id"] == order.id.hex
    [paid] = details["payment_settings"]
    assert paid["pix_dynamic_code"]["code"].startswith("00020126")
    assert paid["pix_dynamic_code"]["key_type"] == "EVP"
    assert details["total_amount"] == {"value": 11480, "offset": 100}
    assert [i["retailer_id"] for i in details["order"]["items"]] == ["CAL", "GUA"]
    followed = [a["action"]["parameters"] for a in asked[2:]]
    assert {p["reference_id"] for p in followed} == {order.id.hex}
    assert [p["order"]["status"] for p in followed] == ["processing", "shipped", "completed"]
    async with world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 8


async def test_pressed_by_ten_fingers_at_once_it_is_one_order(
    world: World, shop: Shop, line: Line, here: Runtime, anonymous: httpx.AsyncClient
) -> None:
    async with working(here):
        await put_into_cart(anonymous, line, CAL=1)
        chosen = buttons((await said(line, 1))[0])
        assert list(chosen) == ["Retirar na loja", "Desistir"], "nobody knows where they live"
        presses = [press(anonymous, line, chosen["Retirar na loja"]) for _ in range(10)]
        await asyncio.gather(*presses)
        told = await said(line, 11)
    [order] = await orders(world)
    texts = [str(m.text) for m in told[1:]]
    assert sum(t.startswith(f"Pedido nº {order.number} recebido!") for t in texts) == 1
    assert texts.count(f"Este carrinho já é o pedido nº {order.number}.") == 9
    found = await cart(world)
    assert (found.state, found.order_id, len(found.answers)) == ("ordered", order.id, 10)
    async with world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 9


async def test_a_price_that_moved_is_asked_again(
    world: World, shop: Shop, line: Line, here: Runtime, anonymous: httpx.AsyncClient
) -> None:
    async with working(here):
        await put_into_cart(anonymous, line, CAL=1)
        chosen = buttons((await said(line, 1))[0])["Retirar na loja"]
        async with world.work() as work:
            dearer = update(Product).where(Product.sku == "CAL").values(price_cents=5990)
            await work.session.execute(dearer)
        await press(anonymous, line, chosen)
        again = (await said(line, 2))[-1]
        assert "Os preços mudaram" in str(again.text)
        assert "R$ 59,90" in str(again.text)
        assert await orders(world) == []
        await press(anonymous, line, buttons(again)["Retirar na loja"])
        await said(line, 3)
    [order] = await orders(world)
    assert order.total_cents == 5990


async def test_a_refusal_says_why_and_leaves_no_order(
    world: World, shop: Shop, line: Line, here: Runtime, anonymous: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
) -> None:  # fmt: skip
    async with working(here):
        for n, (counts, text) in enumerate(
            [
                ({"NADA": 1}, "Estes itens não estão mais à venda: NADA."),
                ({"CAL": 11}, "Acabou, ou não há o bastante: Pizza calabresa."),
            ],
            start=1,
        ):
            await put_into_cart(anonymous, line, **counts)
            assert (await said(line, n))[-1].text == text
        await put_into_cart(anonymous, line, CAL=10)
        asked = buttons((await said(line, 3))[-1])
        async with world.work() as work:
            await work.session.execute(update(Product).values(is_active=False))
        await press(anonymous, line, asked["Retirar na loja"])
        assert (await said(line, 4))[-1].text == "Não dá para pedir assim: Pizza calabresa."
        await press(anonymous, line, asked["Desistir"])
        assert "desfeito" in str((await said(line, 5))[-1].text)
        await shop.change_store(hours=[])
        async with world.work() as work:
            await work.session.execute(update(Product).values(is_active=True))
        await put_into_cart(anonymous, line, CAL=1)
        assert str((await said(line, 6))[-1].text).startswith("Estamos fechados agora.")
        # Another person's cart is nobody's business.
        stranger = Line(**{**vars(line), "person": "5511900000001"})
        await press(anonymous, stranger, asked["Retirar na loja"])
        await asyncio.sleep(0.3)
        await said(line, 6)
    assert await orders(world) == []
    async with world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 10


async def test_a_number_that_sells_nothing_has_plain_carts(
    world: World, shop: Shop, line: Line, owner: httpx.AsyncClient, outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient, here: Runtime,
) -> None:  # fmt: skip
    wrong = await owner.patch(f"{NUMBERS}/{line.id}", json={"cart_store": "nenhuma"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "cart-store-unknown")
    assert (await owner.get(f"{NUMBERS}/{line.id}")).json()["cart_store"] == shop.store_slug
    off = await owner.patch(f"{NUMBERS}/{line.id}", json={"cart_store": None})
    assert off.json()["cart_store"] is None
    async with working(here):
        await put_into_cart(anonymous, line, CAL=1)
        await asyncio.sleep(0.3)
    [message] = await line.messages()
    assert (message.kind, message.text) == ("order", "Pedido com 1 item")


@pytest.mark.parametrize(
    "order",
    [
        None,
        [],
        {"product_items": "CAL"},
        {"product_items": [{"quantity": 1}]},
        {"product_items": [{"product_retailer_id": "CAL", "quantity": "muitos"}]},
        {"product_items": [{"product_retailer_id": "CAL", "quantity": 0}]},
        {"product_items": [{"product_retailer_id": "CAL", "quantity": 1000}]},
        {"product_items": [{"product_retailer_id": f"P{n}", "quantity": 1} for n in range(101)]},
    ],
)
def test_what_cannot_be_read_as_a_cart_is_an_empty_one(order: Any) -> None:
    assert items_of({"order": order}) == ()


def test_the_same_thing_twice_is_counted_once() -> None:
    twice = [{"product_retailer_id": "CAL", "quantity": n} for n in (1, "2")]
    [item] = items_of({"order": {"product_items": twice}})
    assert (item.retailer_id, item.quantity) == ("CAL", 3)


@pytest.mark.parametrize(
    "pressed", ["", "cart", "cart:x:pickup", "cart:1:2:3", "sim", "cart::drop"]
)
def test_other_buttons_choose_nothing(pressed: str) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": pressed, "title": "-"}}
    assert choice_of({"interactive": reply}) is None
