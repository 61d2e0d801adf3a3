"""Members subscribe, manage and look; nobody can pay twice, and refusals change nothing."""

from __future__ import annotations

import asyncio
import secrets

import httpx
import pytest

from app.kernel.tenants.service import ensure_tenant
from app.worker import build_runtime, close_runtime
from tests.factories.commerce import key
from tests.kernel.queue_probe import effects
from tests.saas.billing.till import Till, signed_in
from tests.saas.conftest import PLANS


async def test_from_the_price_list_to_a_plan_with_its_modules(
    till: Till, anonymous: httpx.AsyncClient
) -> None:
    await ensure_tenant(till.app.runtime, till.world.tenant.slug, modules=[])
    offers = (await anonymous.get("/api/v1/plans")).json()["items"]
    [offer] = [one for one in offers if one["code"] == till.codes[1]]
    page = await till.checkout(offer["stripe_price_ids"][0])
    assert page.status_code == 200
    assert page.json()["url"].endswith(page.json()["session_id"])
    assert (await till.owner.get("/api/v1/admin/stores")).status_code == 403
    other = build_runtime(till.app.runtime.settings)
    await other.bus.start()
    try:
        before = await other.tenants.find("slug", till.world.tenant.slug)
        form = {"action": "pay"}
        paid = await till.http.post(page.json()["url"], data=form)
        assert (paid.status_code, paid.headers["location"]) == (
            303,
            f"https://loja.example/ok?s={page.json()['session_id']}",
        )
        seen = (await till.owner.post("/api/v1/admin/billing/sync")).json()
        assert (seen["plan_code"], seen["subscription_status"]) == (till.codes[1], "active")
        assert seen["limits"] == {"users": 2}
        assert seen["publishable_key"] == "pk_test_largo"
        for _ in range(100):
            after = other.tenants.cached("slug", till.world.tenant.slug)
            if after is not before:
                break
            await asyncio.sleep(0.02)
        after = await other.tenants.find("slug", till.world.tenant.slug)
        assert after is not None
        assert after.modules == {"commerce", "conversations"}
    finally:
        await close_runtime(other)
    assert (await till.owner.get("/api/v1/admin/stores")).status_code == 200
    mine = (await till.owner.get("/api/v1/billing/subscription")).json()
    assert mine["has_access"]
    assert mine["provider_status"] == "active"
    assert mine["current_period_end"] is not None


async def test_modules_end_with_the_standing_and_come_back_with_it(till: Till) -> None:
    subscription, events = await till.subscribe()
    await till.deliver(*events)
    for step, status, works in (
        ("fail", "past_due", False),
        ("recover", "active", True),
        ("pause", "unpaid", False),
        ("trial", "trialing", True),
        ("cancel", "canceled", False),
    ):
        await till.deliver(*await till.live(subscription, step))
        mine = (await till.owner.get("/api/v1/billing/subscription")).json()
        assert (mine["subscription_status"], mine["has_access"]) == (status, works), step
        answer = await till.owner.get("/api/v1/admin/stores")
        assert answer.status_code == (200 if works else 403), step
        assert (await till.owner.get("/api/v1/admin/billing")).status_code == 200, "can still pay"
    assert [status for _, status in await till.changes()] == [
        "active", "past_due", "active", "unpaid", "trialing", "canceled",
    ][0:6]  # fmt: skip
    invoices = (await till.owner.get("/api/v1/admin/billing/invoices")).json()["items"]
    assert [(i["status"], i["due_cents"], i["paid_cents"]) for i in invoices] == [
        ("paid", 4900, 4900),
        ("paid", 4900, 4900),
    ]


async def test_what_the_console_gave_by_hand_stays_until_another_plan_is_bought(
    till: Till,
) -> None:
    subscription, events = await till.subscribe()
    await till.deliver(*events)
    await ensure_tenant(till.app.runtime, till.world.tenant.slug, limits={"users": 77})
    await till.deliver(*await till.live(subscription, "renew"))
    assert (await till.state())["limits"] == '{"users": 77}'
    await till.deliver(*await till.live(subscription, "change", price=till.prices[1]))
    assert (await till.state())["limits"] == '{"users": 2}'


async def test_one_page_is_open_at_a_time_and_a_retry_sees_the_same_one(till: Till) -> None:
    same = key()
    first = await till.checkout(**same)
    again = await till.checkout(**same)
    assert again.json() == first.json()
    second = await till.checkout(**key())
    assert second.json()["session_id"] != first.json()["session_id"]
    closed = await till.http.post(
        f"{till.sandbox_url}/stripe/life/{first.json()['session_id']}/pay", json={}
    )
    assert closed.status_code == 400, "the first page was closed"
    answers = await asyncio.gather(*(till.checkout() for _ in range(4)))
    assert {a.status_code for a in answers} <= {200, 409}
    opened = [a.json()["session_id"] for a in answers if a.status_code == 200]
    payable = [
        id_
        for id_ in [second.json()["session_id"], *opened]
        if (await till.http.post(f"{till.sandbox_url}/stripe/life/{id_}/pay", json={})).status_code
        == 200
    ]
    assert len(payable) == 1
    listed = await till.http.get(
        f"{till.sandbox_url}/_sandbox/requests",
        params={"vendor": "stripe", "contains": till.world.tenant.name},
    )
    assert len({e["answer"]["id"] for e in listed.json()}) == 1, "one customer"


async def test_a_page_that_was_paid_meanwhile_is_noticed_before_another_opens(till: Till) -> None:
    _, events = await till.subscribe()
    assert events, "none of them delivered"
    answer = await till.checkout()
    assert (answer.status_code, answer.json()["code"]) == (409, "already-subscribed")
    assert (await till.state())["subscription_status"] == "active"
    await till.forget()
    await till.deliver(*events)
    answer = await till.checkout(till.prices[1])
    assert (answer.status_code, answer.json()["code"]) == (409, "already-subscribed")


