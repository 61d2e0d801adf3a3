"""News of an order through the inbox: the tenant's words, its template, once each."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from sqlalchemy import select, update

from app.conversations.inbox.models import Conversation, Message
from app.conversations.notifications.customers import CustomerNews
from app.conversations.notifications.models import Notification
from app.conversations.notifications.rules import OrderFact
from app.core.clock import now
from tests.conversations.test_notifications import place
from tests.factories.commerce import Shop, make_shop
from tests.factories.conversations import make_number, make_template
from tests.factories.tenants import World

PATH = "/api/v1/order-messages"
READY = {
    "text": "{{customer_name}}, o pedido {{order_number}} está pronto em {{store_name}}!",
    "template_name": "pedido_pronto",
    "template_language": "pt_BR",
    "template_values": ["customer_name", "order_number"],
}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world, name="Bella Massa Centro")


async def tell(world: World, order_id: object, fact: str) -> bool:
    async with world.work() as work:
        return await CustomerNews(work).tell(order_id, OrderFact(fact))  # type: ignore[arg-type]


async def told(world: World) -> tuple[Sequence[Message], Sequence[Notification]]:
    async with world.work() as work:
        messages = await work.session.scalars(select(Message).order_by(Message.id))
        rows = await work.session.scalars(select(Notification).order_by(Notification.id))
        return messages.all(), rows.all()


async def test_the_tenants_words_within_the_day_and_its_template_after(
    shop: Shop, world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    order = await place(shop, shopper)
    assert await tell(world, order.id, "placed") is False, "no number: the old way"
    await make_number(world)
    words = [{"type": "BODY", "text": "Oi {{1}}, o pedido {{2}} está pronto."}]
    await make_template(world, "pedido_pronto", components=words)
    shown = await owner.put(f"{PATH}/ready", json=READY)
    assert shown.json()["preview"] == "Ana Souza, o pedido 128 está pronto em Loja Centro!"
    assert await tell(world, order.id, "placed") is True
    messages, [refused] = await told(world)
    assert (messages, refused.state, refused.error) == (
        [], "failed", "conversation-window-closed",
    )  # fmt: skip
    for _ in range(2):
        assert await tell(world, order.id, "ready")
    [template], [_, row] = await told(world)
    assert (template.kind, template.author, row.state) == ("template", "system", "queued")
    assert row.message_id == template.id
    parameters = template.content["components"][0]["parameters"]
    assert parameters[1] == {"type": "text", "text": str(order.number)}
    async with world.work() as work:
        await work.session.execute(update(Conversation).values(last_inbound_at=now()))
    assert await tell(world, order.id, "confirmed")
    assert (await owner.put(f"{PATH}/delivered", json={"is_on": False})).is_success
    assert await tell(world, order.id, "delivered") is True
    messages, rows = await told(world)
    assert [m.kind for m in messages] == ["template", "text"]
    assert f"pedido nº {order.number} foi confirmado" in str(messages[1].text)
    assert len(rows) == 3


async def test_words_are_checked_and_one_tenants_alone(
    world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    half = {"template_name": "pedido_pronto"}
    assert (await owner.put(f"{PATH}/ready", json=half)).status_code == 422
    assert (await owner.put(f"{PATH}/eaten", json={})).status_code == 422
    assert (await owner.put(f"{PATH}/ready", json=READY)).is_success
    mine = {m["fact"]: m["text"] for m in (await owner.get(PATH)).json()}
    theirs = {m["fact"]: m["text"] for m in (await outsider.get(PATH)).json()}
    assert mine["ready"] == READY["text"]
    assert set(theirs.values()) == {None}
