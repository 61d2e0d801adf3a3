"""Outbound webhooks over a real loopback receiver: signed, tried again, rotated, kept apart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.contracts.commerce import CatalogChanged, StockLow
from app.contracts.events import Event
from app.core.clock import now
from app.core.guard import Guard
from app.core.ids import new_id
from app.kernel.jobs.service import Handler
from app.kernel.telling import NOTICE_FAN_OUT, WEBHOOK_FAN_OUT
from app.kernel.webhooks import jobs, rules
from app.kernel.webhooks.delivery import DeliveryService
from app.kernel.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.kernel.work import Runtime, unit_of_work
from tests.factories.commerce import key
from tests.factories.notices import waiting
from tests.factories.receiver import receiving, reply
from tests.factories.tenants import SYSTEM, World
from tests.kernel.conftest import ClientOf
from tests.kernel.queue_probe import RolledBack, effects, system, working
from tests.sandbox.server import until

HOOKS = "/api/v1/admin/webhooks"


@asynccontextmanager
async def sending(runtime: Runtime, *waits: float, total_s: float = 5.0) -> AsyncIterator[None]:
    """A worker that makes deliveries, with these waits instead of the long ones."""
    config = runtime.settings.model_copy(update={"webhook_retry_seconds": waits or (0.01,) * 3})
    guard = Guard(allow_http=True, allowed=["127.0.0.0/8"], total_s=total_s)
    quick = replace(runtime, settings=config, guard=guard, caches={})
    handlers: dict[str, Handler] = {jobs.WEBHOOK_FAN_OUT: jobs.fan_out, jobs.DELIVER: jobs.deliver}
    async with working(quick, handlers):
        yield


async def subscribe(client: httpx.AsyncClient, url: str, *events: str) -> dict[str, Any]:
    answer = await client.post(HOOKS, json={"url": url, "events": list(events) or ["*"]})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def tell(world: World, event: Event | None = None) -> None:
    """Publish as a request does: with the tenant as the directory knows it."""
    tenant = await world.runtime.tenants.by_id(world.tenant.id)
    async with unit_of_work(world.runtime, tenant, SYSTEM) as work:
        work.publish(event or changed())


def changed() -> CatalogChanged:
    return CatalogChanged(kind="product", change="updated", item_id=new_id(), item_name="Pão")


def low_stock() -> StockLow:
    return StockLow(
        stock_level_id=new_id(),
        store_id=new_id(),
        item_kind="product",
        item_id=new_id(),
        item_name="Pão",
        on_hand=1,
        low_at=5,
    )


async def deliveries(world: World) -> list[WebhookDelivery]:
    async with world.work() as work:
        rows = await work.session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id))
        return list(rows)


async def endpoint(world: World) -> WebhookEndpoint:
    async with world.work() as work:
        return (await work.session.scalars(select(WebhookEndpoint))).one()


async def ended(world: World, state: str, count: int = 1) -> list[WebhookDelivery]:
    async def met() -> bool:
        return [d.state for d in await deliveries(world)] == [state] * count

    await until(met, 12)
    return await deliveries(world)


async def fan_outs(world: World) -> int:
    rows = await system(
        world.runtime, "SELECT payload FROM pgqueuer WHERE entrypoint = $1", WEBHOOK_FAN_OUT
    )
    return sum(str(world.tenant.id).encode() in row["payload"] for row in rows)


async def test_an_event_arrives_signed_where_it_is_heard_and_nowhere_else(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving() as ours, receiving() as deaf, receiving() as theirs, sending(runtime):
        hook = await subscribe(owner, ours.url, "commerce.catalog_changed")
        await subscribe(owner, deaf.url, "commerce.order_placed")
        await subscribe(outsider, theirs.url)
        event = changed()
        await tell(world, event)
        await tell(world, low_stock())
        [row] = await ended(world, "succeeded")
        [got] = ours.got
        assert got.is_signed_by(hook["secret"])
        assert not replace(got, body=got.body + b" ").is_signed_by(hook["secret"])
        assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 10
        assert got.headers["webhook-id"] == f"evt_{row.event_id.hex}"
        body = json.loads(got.body)
        assert body["type"] == "commerce.catalog_changed"
        assert body["data"] == event.model_dump(mode="json")
        assert (row.attempts, row.last_status, row.last_response) == (1, 200, "ok")
        assert deaf.got == theirs.got == []


async def test_nothing_is_queued_without_endpoints_or_without_a_commit(
    owner: httpx.AsyncClient, world: World
) -> None:
    await tell(world)
    assert await fan_outs(world) == 0
    hook = await subscribe(owner, "https://erp.example/x")
    tenant = await world.runtime.tenants.by_id(world.tenant.id)

    async def fail() -> None:
        async with unit_of_work(world.runtime, tenant, SYSTEM) as work:
            work.publish(changed())
            await work.finish()
            raise RolledBack

    with pytest.raises(RolledBack):
        await fail()
    assert await fan_outs(world) == 0
    await tell(world)
    assert await fan_outs(world) == 1
    await owner.patch(f"{HOOKS}/{hook['id']}", json={"is_enabled": False})
    await tell(world)
    assert await fan_outs(world) == 1, "nobody listens any more"


async def test_spreading_twice_makes_one_delivery(owner: httpx.AsyncClient, world: World) -> None:
    await subscribe(owner, "https://erp.example/x")
    told = {"event_id": str(new_id()), "type": "a.b", "at": now().isoformat(), "data": {}}
    for _ in range(2):
        async with world.work() as work:
            await DeliveryService(work).fan_out(told)
    assert len(await deliveries(world)) == 1


async def test_a_failing_receiver_is_tried_again_with_the_same_id_and_bytes(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    def answer(number: int) -> bytes:
        if number == 1:
            return reply(500, b"quebrou")
        return reply(302, Location="http://169.254.169.254/") if number == 2 else reply(204, b"")

    async with receiving(answer) as receiver, sending(runtime):
        hook = await subscribe(owner, receiver.url)
        await tell(world)
        [row] = await ended(world, "succeeded")
        assert row.attempts == 3
        assert len({g.headers["webhook-id"] for g in receiver.got}) == 1
        assert len({g.body for g in receiver.got}) == 1
        assert all(g.is_signed_by(hook["secret"]) for g in receiver.got)
        assert (await endpoint(world)).failing_since is None


async def test_after_the_last_attempt_it_ends_and_can_be_replayed(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving(lambda n: reply(503 if n <= 2 else 200)) as receiver:
        await subscribe(owner, receiver.url)
        await tell(world)
        async with sending(runtime, 0.01):
            [row] = await ended(world, "failed")
            assert (row.attempts, row.last_status, row.last_error) == (2, 503, "status 503")
            path = f"{HOOKS}/deliveries/{row.id}/replay"
            stranger = await outsider.post(path, headers=key())
            assert stranger.json()["code"] == "webhook-delivery-not-found"
        answer = await owner.post(path, headers=key())
        assert answer.status_code == 202
        again = await owner.post(path, headers=key())
        assert again.json()["code"] == "webhook-delivery-under-way"
        async with sending(runtime, 0.01):
            [row] = await ended(world, "succeeded")
        assert row.attempts == 3
        assert len({g.headers["webhook-id"] for g in receiver.got}) == 1


async def test_410_switches_the_endpoint_off_with_an_audit_line(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving(lambda _: reply(410)) as receiver, sending(runtime):
        hook = await subscribe(owner, receiver.url)
        await tell(world)
        [row] = await ended(world, "failed")
        assert row.attempts == 1
        assert (await owner.get(f"{HOOKS}/{hook['id']}")).json()["disabled_reason"] == "gone"
        [told] = await effects(world, "platform.webhook_endpoint_disabled")
        assert told["reason"] == "gone"
        assert await waiting(world, NOTICE_FAN_OUT) == 1, "those in charge are told"
        refused = await owner.post(f"{HOOKS}/{hook['id']}/test", headers=key())
        assert refused.json()["code"] == "webhook-endpoint-disabled"
        await tell(world)
        assert len(await deliveries(world)) == 1
        switched = await owner.patch(f"{HOOKS}/{hook['id']}", json={"is_enabled": True})
        assert switched.json()["disabled_reason"] is None


async def test_five_days_of_failure_switch_the_endpoint_off(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving(lambda _: reply(500)) as receiver:
        await subscribe(owner, receiver.url)
        for days, enabled in ((4.9, True), (5.1, False)):
            async with world.work() as work:
                row = (await work.session.scalars(select(WebhookEndpoint))).one()
                row.failing_since = now() - timedelta(days=days)
            await tell(world)
            async with sending(runtime, 0.01):
                await until(_all_ended(world), 12)
            assert (await endpoint(world)).is_enabled is enabled
    assert (await endpoint(world)).disabled_reason == "failing"
    assert len(await effects(world, "platform.webhook_endpoint_disabled")) == 1


def _all_ended(world: World) -> Any:
    async def met() -> bool:
        rows = await deliveries(world)
        return not await fan_outs(world) and all(row.state == "failed" for row in rows)

    return met


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving() as receiver, sending(runtime):
        first = await subscribe(owner, receiver.url)
        second = (await owner.post(f"{HOOKS}/{first['id']}/rotate")).json()
        assert first["secret"] != second["secret"]
        await owner.post(f"{HOOKS}/{first['id']}/test", headers=key())
        await ended(world, "succeeded")
        assert receiver.got[0].is_signed_by(first["secret"])
        assert receiver.got[0].is_signed_by(second["secret"])
        async with world.work() as work:
            row = (await work.session.scalars(select(WebhookEndpoint))).one()
            row.retiring = {
                (now() - timedelta(seconds=1)).isoformat(): s for s in row.retiring.values()
            }
        await owner.post(f"{HOOKS}/{first['id']}/test", headers=key())
        await ended(world, "succeeded", 2)
        assert not receiver.got[1].is_signed_by(first["secret"])
        assert receiver.got[1].is_signed_by(second["secret"])


async def test_retry_after_is_honoured(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    async with receiving(lambda _: reply(429, Retry_After="3600")) as receiver, sending(runtime):
        await subscribe(owner, receiver.url)
        await tell(world)

        async def tried() -> bool:
            return [d.attempts for d in await deliveries(world)] == [1]

        await until(tried)
        [row] = await deliveries(world)
        assert row.next_at is not None
        assert timedelta(minutes=59) < row.next_at - now() < timedelta(minutes=61)


async def test_a_tenant_whose_receivers_hang_delays_nobody(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, stranger: World,
    runtime: Runtime,
) -> None:  # fmt: skip
    async with receiving(lambda _: None) as hanging, receiving() as healthy:
        for _ in range(3):
            await subscribe(owner, hanging.url)
        await subscribe(outsider, healthy.url)
        async with sending(runtime, 60.0, total_s=4):
            await asyncio.gather(*(tell(world) for _ in range(10)))
            await until(lambda: len(hanging.got) >= 2)
            began = time.monotonic()
            await tell(stranger)
            await ended(stranger, "succeeded")
            assert time.monotonic() - began < 3, "it did not wait for the ones that hang"
            assert all(d.state == "pending" for d in await deliveries(world))


async def test_urls_and_events_are_checked_and_secrets_are_shown_once(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    for url in (
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/",
        "ftp://loja.example",
    ):
        refused = await owner.post(HOOKS, json={"url": url})
        assert (refused.status_code, refused.json()["code"]) == (422, "webhook-url-refused")
    unknown = await owner.post(HOOKS, json={"url": "https://a.example/x", "events": ["a.typo"]})
    assert unknown.json()["code"] == "unknown-event-type"
    assert "commerce.order_placed" in unknown.json()["known"]
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.post(HOOKS, json={"url": "https://a.example/x"})).status_code == 403
    assert (await owner.get(HOOKS)).json()["items"] == []

    hook = await subscribe(owner, "https://a.example/x")
    one = f"{HOOKS}/{hook['id']}"
    assert hook["secret"].startswith("whsec_")
    row = await endpoint(world)
    for text in ((await owner.get(HOOKS)).text, (await owner.get(one)).text, row.secret):
        assert hook["secret"] not in text
    assert (await owner.patch(one, json={"url": "https://10.0.0.1/"})).status_code == 422
    for call in (outsider.get(one), outsider.delete(one), outsider.post(f"{one}/rotate")):
        assert (await call).json()["code"] == "webhook-endpoint-not-found"
    after = await endpoint(world)
    assert (after.url, after.secret, after.is_enabled) == (row.url, row.secret, True)
    assert (await owner.get(f"{one}/deliveries?state=failed")).json()["items"] == []
    assert (await owner.delete(one)).status_code == 204
    assert (await owner.get(one)).status_code == 404


async def test_there_is_a_limit_of_endpoints(owner: httpx.AsyncClient) -> None:
    for number in range(rules.MAX_ENDPOINTS):
        await subscribe(owner, f"https://a.example/{number}")
    one_more = await owner.post(HOOKS, json={"url": "https://a.example/more"})
    assert one_more.json()["code"] == "too-many-webhook-endpoints"


def test_waits_follow_the_table_with_jitter() -> None:
    table = (5.0, 300.0)
    waits = {rules.wait_after(1, table, None) for _ in range(100)}
    assert len(waits) > 50
    assert all(wait is not None and 5.5 <= wait <= 6.0 for wait in waits)
    assert rules.wait_after(1, table, 900.0) == 900.0
    assert rules.wait_after(1, table, 10.0**9) == 24 * 3600
    assert rules.wait_after(3, table, None) is None


def _is_full(lanes: rules.Lanes, tenant: UUID, *, failing: bool = False) -> float:
    with pytest.raises(rules.Full) as full, lanes.place(tenant, new_id(), failing=failing):
        pass
    return full.value.wait_s


def test_lanes_leave_room_for_the_healthy() -> None:
    lanes = rules.Lanes(8)
    ours, theirs, failing = new_id(), new_id(), new_id()
    with lanes.place(ours, failing, failing=True):
        waits = []
        for _ in range(2):
            with pytest.raises(rules.Full) as full, lanes.place(ours, failing, failing=True):
                pass
            waits.append(full.value.wait_s)
        assert waits[1] > waits[0] + 10, "each that waits has its own turn"
        with lanes.place(theirs, new_id(), failing=True):
            _is_full(lanes, new_id(), failing=True)
            with lanes.place(ours, new_id(), failing=False):
                _is_full(lanes, ours)
                with lanes.place(theirs, new_id(), failing=False):
                    pass
    with lanes.place(ours, failing, failing=True), lanes.place(ours, new_id(), failing=False):
        pass
