"""Notices in the application: who is told, what they read, how they are told, and live."""

from __future__ import annotations

import logging

import httpx
import pytest

from app.contracts.commerce import StockLow
from app.contracts.events import Event
from app.contracts.platform import ConnectionExpired, WebhookEndpointDisabled
from app.contracts.schedules import SchedulePaused
from app.core.ids import new_id
from app.kernel.jobs.service import JobContext
from app.kernel.notifications.delivery import NoticeDeliveryService
from app.kernel.telling import NOTICE_FAN_OUT
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.commerce import key, make_shop
from tests.factories.notices import (
    NOTICES,
    all_told,
    connect_bot,
    notices,
    order_placed,
    outcomes,
    telling,
    told_of,
    waiting,
)
from tests.factories.tenants import Member, World
from tests.kernel.conftest import ClientOf
from tests.kernel.event_listener import listening
from tests.kernel.queue_probe import Unique, is_held, queue, system, unique, working
from tests.sandbox.server import SandboxServer, until

__all__ = ["unique"]

ORDER = "commerce.order_placed"


async def give(world: World, *, number: int = 7) -> None:
    """One new order, told as its job tells it."""
    async with world.work() as work:
        await NoticeDeliveryService(work).fan_out(told_of(new_id(), order_placed(number)))


async def readers(world: World) -> set[str]:
    """Who was told anything."""
    return {str(notice.user_id) for notice in await notices(world)}


async def test_an_order_is_told_to_those_who_may_act_on_it(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, runtime: Runtime,
    sandbox: SandboxServer, client_of: ClientOf, stranger: World,
) -> None:  # fmt: skip
    agent, viewer = await world.member("agent"), await world.member("viewer")
    helper, gone = await world.member("viewer"), await world.member("agent")
    group = await owner.post(
        "/api/v1/admin/groups", json={"name": "Balcão", "grants": ["commerce.orders:update"]}
    )
    members = f"/api/v1/admin/groups/{group.json()['id']}/members"
    assert (await owner.put(members, json={"user_ids": [str(helper.id)]})).is_success
    left = await owner.patch(f"/api/v1/admin/users/{gone.id}", json={"is_active": False})
    assert left.is_success
    shop = await make_shop(world)
    pizza = await shop.product("Pizza calabresa", 4990)
    placed = await shopper.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())
    assert placed.status_code == 201, placed.text
    async with telling(runtime, sandbox):
        await all_told(world)
    told = {str(member.id) for member in (world.owner, agent, helper)}
    assert await readers(world) == told
    assert str(viewer.id) not in told
    assert await notices(stranger) == []
    mine = (await (await client_of(world, agent)).get(NOTICES)).json()["items"]
    [notice] = mine
    assert notice["kind"] == ORDER
    assert notice["title"] == f"Novo pedido nº {placed.json()['number']}"
    assert "R$" in notice["body"]
    assert notice["link"] == f"/admin/orders/{placed.json()['id']}"
    assert notice["read_at"] is None


async def test_what_needs_no_telling_queues_nothing(world: World) -> None:
    async with world.work() as work:
        work.record("tests.nothing", "test", None)
    assert await waiting(world, NOTICE_FAN_OUT) == 0
    async with world.work() as work:
        work.publish(order_placed())
    assert await waiting(world, NOTICE_FAN_OUT) == 1


