"""What may come in: signatures, clocks, modes, sizes; and what becomes of what cannot be done."""

from __future__ import annotations

import json
import time

import httpx
import pytest
import stripe
from pydantic import SecretStr

from app.core.ids import new_id
from app.kernel.inbox.problems import WebhookNotConfigured, WebhookSignatureInvalid
from app.kernel.inbox.rules import signed, verify_timed
from app.kernel.jobs.service import MAX_DELIVERIES
from app.kernel.tenants.service import ensure_tenant
from app.main import create_app
from tests.conftest import serving
from tests.factories.tenants import World
from tests.kernel.queue_probe import system
from tests.saas.billing.till import HMAC, WHSEC, Till, made_up
from tests.saas.conftest import PLANS

INBOX = "/api/v1/admin/central/inbox-messages"


def test_signatures_are_judged_as_the_official_library_does() -> None:
    body, at = b'{"id": "evt_1"}', int(time.time())
    ours = signed(WHSEC, at, body)
    second = f"t={at},v1={'0' * 64},{ours.partition(',')[2]}"
    for header in (ours, second, f"{ours},v0=abc"):
        assert stripe.WebhookSignature.verify_header(body.decode(), header, WHSEC, 300)
        verify_timed(header, body, [SecretStr(HMAC), SecretStr(WHSEC)], at)
    edge = [signed(WHSEC, at + shift, body) for shift in (-300, 300)]
    for header in edge:
        verify_timed(header, body, [SecretStr(WHSEC)], at)
    for refused in (
        None, "", "t=,v1=", f"t={at}", ours.replace("v1=", "v0="), ours.replace(f"t={at}", "t=x"),
        ours.replace(f"t={at}", f"t=0{at}"), f"{ours}0", f"t={at},v1=é", "t=" + "9" * 5000,
        signed("another-secret-of-somebody", at, body), signed(WHSEC, at, body + b" "),
        signed(WHSEC, at - 301, body), signed(WHSEC, at + 301, body),
    ):  # fmt: skip
        with pytest.raises(WebhookSignatureInvalid):
            verify_timed(refused, body, [SecretStr(WHSEC)], at)
    with pytest.raises(WebhookNotConfigured):
        verify_timed(signed("", at, body), body, [], at)


