"""The HMAC webhooks of other billing systems: signed, fresh, once, in any order."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.core.ids import new_id
from app.kernel.jobs.service import MAX_DELIVERIES
from tests.factories.tenants import World
from tests.kernel.queue_probe import system
from tests.saas.billing.till import HMAC, Event, Till

_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def status(till: Till, minute: int, **fields: Any) -> Event:
    return {
        "event_id": f"n-{new_id().hex}",
        "occurred_at": (_AT + timedelta(minutes=minute)).isoformat(),
        "tenant": till.world.tenant.slug,
        "plan_code": till.codes[0],
        "status": "active",
        **fields,
    }


def intake(till: Till, **fields: Any) -> Event:
    mark = new_id().hex
    return {
        "event_id": f"i-{mark}",
        "occurred_at": _AT.isoformat(),
        "slug": f"nova-{mark[-12:]}",
        "name": "Padaria Nova",
        "plan_code": till.codes[1],
        "status": "trialing",
        "owner": {"name": "Ana Souza", "email": f"Ana-{mark[-12:]}@padaria.com.br"},
        **fields,
    }


async def test_a_status_puts_the_tenant_on_its_plan(till: Till) -> None:
    notice = status(till, 0, current_period_end="2026-12-22T00:00:00-03:00")
    assert (await till.notice("status", notice)).json() == {"received": True}
    await till.process(notice["event_id"])
    state = await till.state()
    assert (state["plan_code"], state["subscription_status"]) == (till.codes[0], "active")
    assert state["modules"] == ["commerce"]
    assert state["current_period_end"] == datetime(2026, 12, 22, 3, tzinfo=UTC)
    late = status(till, 1, status="past_due")
    await till.notice("status", late, secret=HMAC[::-1])
    await till.process(late["event_id"])
    answer = await till.owner.get("/api/v1/admin/stores")
    assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")


async def test_every_order_of_notices_ends_in_the_newest(till: Till) -> None:
    life = [
        status(till, 0, status="trialing"),
        status(till, 1, plan_code=till.codes[1]),
        status(till, 2, status="past_due", plan_code=till.codes[1]),
        status(till, 2, status="unpaid", event_id=f"zz-{new_id().hex}"),
    ]
    ends = []
    for order in itertools.permutations(life):
        await till.forget()
        await system(
            till.app.runtime,
            "UPDATE billing_accounts SET notice_at = NULL, notice_id = NULL WHERE id = $1",
            till.world.tenant.id,
        )
        for notice in order:
            assert (await till.notice("status", notice)).status_code == 200
            await till.process(notice["event_id"])
            again = await till.notice("status", notice)
            assert (again.status_code, again.json()["code"]) == (409, "webhook-replayed")
        ends.append(await till.state())
    assert all(end == ends[0] for end in ends)
    assert (ends[0]["subscription_status"], ends[0]["plan_code"]) == ("unpaid", till.codes[0])


async def test_replays_and_forgeries_are_refused_and_change_nothing(till: Till) -> None:
    notice, before = status(till, 0), await till.state()
    for answer, code in (
        (await till.notice("status", notice, secret="x" * 40), 401),
        (await till.notice("status", notice, secret=""), 401),
        (await till.notice("status", notice, at=time.time() - 301), 401),
        (await till.notice("status", notice, at=time.time() + 330), 401),
        (await till.notice("status", {**notice, "status": "bankrupt"}), 422),
        (await till.notice("status", {**notice, "occurred_at": "2026-11-22T12:00:00"}), 422),
        (await till.notice("status", {**notice, "extra": 1}), 422),
        (await till.notice("status", b"{"), 422),
        (await till.notice("status", b" " * 70_000), 413),
        (await till.notice("intake", notice), 422),
    ):
        assert answer.status_code == code, answer.text
    assert await till.messages(notice["event_id"]) == []
    assert await till.state() == before
    answers = await asyncio.gather(*(till.notice("status", notice) for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 19
    assert await till.jobs() == 1


async def test_a_notice_about_nobody_or_no_plan_is_kept_for_a_person(till: Till) -> None:
    stray = status(till, 0, tenant="ninguem-com-este-nome")
    assert (await till.notice("status", stray)).status_code == 200
    [kept] = await till.messages(stray["event_id"])
    assert kept.state == "unclaimed"
    wrong, before = status(till, 0, plan_code="no-such-plan"), await till.state()
    await till.notice("status", wrong)
    with pytest.raises(Exception, match="no plan with this code"):
        await till.process(wrong["event_id"], delivery=MAX_DELIVERIES)
    [kept] = await till.messages(wrong["event_id"])
    assert kept.state == "dead"
    assert await till.state() | {"customer_id": None} == before | {"customer_id": None}


async def test_an_intake_makes_tenant_and_owner_once(
    till: Till, platform: World, root: httpx.AsyncClient
) -> None:
    notice = intake(till)
    assert (await till.notice("intake", notice)).status_code == 200
    await asyncio.gather(*(till.process(notice["event_id"]) for _ in range(4)))
    found = await root.get("/api/v1/admin/central/tenants", params={"query": notice["slug"]})
    [tenant] = found.json()["items"]
    assert (tenant["name"], tenant["plan_code"]) == ("Padaria Nova", till.codes[1])
    assert (tenant["subscription_status"], tenant["limits"]) == ("trialing", {"users": 2})
    people = await system(
        till.app.runtime,
        "SELECT u.email, u.name, u.role FROM users u JOIN tenants t ON t.id = u.tenant_id "
        "WHERE t.slug = $1",
        notice["slug"],
    )
    email = notice["owner"]["email"].lower()
    assert people == [{"email": email, "name": "Ana Souza", "role": "owner"}]
    [kept] = await till.messages(notice["event_id"])
    assert kept.state == "done"

    second = intake(
        till,
        slug=notice["slug"],
        status="active",
        plan_code=till.codes[0],
        occurred_at=(_AT + timedelta(days=1)).isoformat(),
    )
    await till.notice("intake", second)
    await till.process(second["event_id"])
    found = await root.get("/api/v1/admin/central/tenants", params={"query": notice["slug"]})
    [tenant] = found.json()["items"]
    assert (tenant["plan_code"], tenant["subscription_status"]) == (till.codes[0], "active")
    count = "SELECT count(*) FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE t.slug = $1"
    assert await system(till.app.runtime, count, notice["slug"]) == [{"count": 1}], (
        "no second owner"
    )


async def test_an_intake_with_an_unknown_plan_makes_no_tenant(till: Till, platform: World) -> None:
    notice = intake(till, plan_code="no-such-plan")
    await till.notice("intake", notice)
    with pytest.raises(Exception, match="no plan with this code"):
        await till.process(notice["event_id"])
    assert await till.app.runtime.tenants.fresh("slug", notice["slug"]) is None