@pytest.mark.parametrize(
    ("event", "told", "words"),
    [
        (
            StockLow(stock_level_id=new_id(), store_id=new_id(), item_kind="product",
                     item_id=new_id(), item_name="Calabresa", on_hand=2, low_at=5),
            {"owner", "admin", "manager"}, "Calabresa: restam 2 (alerta em 5).",
        ),
        (
            WebhookEndpointDisabled(
                webhook_endpoint_id=new_id(), url="https://erp.example/x", reason="gone"
            ),
            {"owner", "admin"}, "https://erp.example/x",
        ),
        (
            SchedulePaused(schedule_id=new_id(), schedule_name="Estoque", failures=10),
            {"owner", "admin"}, "Falhou 10 vezes",
        ),
        (
            ConnectionExpired(connection_id=new_id(), provider="google", label="ana@loja.example"),
            {"owner", "admin"}, "até alguém conectar a conta de novo",
        ),
    ],
    ids=["low stock", "webhook switched off", "schedule paused", "connection ended"],
)  # fmt: skip
async def test_each_kind_reaches_who_can_do_something_about_it(
    event: Event,
    told: set[str], words: str, world: World, runtime: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    staff = {role: await world.member(role) for role in ("admin", "manager", "agent", "viewer")}
    by_id = {member.id: role for role, member in staff.items()} | {world.owner.id: "owner"}
    async with world.work() as work:
        work.publish(event)
    async with telling(runtime, sandbox):
        await all_told(world)
    given = await notices(world)
    assert {by_id[notice.user_id] for notice in given} == told
    assert all(words in notice.body for notice in given)
    assert {notice.kind for notice in given} == {event.name}


async def test_notices_are_paged_counted_and_read(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    for number in (1, 2, 3):
        await give(world, number=number)
    first = (await owner.get(NOTICES, params={"limit": 2})).json()
    rest = (await owner.get(NOTICES, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    titles = [item["title"] for item in first["items"] + rest["items"]]
    assert titles == [f"Novo pedido nº {n}" for n in (3, 2, 1)]
    assert rest["next_cursor"] is None
    one = first["items"][0]["id"]
    colleague = await client_of(world, await world.member("admin"))
    for other in (outsider, colleague):
        refused = await other.post(f"{NOTICES}/{one}/read")
        assert (refused.status_code, refused.json()["code"]) == (404, "notice-not-found")
        assert (await other.get(NOTICES)).json()["items"] == []
        assert (await other.post(f"{NOTICES}/read-all")).json() == {"changed": 0}
    assert (await owner.get(f"{NOTICES}/unread")).json() == {"count": 3}
    read = await owner.post(f"{NOTICES}/{one}/read")
    again = await owner.post(f"{NOTICES}/{one}/read")
    assert read.json()["read_at"] is not None
    assert read.json() == again.json()
    unread = (await owner.get(NOTICES, params={"unread": True})).json()["items"]
    assert [item["title"] for item in unread] == ["Novo pedido nº 2", "Novo pedido nº 1"]
    assert (await owner.post(f"{NOTICES}/read-all")).json() == {"changed": 2}
    assert (await owner.get(f"{NOTICES}/unread")).json() == {"count": 0}
    assert (await owner.post(f"{NOTICES}/{new_id()}/read")).status_code == 404


async def test_live_each_member_hears_of_her_own_and_of_nobody_elses(
    app: Largo, owner: httpx.AsyncClient, world: World
) -> None:
    viewer = await world.member("viewer")
    async with (
        listening(app, world.owner.token, topics="notices") as mine,
        listening(app, world.owner.token, topics="orders") as orders,
        listening(app, viewer.token) as theirs,
        listening(app, viewer.token, topics=f"notices:{world.owner.id}") as prying,
    ):
        assert prying.status == 422, "a member's own topic has no name that others could ask for"
        for listener in (mine, orders, theirs):
            await listener.until(lambda heard=listener: bool(heard.of("hello")))  # type: ignore[misc]
        await give(world)
        await mine.until(lambda: bool(mine.of("platform.notice_given")))
        [frame] = mine.of("platform.notice_given")
        assert frame.data["title"] == "Novo pedido nº 7"
        await owner.post(f"{NOTICES}/{frame.data['notice_id']}/read")
        await mine.until(lambda: bool(mine.of("platform.notices_read")))
        async with world.work() as work:
            work.publish(order_placed())
        await theirs.until(lambda: bool(theirs.of(ORDER)))
        for other in (orders, theirs):
            assert not other.of("platform.notice_given")
            assert not other.of("platform.notices_read")


async def matrix(client: httpx.AsyncClient) -> dict[str, dict[str, bool]]:
    answer = await client.get(f"{NOTICES}/preferences")
    return {kind["kind"]: kind["channels"] for kind in answer.json()["kinds"]}


async def test_the_matrix_shows_defaults_choices_and_what_is_ready(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    usual = {"in_app": True, "push": True, "telegram": True, "email": False}
    assert (await matrix(owner))[ORDER] == usual
    assert (await matrix(owner))["platform.schedule_paused"]["email"] is True
    agent = await client_of(world, await world.member("agent"))
    assert set(await matrix(agent)) == {
        ORDER,
        "commerce.payment_paid",
        "conversations.message_undecided",
        "commerce.order_status_changed",
        "commerce.order_withdrawn",
        "conversations.noted",
    }, "nobody chooses about what she is never told"
    shown = (await owner.get(f"{NOTICES}/preferences")).json()["channels"]
    assert {c["channel"] for c in shown if c["is_ready"]} == {"in_app"}
    put = await owner.put(
        f"{NOTICES}/preferences", json={"kinds": {ORDER: {"email": True, "push": False}}}
    )
    assert put.status_code == 200
    assert (await matrix(owner))[ORDER] == usual | {"email": True, "push": False}
    assert (await matrix(outsider))[ORDER] == usual
    for kinds in ({"commerce.typo": {"push": True}}, {"platform.notice_test": {"push": True}}):
        refused = await owner.put(f"{NOTICES}/preferences", json={"kinds": kinds})
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown-notice-kind")
        assert ORDER in refused.json()["known"]
    mine = await agent.put(
        f"{NOTICES}/preferences", json={"kinds": {"platform.schedule_paused": {"push": True}}}
    )
    assert mine.json()["code"] == "unknown-notice-kind"
    assert (await matrix(owner))[ORDER] == usual | {"email": True, "push": False}
    await owner.put(f"{NOTICES}/preferences", json={"kinds": {}})
    assert (await matrix(owner))[ORDER] == usual, "what is not named has its default again"


async def test_choices_are_honoured(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf, sandbox: SandboxServer,
    runtime: Runtime,
) -> None:  # fmt: skip
    await connect_bot(world)
    quiet, chat_only = await world.member("agent"), await world.member("agent")
    both = await world.member("agent")
    off = {"in_app": False, "push": False, "telegram": False}
    for member, chat, choice in (
        (quiet, "101", off), (chat_only, "102", off | {"telegram": True}), (both, "103", {}),
    ):  # fmt: skip
        client = await client_of(world, member)
        await client.put(f"{NOTICES}/telegram", json={"chat_id": chat})
        await client.put(f"{NOTICES}/preferences", json={"kinds": {ORDER: choice}})
    async with world.work() as work:
        work.publish(order_placed())
    async with telling(runtime, sandbox):
        await all_told(world)
    sent = await sandbox.requests(vendor="telegram")
    assert sorted(request["to"] for request in sent) == ["102", "103"]
    assert all("Novo pedido nº 7\nR$ 49,90, retirada." in r["preview"] for r in sent)
    listed = {str(m.id): await _listed(client_of, world, m) for m in (quiet, chat_only, both)}
    assert listed == {str(quiet.id): 0, str(chat_only.id): 0, str(both.id): 1}
    assert str(quiet.id) not in await readers(world)
    assert await outcomes(world) == [("telegram", "sent", 1)] * 2


async def test_letters_go_to_those_who_want_them(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf, sandbox: SandboxServer,
    runtime: Runtime,
) -> None:  # fmt: skip
    agent = await world.member("agent")
    await owner.put(f"{NOTICES}/preferences", json={"kinds": {ORDER: {"email": True}}})
    async with world.work() as work:
        work.publish(order_placed())
    async with telling(runtime, sandbox):
        await all_told(world)
    [letter] = await sandbox.requests(vendor="smtp")
    assert (letter["to"], letter["body"]["subject"]) == (world.owner.email, "Novo pedido nº 7")
    assert "R$ 49,90, retirada." in letter["body"]["text"]
    assert "https://painel.largo.example/admin/orders/" in letter["body"]["text"]
    assert str(agent.id) in await readers(world), "told, but not by letter"
    assert await outcomes(world) == [("email", "sent", 1)]


async def test_without_a_carrier_nobody_waits_for_a_letter(
    owner: httpx.AsyncClient, world: World
) -> None:
    await owner.put(f"{NOTICES}/preferences", json={"kinds": {ORDER: {"email": True}}})
    channels = (await owner.get(f"{NOTICES}/preferences")).json()["channels"]
    assert {"channel": "email", "is_ready": False} in channels
    await give(world)
    assert await outcomes(world) == []


async def _listed(client_of: ClientOf, world: World, member: Member) -> int:
    client = await client_of(world, member)
    count: int = (await client.get(f"{NOTICES}/unread")).json()["count"]
    assert len((await client.get(NOTICES)).json()["items"]) == count
    return count


async def test_a_chat_is_linked_once_there_is_a_bot(owner: httpx.AsyncClient, world: World) -> None:
    path = f"{NOTICES}/telegram"
    refused = await owner.put(path, json={"chat_id": "42"})
    assert (refused.status_code, refused.json()["code"]) == (409, "telegram-not-connected")
    missing = await owner.delete(path)
    assert (missing.status_code, missing.json()["code"]) == (404, "telegram-not-linked")
    await connect_bot(world)
    assert (await owner.put(path, json={"chat_id": "x"})).status_code == 422
    assert (await owner.put(path, json={"chat_id": "42"})).json() == {"chat_id": "42"}
    channels = (await owner.get(f"{NOTICES}/preferences")).json()["channels"]
    assert {"channel": "telegram", "is_ready": True} in channels
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.delete(path)).status_code == 404


async def test_a_held_job_is_told_to_those_who_run_the_platform(
    world: World, stranger: World, runtime: Runtime, unique: Unique, sandbox: SandboxServer,
    owner: httpx.AsyncClient, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    name = unique("fails")

    async def failing(job: JobContext) -> None:
        raise ValueError("broken")

    await queue(stranger, name, {})
    await system(runtime, "UPDATE tenants SET is_super_admin = true WHERE id = $1", world.tenant.id)
    await runtime.tenants.fresh("id", str(world.tenant.id))
    try:
        with caplog.at_level(logging.CRITICAL):
            async with working(runtime, {name: failing}, max_deliveries=1):
                await until(lambda: is_held(runtime, name))
        async with telling(runtime, sandbox):
            await all_told(world)
        [notice] = await notices(world)
        assert notice.user_id == world.owner.id
        assert notice.title == f"Tarefa parada: {name}"
        assert "ValueError: broken" in notice.body
        assert str(stranger.tenant.id) in notice.body
        assert await notices(stranger) == []
        kinds = (await owner.get(f"{NOTICES}/preferences")).json()["kinds"]
        assert "platform.job_held" in {kind["kind"] for kind in kinds}
    finally:
        await system(
            runtime, "UPDATE tenants SET is_super_admin = false WHERE id = $1", world.tenant.id
        )
        await runtime.tenants.fresh("id", str(world.tenant.id))
    kinds = (await owner.get(f"{NOTICES}/preferences")).json()["kinds"]
    assert "platform.job_held" not in {kind["kind"] for kind in kinds}


async def test_a_ledger_needs_its_grant(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await client_of(world, await world.member("agent"))
    refused = await agent.get("/api/v1/admin/notice-deliveries")
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get("/api/v1/admin/notice-deliveries")).json()["items"] == []