async def test_after_an_end_one_can_subscribe_again(till: Till) -> None:
    subscription, events = await till.subscribe()
    await till.deliver(*events, *await till.live(subscription, "cancel"))
    _, events = await till.subscribe(till.prices[1])
    await till.deliver(*events)
    state = await till.state()
    assert (state["plan_code"], state["subscription_status"]) == (till.codes[1], "active")


async def test_a_declined_card_takes_nothing_away(till: Till) -> None:
    before = await till.state()
    page = await till.checkout()
    await till.deliver(*await till.live(page.json()["session_id"], "decline"))
    after = await till.state()
    assert after["subscription_status"] == before["subscription_status"] == "active"
    assert after["modules"] == before["modules"]
    assert (after["status"], after["plan_code"]) == (None, None)


async def test_the_portal_changes_the_plan(till: Till) -> None:
    body = {"return_url": "https://loja.example/planos"}
    answer = await till.owner.post("/api/v1/billing/create-portal-session", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "no-billing-account")
    assert (await till.owner.post("/api/v1/admin/billing/sync")).json()["code"] == (
        "no-billing-account"
    )
    subscription, events = await till.subscribe()
    await till.deliver(*events)
    answer = await till.owner.post("/api/v1/billing/create-portal-session", json=body)
    url = answer.json()["url"]
    assert await effects(till.world, "billing.portal_opened") == [{}], "not of a refused one"
    page = await till.http.get(url)
    assert page.status_code == 200
    assert subscription in page.text
    form = {"subscription": subscription, "step": "change", "price": till.prices[1]}
    assert (await till.http.post(url, data=form)).status_code == 303
    seen = (await till.owner.post("/api/v1/admin/billing/sync")).json()
    assert seen["plan_code"] == till.codes[1]


async def test_prices_that_cannot_be_bought(till: Till, root: httpx.AsyncClient) -> None:
    before = await till.state()
    body = {"stripe_price_ids": [f"price_{secrets.token_hex(6)}", till.prices[0]]}
    assert (await root.patch(f"{PLANS}/{till.codes[0]}", json=body)).status_code == 200
    for price in (till.prices[0], "price_of_nobody"):
        answer = await till.checkout(price)
        assert (answer.status_code, answer.json()["code"]) == (409, "price-not-offered"), price
    await root.patch(f"{PLANS}/{till.codes[1]}", json={"is_active": False})
    assert (await till.checkout(till.prices[1])).json()["code"] == "price-not-offered"
    assert (await till.checkout("prod_x")).status_code == 422
    assert await till.state() == before


async def test_a_price_buys_one_plan(till: Till, root: httpx.AsyncClient) -> None:
    answer = await root.patch(
        f"{PLANS}/{till.codes[1]}", json={"stripe_price_ids": [till.prices[0]]}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-price-taken")
    listed = (await root.get(f"{PLANS}/{till.codes[1]}")).json()
    assert listed["stripe_price_ids"] == [till.prices[1]]
    same = {"stripe_price_ids": [till.prices[1], "price_the_year"]}
    assert (await root.patch(f"{PLANS}/{till.codes[1]}", json=same)).status_code == 200


async def test_stripe_down_is_told_and_a_lost_answer_buys_nothing_twice(till: Till) -> None:
    knobs = f"{till.sandbox_url}/_sandbox/stripe/knobs"
    await till.http.put(knobs, json={"error": {"code": "http-503"}})
    answer = await till.checkout()
    assert (answer.status_code, answer.json()["code"]) == (502, "billing-provider-failed")
    assert "sk_test" not in answer.text
    await till.http.put(knobs, json={"drop_answer": 1})
    assert (await till.checkout()).status_code == 200, "the library repeats with its key"
    listed = await till.http.get(
        f"{till.sandbox_url}/_sandbox/requests",
        params={"vendor": "stripe", "contains": till.world.tenant.name},
    )
    ids = {e["answer"]["id"] for e in listed.json() if e["status"] == 200}
    assert len(ids) == 1


BUY = {
    "price_id": "price_x",
    "success_url": "https://a.example",
    "cancel_url": "https://a.example",
}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/checkout/create-session", BUY),
        ("POST", "/api/v1/billing/create-portal-session", {"return_url": "https://a.example"}),
        ("POST", "/api/v1/admin/billing/sync", None),
    ],
)
async def test_only_who_may_pay_pays(
    till: Till, method: str, path: str, body: dict[str, str] | None
) -> None:
    from_manager = await till.world.member("manager")
    headers = {"Authorization": f"Bearer {from_manager.token}"}
    answer = await till.owner.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await till.owner.get("/api/v1/admin/billing", headers=headers)).status_code == 200
    agent = await till.world.member("agent")
    headers = {"Authorization": f"Bearer {agent.token}"}
    assert (await till.owner.get("/api/v1/admin/billing", headers=headers)).status_code == 403
    assert (await till.owner.get("/api/v1/billing/subscription", headers=headers)).is_success


async def test_addresses_that_are_none(till: Till) -> None:
    for url in ("javascript:alert(1)", "https://a b", "ftp://x.example"):
        answer = await till.owner.post(
            "/api/v1/billing/create-portal-session", json={"return_url": url}
        )
        assert answer.status_code == 422, url


async def test_another_tenants_invoices_are_not_shown(till: Till, another: Till) -> None:
    _, events = await till.subscribe()
    await till.deliver(*events)
    async with signed_in(another.app, another.world) as owner:
        assert (await owner.get("/api/v1/admin/billing/invoices")).json()["items"] == []
        assert (await owner.get("/api/v1/admin/billing")).json()["provider_status"] is None
