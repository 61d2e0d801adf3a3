"""However a subscription's notices arrive, the tenant ends as Stripe says it is."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from app.contracts.gateways.billing import BillingGateway
from app.core.clock import now
from app.kernel.tenants.service import ensure_tenant
from app.kernel.work import Actor, platform_work
from app.saas.billing.jobs import RECONCILE, reconcile
from app.saas.billing.mirror import Mirror, begin_look
from app.saas.billing.service import look_again
from tests.factories.tenants import make_world
from tests.kernel.queue_probe import effects, system, working
from tests.saas.billing.till import Event, Till, signed_in
from tests.sandbox.server import until

DOUBLED = "billing.subscription_doubled"
STEPS = ("renew", "fail", "recover", "change", "cancel_later", "resume", "unpaid", "trial", "pause")


async def test_every_order_and_duplication_of_a_life_ends_in_the_same_state(till: Till) -> None:
    subscription, events = await till.subscribe()
    life = [event for event in events if not event["type"].startswith("invoice.")]
    life += await till.live(subscription, "change", price=till.prices[1])
    life += (await till.live(subscription, "fail"))[:1]
    life += await till.live(subscription, "cancel")
    assert [event["type"] for event in life] == [
        "customer.subscription.created",
        "checkout.session.completed",
        "customer.subscription.updated",
        "invoice.payment_failed",
        "customer.subscription.deleted",
    ]
    ends: list[dict[str, Any]] = []
    dice = random.Random(20)
    for order in itertools.permutations(life):
        await till.forget()
        doubled = [*order]
        for again in dice.sample(order, 2):
            doubled.insert(dice.randrange(len(doubled) + 1), again)
        await till.deliver(*doubled)
        ends.append(await till.state())
        assert len(await till.messages()) == len(life)
    assert len(ends) == 120
    first = ends[0]
    assert all(end == first for end in ends)
    assert (first["subscription_status"], first["plan_code"]) == ("canceled", till.codes[1])
    assert [invoice[1] for invoice in orjson.loads(first["invoices"])] == ["open"]


async def test_notices_that_overtake_each_other_and_their_answers_end_in_the_truth(
    till: Till, root: httpx.AsyncClient
) -> None:
    """Life goes on at Stripe while notices, duplicated, race: their fetched answers, too."""
    await till.http.put(f"{till.sandbox_url}/_sandbox/stripe/knobs", json={"late_ms": 400})
    dice = random.Random(7)
    worlds = [await make_world(till.app.runtime) for _ in range(6)]
    await asyncio.gather(*(_race(till, world, random.Random(dice.random())) for world in worlds))


async def test_an_answer_that_comes_last_and_is_older_shows_nothing(till: Till) -> None:
    subscription, events = await till.subscribe()
    await till.deliver(*events)
    runtime, tenant, actor = till.app.runtime, till.world.tenant, Actor("system", "tests")
    async with till.world.work() as work:
        gateway = work.port(BillingGateway)
    slow = await begin_look(runtime, tenant, actor)
    assert slow is not None
    stale = await gateway.subscriptions(slow.customer_id)
    [*_, ended] = await till.live(subscription, "cancel")
    await till.deliver(ended)
    shown = await till.state()
    assert shown["subscription_status"] == "canceled"
    async with platform_work(runtime, tenant, actor) as work:
        await Mirror(work).show(slow, stale)
    assert await till.state() == shown


async def test_a_second_subscription_that_is_charged_is_told_once(till: Till) -> None:
    """Made at the vendor's own desk: ours refuses to sell a second one."""
    _, events = await till.subscribe()
    await till.deliver(*events)
    runtime, tenant, actor = till.app.runtime, till.world.tenant, Actor("system", "tests")
    async with till.world.work() as work:
        gateway = work.port(BillingGateway)

    async def show(*more: tuple[str, str]) -> list[list[str]]:
        look = await begin_look(runtime, tenant, actor)
        assert look is not None
        [real] = await gateway.subscriptions(look.customer_id)
        older = real.created_at - timedelta(days=1)
        others = [replace(real, id=i, status=s, created_at=older) for i, s in more]
        async with platform_work(runtime, tenant, actor) as work:
            await Mirror(work).show(look, [*others, real])
        shown = (await till.owner.get("/api/v1/admin/billing")).json()
        assert shown["extra_subscriptions"] == sorted(i for i, s in more if s != "canceled")
        assert (shown["plan_code"], shown["provider_status"]) == (till.codes[0], "active")
        return [e["subscription_ids"] for e in await effects(till.world, DOUBLED)]

    assert await show(("sub_old", "canceled")) == []
    assert await show(("sub_b", "past_due")) == [["sub_b"]]
    assert await show(("sub_b", "active")) == [["sub_b"]], "told once"
    both = [["sub_b"], ["sub_a", "sub_b"]]
    assert await show(("sub_b", "active"), ("sub_a", "trialing")) == both
    assert await show(("sub_a", "trialing")) == both, "one fewer is no news"
    assert await show() == both