async def test_nothing_unverified_is_stored(till: Till) -> None:
    event = made_up("customer.subscription.updated", {"customer": "cus_x"})
    raw = json.dumps(event).encode()
    for answer, status, code in (
        (
            await till.post(event, secret="whsec_wrong_one_of_them"),
            401,
            "webhook-signature-invalid",
        ),
        (await till.post(event, at=time.time() - 310), 401, "webhook-signature-invalid"),
        (await till.post(event, at=time.time() + 310), 401, "webhook-signature-invalid"),
        (await till.post(event | {"livemode": True}), 403, "webhook-wrong-mode"),
        (await till.post(b"not json"), 400, "webhook-body-invalid"),
        (await till.post(b"[]"), 400, "webhook-body-invalid"),
        (await till.post(b'{"id": 1}'), 400, "webhook-body-invalid"),
        (await till.post(raw + b" " * 1_000_000), 413, "too-large"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await till.messages(event["id"]) == []
    assert (await till.post(event, secret="whsec_the_next_one_of_them")).status_code == 200


async def test_live_refuses_test_notices_and_no_secret_means_no_webhook(till: Till) -> None:
    event = made_up("customer.subscription.updated", {"customer": "cus_x"})
    for update, status, code in (
        ({"stripe_secret_key": SecretStr("sk_live_x")}, 403, "webhook-wrong-mode"),
        ({"stripe_webhook_secret": ()}, 404, "webhook-not-configured"),
    ):
        config = till.app.runtime.settings.model_copy(update=update)
        async with serving(create_app(config)) as app:
            other = Till(app, till.world, till.owner, till.http, till.sandbox_url, (), ())
            answer = await other.post(event)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            if status == 403:
                assert (await other.post(event | {"livemode": True})).status_code == 200
    [kept] = await till.messages(event["id"])
    assert json.loads(kept.body)["livemode"] is True


async def test_a_stranger_is_kept_unclaimed_and_claimed_by_a_replay(
    till: Till, root: httpx.AsyncClient
) -> None:
    subscription, events = await till.subscribe()
    await till.forget()
    event = events[-1]
    subject = event["data"]["object"]
    stray = made_up(
        "customer.subscription.updated",
        {"id": subscription, "customer": "cus_of_somebody_else", "metadata": {}},
    )
    assert (await till.post(stray)).status_code == 200
    [kept] = await till.messages(stray["id"])
    assert (kept.state, kept.tenant_id) == ("unclaimed", None)
    listed = (await root.get(INBOX, params={"state": "unclaimed"})).json()["items"]
    assert str(kept.id) in [one["id"] for one in listed]
    answer = await root.post(f"{INBOX}/{kept.id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "inbox-tenant-unknown")
    await system(
        till.app.runtime,
        "UPDATE billing_accounts SET customer_id = 'cus_of_somebody_else' WHERE id = $1",
        till.world.tenant.id,
    )
    answer = await root.post(f"{INBOX}/{kept.id}/replay")
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert answer.json()["tenant_id"] == str(till.world.tenant.id)
    await till.process(stray["id"])
    [kept] = await till.messages(stray["id"])
    assert (kept.state, subject["object"]) == ("done", "checkout.session")


async def test_connected_accounts_and_unknown_tenants_are_nobodys(till: Till) -> None:
    subject = {"customer": "cus_x", "metadata": {"tenant_id": str(new_id())}}
    mine = {"customer": "cus_x", "metadata": {"tenant_id": str(till.world.tenant.id)}}
    for event in (
        made_up("customer.subscription.updated", subject),
        made_up("customer.subscription.updated", mine, account="acct_of_another"),
        made_up("customer.subscription.updated", {"metadata": {"tenant_id": "no uuid"}}),
    ):
        assert (await till.post(event)).status_code == 200
        [kept] = await till.messages(event["id"])
        assert kept.state == "unclaimed"
    assert await till.messages() == []


async def test_an_unknown_price_is_a_dead_letter_until_a_plan_has_it(
    till: Till, root: httpx.AsyncClient, platform: World
) -> None:
    subscription, events = await till.subscribe()
    gone: dict[str, list[str]] = {"stripe_price_ids": []}
    assert (await root.patch(f"{PLANS}/{till.codes[0]}", json=gone)).status_code == 200
    before, event = await till.state(), events[-1]
    assert (await till.post(event)).status_code == 200
    for delivery in (1, MAX_DELIVERIES):
        with pytest.raises(Exception, match="belongs to no plan"):
            await till.process(event["id"], delivery=delivery)
    after = await till.state()
    assert after == before
    listed = await root.get(INBOX, params={"state": "dead", "tenant_id": str(till.world.tenant.id)})
    [dead] = listed.json()["items"]
    assert (dead["attempts"], dead["provider"]) == (2, "stripe")
    assert till.prices[0] in dead["last_error"]
    detail = (await root.get(f"{INBOX}/{dead['id']}")).json()
    assert subscription in detail["body"]
    assert WHSEC not in json.dumps(detail)
    back = {"stripe_price_ids": [till.prices[0]]}
    assert (await root.patch(f"{PLANS}/{till.codes[0]}", json=back)).status_code == 200
    assert (await root.post(f"{INBOX}/{dead['id']}/replay")).status_code == 200
    answer = await root.post(f"{INBOX}/{dead['id']}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "inbox-message-not-replayable")
    assert await till.jobs() == 2
    await till.process(event["id"])
    assert (await till.state())["plan_code"] == till.codes[0]
    assert (await till.messages(event["id"]))[0].state == "done"
    async with platform.work() as work:
        trail = "SELECT count(*) FROM audit_entries WHERE action = 'inbox_message.replayed'"
        assert await (await work.raw()).fetchval(trail) == 1


async def test_while_stripe_is_down_notices_wait_without_dying(till: Till) -> None:
    _, events = await till.subscribe()
    knobs = f"{till.sandbox_url}/_sandbox/stripe/knobs"
    await till.http.put(knobs, json={"error": {"code": "500"}})
    await till.post(events[-1])
    with pytest.raises(Exception, match="again in 30"):
        await till.process(events[-1]["id"])
    [kept] = await till.messages()
    assert kept.state == "pending"
    assert "api_error" in (kept.last_error or "") or "APIError" in (kept.last_error or "")
    await till.http.put(knobs, json={})
    await till.process(events[-1]["id"])
    assert (await till.state())["subscription_status"] == "active"


async def test_events_of_other_kinds_are_kept_and_done(till: Till) -> None:
    await till.checkout()
    customer = (await till.state())["customer_id"]
    event = made_up("customer.updated", {"customer": customer})
    await till.deliver(event)
    [kept] = await till.messages()
    assert (kept.state, kept.type) == ("done", "customer.updated")


async def test_a_suspended_tenant_can_still_settle(till: Till) -> None:
    _, events = await till.subscribe()
    await ensure_tenant(till.app.runtime, till.world.tenant.slug, status="suspended")
    await till.deliver(*events)
    assert (await till.state())["subscription_status"] == "active"


@pytest.mark.parametrize("tail", ["", "/{id}", "/{id}/replay"])
async def test_the_inbox_is_the_platforms(till: Till, root: httpx.AsyncClient, tail: str) -> None:
    method = "POST" if tail.endswith("replay") else "GET"
    path = f"{INBOX}{tail.format(id=new_id())}"
    answer = await till.owner.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (403, "system-admin-only")
    if tail:
        answer = await root.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "inbox-message-not-found")
