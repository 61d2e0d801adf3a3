"""Web push through a push service of its own: only the device reads it, the dead are forgotten."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from dataclasses import replace
from typing import Any

import http_ece
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr, ValidationError
from sqlalchemy import select

from app.core.guard import Guard
from app.core.ids import new_id
from app.core.settings import Settings
from app.kernel.notifications import rules
from app.kernel.notifications.delivery import NoticeDeliveryService
from app.kernel.notifications.models import PushSubscription
from app.kernel.notifications.service import web_push_key
from app.kernel.work import Runtime
from tests.factories.commerce import key
from tests.factories.notices import (
    HANDLERS,
    NOTICES,
    all_told,
    browser,
    connect_bot,
    order_placed,
    outcomes,
    subscribe,
    telling,
    told_of,
)
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf
from tests.kernel.queue_probe import effects, system, working
from tests.sandbox.server import SandboxServer, until

LEDGER = "/api/v1/admin/notice-deliveries"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def keys_of(private: ec.EllipticCurvePrivateKey, auth: bytes) -> dict[str, str]:
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"p256dh": b64(point), "auth": b64(auth)}


async def place(world: World, number: int = 7) -> None:
    async with world.work() as work:
        work.publish(order_placed(number))


async def devices(world: World) -> list[PushSubscription]:
    async with world.work() as work:
        return list(await work.session.scalars(select(PushSubscription)))


async def pushes(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return await sandbox.requests(vendor="webpush")


async def test_a_device_reads_what_nobody_else_can(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    private, auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
    endpoint = f"{sandbox.url}/webpush/send/{secrets.token_urlsafe(16)}"
    await subscribe(owner, {"endpoint": endpoint, "keys": keys_of(private, auth)})
    await place(world)
    async with telling(runtime, sandbox):
        await all_told(world)
    [request] = await pushes(sandbox)
    assert (request["status"], request["verdict"]) == (201, "accepted")
    headers = request["headers"]
    assert headers["content-encoding"] == "aes128gcm"
    assert (headers["urgency"], headers["ttl"]) == ("high", str(4 * 3600))
    body = base64.b64decode(request["body"]["base64"])
    assert len(body) <= 4096
    plain = http_ece.decrypt(body, private_key=private, auth_secret=auth, version="aes128gcm")
    told = json.loads(plain)
    assert told["title"] == "Novo pedido nº 7"
    assert told["link"].startswith("/admin/orders/")
    assert told["tag"] == headers["topic"], "a repetition takes the first one's place"
    assert b"pedido" not in body
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(http_ece.ECEException):
        http_ece.decrypt(body, private_key=other, auth_secret=auth, version="aes128gcm")
    assert await outcomes(world) == [("push", "sent", 1)]
    [shown] = (await owner.get(f"{NOTICES}/devices")).json()
    assert shown["last_sent_at"] is not None


async def test_a_long_text_still_fits(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    long = "🍕" * 5000
    message = rules.push_message(
        new_id(), new_id(), "k" * 100, long, long, "/" + "x" * 200, ttl_s=1, is_urgent=False
    )
    assert len(message.payload) <= 3993
    assert json.loads(message.payload)["body"].endswith("…")


async def test_every_device_of_everybody_is_told_once(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer,
    client_of: ClientOf,
) -> None:  # fmt: skip
    people = [owner] + [await client_of(world, await world.member("agent")) for _ in range(4)]
    await connect_bot(world)
    for number, client in enumerate(people):
        for _ in range(2):
            await subscribe(client, await browser(sandbox))
        linked = await client.put(f"{NOTICES}/telegram", json={"chat_id": f"{100 + number}"})
        assert linked.is_success
    told = told_of(new_id(), order_placed())
    # The event's own job again and again, all at once and from several workers.
    for _ in range(5):
        async with world.work() as work:
            for _ in range(2):
                work.enqueue("kernel.notifications.fan_out", told)
    async with telling(runtime, sandbox), telling(runtime, sandbox):
        await all_told(world)
    assert await outcomes(world) == [("push", "sent", 1)] * 10 + [("telegram", "sent", 1)] * 5
    sent = await pushes(sandbox)
    assert len({request["path"] for request in sent}) == len(sent) == 10
    assert all("Novo pedido nº 7" in request["preview"] for request in sent)
    chats = sorted(request["to"] for request in await sandbox.requests(vendor="telegram"))
    assert chats == ["100", "101", "102", "103", "104"]
    # And its deliveries' jobs again, long after they were made.
    async with world.work() as work:
        for row in (await owner.get(LEDGER)).json()["items"]:
            work.enqueue("kernel.notifications.deliver", {"delivery_id": row["id"]})
    async with telling(runtime, sandbox):
        await all_told(world)
    assert len(await pushes(sandbox)) == 10
    assert len(await sandbox.requests(vendor="telegram")) == 5


async def test_a_delivery_that_was_cut_is_never_repeated(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await subscribe(owner, await browser(sandbox))
    async with world.work() as work:
        await NoticeDeliveryService(work).fan_out(told_of(new_id(), order_placed()))
    [row] = (await owner.get(LEDGER)).json()["items"]
    async with world.work() as work:
        assert await NoticeDeliveryService(work).take(row["id"]) is not None
    async with telling(runtime, sandbox):
        await all_told(world)
    assert await outcomes(world) == [("push", "unknown", 1)]
    assert await pushes(sandbox) == []


@pytest.mark.parametrize("code", ["404", "410"])
async def test_a_dead_subscription_is_forgotten(
    code: str, owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await subscribe(owner, await browser(sandbox))
    await sandbox.put("webpush/knobs", error={"code": code})
    await place(world)
    async with telling(runtime, sandbox):
        await all_told(world)
        assert await outcomes(world) == [("push", "failed", 1)]
        assert (await owner.get(f"{NOTICES}/devices")).json() == []
        assert [told["reason"] for told in await effects(world, "push_subscription.dropped")] == [
            f"http-{code}"
        ]
        await place(world, 8)
        await all_told(world)
    assert len(await pushes(sandbox)) == 1, "nobody tries it again"
    [row] = (await owner.get(LEDGER, params={"state": "failed"})).json()["items"]
    assert row["error"] == f"webpush: http-{code} the subscription ended"
    assert (await owner.get(f"{NOTICES}/unread")).json() == {"count": 2}


async def test_a_busy_service_is_asked_again_when_it_said_so(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, runtime: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await subscribe(owner, await browser(sandbox))
    await sandbox.put("webpush/knobs", error={"code": "429", "times": 1, "retry_after_s": 2})
    await place(world)
    async with telling(runtime, sandbox):

        async def waits() -> bool:
            return await outcomes(world) == [("push", "pending", 1)]

        await until(waits)
        [row] = (await owner.get(LEDGER, params={"channel": "push"})).json()["items"]
        assert row["next_at"] > row["created_at"]
        assert "http-429" in row["error"]
        assert (await outsider.get(LEDGER)).json()["items"] == []
        await all_told(world)
    assert await outcomes(world) == [("push", "sent", 2)]
    assert len(await devices(world)) == 1


@pytest.mark.parametrize(("code", "end"), [("413", "failed"), ("403", "failed")])
async def test_other_refusals_end_it_and_keep_the_device(
    code: str, end: str, owner: httpx.AsyncClient, world: World, runtime: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await subscribe(owner, await browser(sandbox))
    await sandbox.put("webpush/knobs", error={"code": code})
    await place(world)
    async with telling(runtime, sandbox):
        await all_told(world)
    assert await outcomes(world) == [("push", end, 1)]
    assert len(await devices(world)) == 1


async def test_an_answer_that_is_lost_is_unknown_and_a_5xx_is_tried_again(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await subscribe(owner, await browser(sandbox))
    await sandbox.put("webpush/knobs", drop_answer=1)
    await place(world)
    async with telling(runtime, sandbox):
        await all_told(world)
        assert await outcomes(world) == [("push", "unknown", 1)]
        await sandbox.put("webpush/knobs", error={"code": "http-503", "times": 1})
        await place(world, 8)
        await all_told(world)
    assert await outcomes(world) == [("push", "sent", 2), ("push", "unknown", 1)]
    assert len(await pushes(sandbox)) == 3


async def test_an_endpoint_that_turned_inward_is_not_called(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await subscribe(owner, await browser(sandbox))
    await place(world)
    strict = replace(runtime, guard=Guard(allow_http=True), caches={})
    async with working(strict, HANDLERS):
        await all_told(world)
    assert await pushes(sandbox) == []
    assert await outcomes(world) == [("push", "failed", 1)]
    assert await devices(world) == []


async def test_subscriptions_are_checked_sealed_and_ones_own(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World,
    sandbox: SandboxServer, client_of: ClientOf,
) -> None:  # fmt: skip
    good = await browser(sandbox)
    off_curve = b64(b"\x04" + b"\x01" * 64)
    for wrong in (
        {"endpoint": "https://169.254.169.254/push"},
        {"endpoint": "ftp://push.example/x"},
        {"keys": good["keys"] | {"p256dh": off_curve}},
        {"keys": good["keys"] | {"p256dh": "AAAA"}},
        {"keys": good["keys"] | {"auth": "AAAA"}},
    ):
        refused = await owner.post(f"{NOTICES}/devices", json=good | wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "push-endpoint-refused")
    assert await devices(world) == []
    made = await subscribe(owner, good)
    again = await subscribe(owner, good)
    assert made["id"] == again["id"]
    assert made["service"] == "127.0.0.1"
    [row] = await devices(world)
    for secret in (good["endpoint"], good["keys"]["auth"]):
        assert secret not in row.sealed
        assert secret not in (await owner.get(f"{NOTICES}/devices")).text
    colleague = await client_of(world, await world.member("admin"))
    for other in (outsider, colleague):
        assert (await other.get(f"{NOTICES}/devices")).json() == []
        refused = await other.delete(f"{NOTICES}/devices/{made['id']}")
        assert (refused.status_code, refused.json()["code"]) == (404, "notice-device-not-found")
    assert len(await devices(world)) == 1
    moved = await subscribe(colleague, good)
    assert moved["id"] == made["id"], "one browser, one person: who subscribed last"
    assert (await owner.get(f"{NOTICES}/devices")).json() == []
    assert (await colleague.delete(f"{NOTICES}/devices/{made['id']}")).status_code == 204
    assert await devices(world) == []


async def test_what_waits_for_a_device_is_not_shown_to_its_next_user(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer,
    client_of: ClientOf,
) -> None:  # fmt: skip
    shared = await browser(sandbox)
    await subscribe(owner, shared)
    async with world.work() as work:
        await NoticeDeliveryService(work).fan_out(told_of(new_id(), order_placed()))
    await subscribe(await client_of(world, await world.member("viewer")), shared)
    async with telling(runtime, sandbox):
        await all_told(world)
    assert await pushes(sandbox) == []
    assert await outcomes(world) == [("push", "failed", 0)]


async def test_who_left_meanwhile_is_told_nothing(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer,
    client_of: ClientOf,
) -> None:  # fmt: skip
    agent = await world.member("agent")
    await subscribe(await client_of(world, agent), await browser(sandbox))
    async with world.work() as work:
        await NoticeDeliveryService(work).fan_out(told_of(new_id(), order_placed()))
    left = await owner.patch(f"/api/v1/admin/users/{agent.id}", json={"is_active": False})
    assert left.is_success
    async with telling(runtime, sandbox):
        await all_told(world)
    assert await pushes(sandbox) == []
    [row] = (await owner.get(LEDGER)).json()["items"]
    assert (row["state"], row["error"]) == ("failed", "the member is not active")


async def test_the_oldest_device_makes_room(
    owner: httpx.AsyncClient, world: World, sandbox: SandboxServer, client_of: ClientOf
) -> None:
    old = await browser(sandbox)
    await subscribe(await client_of(world, await world.member("agent")), old)
    made = [await subscribe(owner, await browser(sandbox)) for _ in range(rules.MAX_DEVICES + 2)]
    shown = (await owner.get(f"{NOTICES}/devices")).json()
    assert [device["id"] for device in shown] == [device["id"] for device in made[:1:-1]]
    taken_over = await subscribe(owner, old)
    shown = (await owner.get(f"{NOTICES}/devices")).json()
    assert taken_over["id"] in {device["id"] for device in shown}
    assert len(shown) == rules.MAX_DEVICES


async def test_the_test_button_uses_every_channel_that_is_ready(
    owner: httpx.AsyncClient, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await connect_bot(world)
    await subscribe(owner, await browser(sandbox))
    await owner.put(f"{NOTICES}/telegram", json={"chat_id": "42"})
    once = key()
    answers = [await owner.post(f"{NOTICES}/test", headers=once) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    async with telling(runtime, sandbox):
        await all_told(world)
    assert await outcomes(world) == [("push", "sent", 1), ("telegram", "sent", 1)]
    assert await sandbox.requests(vendor="smtp") == [], "the request's process had no carrier"
    [message] = await sandbox.requests(vendor="telegram")
    assert message["preview"].startswith("Teste de aviso\n")
    assert (await owner.get(f"{NOTICES}/unread")).json() == {"count": 1}


async def test_all_processes_share_one_key(owner: httpx.AsyncClient, runtime: Runtime) -> None:
    await system(runtime, "DELETE FROM platform_keys")
    processes = [replace(runtime, caches={}) for _ in range(8)]
    found = await asyncio.gather(*(web_push_key(process) for process in processes))
    assert len({(pair.public, pair.private) for pair in found}) == 1
    [row] = await system(runtime, "SELECT public, sealed FROM platform_keys")
    assert row["public"] == found[0].public
    assert found[0].private not in row["sealed"]
    assert rules.push_key_of(found[0].private) == found[0]
    runtime.caches.pop("web_push", None)
    shown = (await owner.get(f"{NOTICES}/push-key")).json()
    assert shown == {"public_key": found[0].public}


async def test_a_key_of_the_settings_is_used_instead(runtime: Runtime, config: Settings) -> None:
    own = rules.new_push_key()
    chosen = config.model_copy(update={"web_push_private_key": SecretStr(own.private)})
    assert await web_push_key(replace(runtime, settings=chosen, caches={})) == own
    assert own.private not in repr(own)
    for wrong in ({"web_push_private_key": "short"}, {"web_push_subject": "postmaster"}):
        with pytest.raises(ValidationError):
            Settings.model_validate(config.model_dump() | wrong)