async def _race(till: Till, world: Any, dice: random.Random) -> None:
    async with signed_in(till.app, world) as owner:
        mine = replace(till, world=world, owner=owner)
        subscription, events = await mine.subscribe()
        running: list[Awaitable[None]] = []
        for _ in range(8):
            running += _scatter(mine, events, dice)
            await asyncio.sleep(dice.uniform(0, 0.02))
            price = dice.choice(mine.prices)
            events = await mine.live(subscription, dice.choice(STEPS), price=price)
        running += _scatter(mine, events, dice)
        await asyncio.gather(*running)
        truth = await mine.http.get(
            f"{mine.sandbox_url}/stripe/v1/subscriptions/{subscription}",
            headers={"authorization": "Bearer sk_test_largo"},
        )
        real, shown = truth.json(), await mine.state()
        ours = {"paused": "unpaid"}.get(real["status"], real["status"])
        price = real["items"]["data"][0]["price"]["id"]
        assert (shown["status"], shown["price_id"]) == (real["status"], price)
        assert shown["is_cancelling"] == real["cancel_at_period_end"]
        assert shown["subscription_status"] == ours
        assert shown["plan_code"] == mine.codes[mine.prices.index(price)]
        assert orjson.loads(shown["limits"]) == {"users": 1 + mine.prices.index(price)}
        for provider_id, status, *_ in orjson.loads(shown["invoices"] or b"[]"):
            kept = await mine.http.get(
                f"{mine.sandbox_url}/stripe/v1/invoices/{provider_id}",
                headers={"authorization": "Bearer sk_test_largo"},
            )
            assert kept.json()["status"] == status


def _scatter(till: Till, events: list[Event], dice: random.Random) -> list[asyncio.Task[None]]:
    async def later(event: Event, wait: float) -> None:
        await asyncio.sleep(wait)
        answer = await till.post(event)
        assert answer.status_code == 200, answer.text
        await till.process(event["id"])

    return [
        asyncio.create_task(later(event, dice.uniform(0, 0.05)))
        for event in events
        for _ in range(dice.choice((1, 1, 2)))
    ]


async def test_one_event_in_parallel_is_one_effect(till: Till) -> None:
    _, events = await till.subscribe()
    answers = await asyncio.gather(*(till.post(events[0]) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await till.messages()) == 1
    assert await till.jobs() == 1
    assert await till.changes() == []
    await asyncio.gather(*(till.process(events[0]["id"]) for _ in range(20)))
    assert await till.changes() == [(till.codes[0], "active")]
    [message] = await till.messages()
    assert (message.state, message.last_error) == ("done", None)


@pytest.mark.parametrize(
    "type_", ["invoice.payment_failed", "customer.subscription.trial_will_end"]
)
async def test_what_is_told_once_is_told_once(till: Till, type_: str) -> None:
    subscription, events = await till.subscribe()
    await till.deliver(*events)
    step = "fail" if type_.startswith("invoice") else "trial_will_end"
    [event] = [e for e in await till.live(subscription, step) if e["type"] == type_]
    answers = await asyncio.gather(*(till.post(event) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    await asyncio.gather(*(till.process(event["id"]) for _ in range(5)))
    async with till.world.work() as work:
        name = {
            "invoice.payment_failed": "billing.invoice_payment_failed",
            "customer.subscription.trial_will_end": "billing.trial_ending",
        }[type_]
        told = await (await work.raw()).fetchval(
            "SELECT count(*) FROM audit_entries WHERE action = $1", name
        )
    assert told == 1


async def test_an_old_subscriptions_end_does_not_end_the_new_one(till: Till) -> None:
    old, events = await till.subscribe()
    await till.deliver(*events)
    ended = await till.live(old, "cancel")
    await till.deliver(*ended)
    assert (await till.state())["subscription_status"] == "canceled"
    new, events = await till.subscribe(till.prices[1])
    late = await till.live(old, "trial_will_end")
    await till.deliver(*events, *late)
    state = await till.state()
    assert (state["subscription_id"], state["subscription_status"]) == (new, "active")
    assert state["plan_code"] == till.codes[1]


async def test_from_the_first_subscription_on_stripe_says_when_a_trial_is_over(till: Till) -> None:
    runtime, slug = till.app.runtime, till.world.tenant.slug
    over = now() - timedelta(minutes=1)
    await ensure_tenant(runtime, slug, subscription_status="trialing", trial_ends_at=over)
    shown = (await till.owner.get("/api/v1/admin/billing")).json()
    assert (shown["subscription_status"], shown["has_access"]) == ("trialing", False)
    subscription, events = await till.subscribe()
    await till.deliver(*events, *await till.live(subscription, "trial"))
    shown = (await till.owner.get("/api/v1/admin/billing")).json()
    assert (shown["subscription_status"], shown["has_access"]) == ("trialing", True)
    context = await runtime.tenants.fresh("slug", slug)
    assert context is not None
    assert context.modules == {"commerce"}


async def test_what_no_notice_told_is_seen_within_a_day(till: Till) -> None:
    """Every notice was lost: the account is looked at again, by a real worker."""
    subscription, events = await till.subscribe()
    assert events, "and none delivered"
    runtime = till.app.runtime
    runtime.caches.pop("billing.look_at", None)
    await look_again(runtime)
    assert await _looks(till) == 0, "it was made a moment ago"
    await system(
        runtime,
        "UPDATE billing_accounts SET created_at = now() - interval '25 hours' WHERE id = $1",
        till.world.tenant.id,
    )
    assert await look_again(runtime) == 0, "once an hour"
    runtime.caches.pop("billing.look_at")
    assert await look_again(runtime) >= 1
    assert await _looks(till) == 1

    async def seen() -> bool:
        return bool((await till.state())["subscription_status"] == "active")

    await ensure_tenant(runtime, till.world.tenant.slug, subscription_status="unpaid")
    async with working(runtime, {RECONCILE: reconcile}):
        await until(seen, 20)
    state = await till.state()
    assert (state["subscription_id"], state["plan_code"]) == (subscription, till.codes[0])


async def _looks(till: Till) -> int:
    rows = await system(
        till.app.runtime,
        "SELECT convert_from(payload, 'UTF8') AS p FROM pgqueuer WHERE entrypoint = $1",
        RECONCILE,
    )
    return sum(str(till.world.tenant.id) in row["p"] for row in rows)
