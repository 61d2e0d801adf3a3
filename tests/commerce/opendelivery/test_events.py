"""Credentials, tokens and events of Open Delivery: who sees what, and that nothing is lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from app.commerce.opendelivery.models import OpenDeliveryAck, OpenDeliveryCredential
from app.commerce.orders.rules import OrderStatus
from app.commerce.orders.service import OrderService
from app.core.clock import now
from app.kernel.apikeys.models import ApiKey
from app.main import Largo
from tests.commerce.opendelivery.conftest import Place
from tests.commerce.opendelivery.pos import (
    CREDENTIALS,
    ROOT,
    Pos,
    asked,
    connected,
    credential,
)
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

TOKEN = f"{ROOT}/oauth/token"


@pytest.fixture
async def other_owner(app: Largo, stranger: World) -> Any:
    headers = {"X-Tenant": stranger.tenant.slug, "Authorization": f"Bearer {stranger.owner.token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=headers
    ) as client:
        yield client


async def test_events_come_until_they_are_acknowledged(pos: Pos, place: Place) -> None:
    ids = [(await place())["id"] for _ in range(3)]
    first = await pos.poll()
    assert [e["orderId"] for e in first] == ids, "in the order they happened"
    assert await pos.poll() == first, "nothing is lost with an answer that did not arrive"
    await pos.acknowledge(first[1])
    assert [e["orderId"] for e in await pos.poll()] == [ids[0], ids[2]]
    await pos.acknowledge(first[1], first[0], first[0])
    assert [e["orderId"] for e in await pos.poll()] == [ids[2]]
    unknown = first[2] | {"eventId": ids[0]}
    await pos.acknowledge(unknown)
    assert len(await pos.poll()) == 1, "another's id takes nothing out"


async def test_two_pollers_at_once_lose_nothing(
    app: Largo, owner: httpx.AsyncClient, pos: Pos, place: Place
) -> None:
    ids = {(await place())["id"] for _ in range(4)}

    async def drained() -> set[str]:
        seen = set()
        while found := await pos.poll():
            seen |= {e["orderId"] for e in found}
            await pos.acknowledge(*reversed(found))
        return seen

    one, two = await asyncio.gather(drained(), drained())
    assert one | two == ids
    assert await pos.poll() == []
    # What one credential has taken, another one has not: it begins when it was made.
    async with connected(app, await credential(owner)) as late:
        assert await late.poll() == []
        newest = (await place())["id"]
        assert [e["orderId"] for e in await late.poll()] == [newest]
        assert [e["orderId"] for e in await pos.poll()] == [newest]
        await late.acknowledge(*await late.poll())
        assert len(await pos.poll()) == 1


async def test_an_event_committed_late_is_not_passed_over(
    pos: Pos, place: Place, shop: Shop
) -> None:
    """It is older than what was acknowledged meanwhile: no place may have moved beyond it."""
    order_id = (await place())["id"]
    await pos.kinds()
    async with shop.world.work() as slow:
        await OrderService(slow).step(UUID(order_id), OrderStatus.CONFIRMED, None, None)
        newer = (await place())["id"]
        (early,) = await pos.poll()
        assert early["orderId"] == newer
        await pos.acknowledge(early)
        assert await pos.poll() == []
    (late,) = await pos.poll()
    assert (late["orderId"], late["eventType"]) == (order_id, "CONFIRMED")
    assert late["eventId"] < early["eventId"]


async def days_pass(shop: Shop, days: int) -> None:
    """As if all of it had happened so much earlier; ids tell the time, too."""
    for table, column in (
        ("order_status_changes", "id"),
        ("order_status_changes", "created_at"),
        ("open_delivery_acks", "event_id"),
        ("open_delivery_credentials", "events_from"),
    ):
        earlier = f"{column} - interval '{days} days'"
        if column.endswith("id"):
            plain = f"replace({column}::text, '-', '')"
            millis = f"('x' || left({plain}, 12))::bit(48)::bigint - {days * 86_400_000}"
            earlier = f"(lpad(to_hex({millis}), 12, '0') || substr({plain}, 13))::uuid"
        async with shop.world.runtime.database.system_driver() as driver:
            await driver.execute(
                f"UPDATE {table} SET {column} = {earlier} WHERE tenant_id = $1",  # noqa: S608
                shop.world.tenant.id,
            )


async def kept(shop: Shop) -> tuple[timedelta, int]:
    """How old the credential's place is, and how many acknowledgments there are."""
    async with shop.world.work() as work:
        since = await work.session.scalar(select(OpenDeliveryCredential.events_from))
        acks = await work.session.scalar(select(func.count()).select_from(OpenDeliveryAck))
    assert since is not None
    return now() - since, acks or 0


async def test_acknowledgments_do_not_pile_up(pos: Pos, place: Place, shop: Shop) -> None:
    """The place moves up to what still waits, and what is behind it is forgotten."""
    ids = [(await place())["id"] for _ in range(3)]
    await pos.acknowledge((await pos.poll())[0])
    await days_pass(shop, 2)
    waiting = await pos.poll()
    assert [e["orderId"] for e in waiting] == ids[1:]
    await pos.acknowledge(waiting[0])
    age, acks = await kept(shop)
    assert (age > timedelta(days=1), acks > 0) == (True, True), "one still waits there"
    assert [e["orderId"] for e in await pos.poll()] == ids[2:]
    await pos.acknowledge(waiting[1])
    age, acks = await kept(shop)
    assert (age < timedelta(minutes=11), acks) == (True, 0)
    assert await pos.poll() == [], "what was forgotten does not come again"
    newest = (await place())["id"]
    assert [e["orderId"] for e in await pos.poll()] == [newest]


async def test_what_nobody_takes_for_a_week_is_no_news(pos: Pos, place: Place, shop: Shop) -> None:
    """Else one event would make every later poll a walk through years."""
    await place()
    await days_pass(shop, 5)
    newer = (await place())["id"]
    assert len(await pos.poll()) == 2
    await days_pass(shop, 3)
    (left,) = await pos.poll()
    assert left["orderId"] == newer
    await pos.acknowledge(left)
    age, acks = await kept(shop)
    assert (age < timedelta(minutes=11), acks) == (True, 0)


async def test_only_the_kinds_that_are_asked_for(pos: Pos, place: Place) -> None:
    """Others are acknowledged, as the standard has it."""
    order_id = (await place())["id"]
    await pos.told(order_id, "confirm")
    found = await pos.poll(params={"eventType": ["CONFIRMED", "CANCELLED"]})
    assert [e["eventType"] for e in found] == ["CONFIRMED"]
    assert await pos.kinds() == ["CONFIRMED"]
    wrong = await pos.http.get(f"{ROOT}/v1/events:polling", params={"eventType": "NEWS"})
    assert (wrong.status_code, wrong.json()["status"]) == (422, 422)


async def test_a_credential_sees_its_stores_alone(
    app: Largo, owner: httpx.AsyncClient, pos: Pos, place: Place, world: World, shop: Shop
) -> None:
    branch = await make_shop(world, slug="bairro", name="Loja Bairro")
    await branch.product()
    async with connected(app, await credential(owner, branch.store_id)) as narrow:
        centre, near = (await place())["id"], (await place(branch))["id"]
        assert [e["orderId"] for e in await narrow.poll()] == [near]
        assert [e["orderId"] for e in await pos.poll()] == [centre, near]
        only = {"x-polling-merchants": f"{branch.store_id}, nobody"}
        assert [e["orderId"] for e in await pos.poll(headers=only)] == [near]
        beyond = {"x-polling-merchants": str(shop.store_id)}
        assert await narrow.poll(headers=beyond) == []
        assert (await narrow.http.get(f"{ROOT}/v1/orders/{centre}")).status_code == 404
        for call in ("confirm", "preparing", "dispatch"):
            assert (await narrow.tell(centre, call)).status_code == 404
        why = {"reason": "x", "code": "RISK_AREA", "mode": "AUTO"}
        assert (await narrow.tell(centre, "requestCancellation", why)).status_code == 404
        assert (await pos.detail(centre))["lastEvent"] == "CREATED", "nothing happened to it"
        await narrow.told(near, "confirm")


async def test_a_credential_sees_its_tenant_alone(
    app: Largo, other_owner: httpx.AsyncClient, owner: httpx.AsyncClient, place: Place, pos: Pos
) -> None:
    order_id = (await place())["id"]
    known = await credential(other_owner)
    async with connected(app, known) as theirs:
        assert await theirs.poll() == []
        assert (await theirs.http.get(f"{ROOT}/v1/orders/{order_id}")).status_code == 404
        assert (await theirs.tell(order_id, "confirm")).status_code == 404
        await theirs.acknowledge(*await pos.poll())
        assert len(await pos.poll()) == 1, "nobody takes another's events out"
        # Nor does the token open anything else of ours, or pass for another tenant's.
        for path in ("/api/v1/admin/orders", "/api/v1/admin/api-keys", CREDENTIALS):
            assert (await theirs.http.get(path)).status_code == 403, path
        named = {"X-Tenant": str(owner.headers["X-Tenant"])}
        answer = await theirs.http.get(f"{ROOT}/v1/events:polling", headers=named)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant-mismatch")
    gone = await owner.delete(f"{CREDENTIALS}/{known['id']}")
    assert gone.status_code == 404


async def test_a_wrong_client_gets_no_token(
    app: Largo, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, shop: Shop
) -> None:
    known = await credential(owner)
    other = await credential(owner)
    for fields in (
        {"client_secret": other["client_secret"]},
        {"client_id": other["client_id"]},
        {"client_id": known["id"]},
        {"client_id": f"{UUID(int=1).hex}.{UUID(known['id']).hex}"},
    ):
        answer = await anonymous.post(TOKEN, data=asked(known, **fields))
        said = answer.json()
        assert (answer.status_code, said["status"]) == (401, 401), fields
        assert said["code"] == "open-delivery-client-refused"
        assert said["error"] == "invalid_client"
    for fields in ({"grant_type": "password"}, {"scope": "od.some"}):
        assert (await anonymous.post(TOKEN, data=asked(known, **fields))).status_code == 422
    async with shop.world.work() as work:
        tokens = select(func.count()).select_from(ApiKey)
        assert await work.session.scalar(tokens) == 0
    right = await anonymous.post(TOKEN, data=asked(known, scope="od.all"))
    assert right.status_code == 200
    assert right.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("change", "code"),
    [("modules = '{}'", "module-not-enabled"), ("status = 'suspended'", "tenant-suspended")],
)
async def test_a_tenant_that_is_off_gives_no_tokens(
    world: World, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, change: str, code: str
) -> None:
    known = await credential(owner)
    async with world.runtime.database.system_driver() as driver:
        await driver.execute(f"UPDATE tenants SET {change} WHERE id = $1", world.tenant.id)  # noqa: S608
    await world.runtime.tenants.fresh("id", str(world.tenant.id))
    answer = await anonymous.post(TOKEN, data=asked(known))
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(ApiKey)) == 0


async def test_a_revoked_credential_opens_nothing(
    app: Largo, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, place: Place
) -> None:
    known = await credential(owner)
    async with connected(app, known) as pos:
        order_id = (await place())["id"]
        assert len(await pos.poll()) == 1
        for _ in range(2):
            gone = await owner.delete(f"{CREDENTIALS}/{known['id']}")
            assert gone.status_code == 204, gone.text
        await asyncio.sleep(1.1)
        for answer in (
            await pos.http.get(f"{ROOT}/v1/events:polling"),
            await pos.tell(order_id, "confirm"),
            await anonymous.post(TOKEN, data=asked(known)),
        ):
            assert (answer.status_code, answer.json()["status"]) == (401, 401)
    listed = (await owner.get(CREDENTIALS)).json()["items"]
    assert listed[0]["revoked_at"] is not None
    assert listed[0]["last_used_at"] is not None
    assert known["client_secret"] not in str(listed)
    order = (await owner.get(f"/api/v1/admin/orders/{order_id}")).json()
    assert order["status"] == "pending"


async def test_tokens_end_and_are_no_keys_of_anybodys(
    app: Largo, owner: httpx.AsyncClient, shop: Shop
) -> None:
    known = await credential(owner)
    async with connected(app, known) as pos:
        assert await pos.poll() == []
        assert (await owner.get("/api/v1/admin/api-keys")).json()["items"] == []
        async with shop.world.work() as work:
            row = (await work.session.scalars(select(ApiKey))).one()
            ending = update(ApiKey).values(expires_at=now() - timedelta(seconds=1))
            await work.session.execute(ending)
        gone = await owner.delete(f"/api/v1/admin/api-keys/{row.id}")
        assert gone.status_code == 404
        await asyncio.sleep(1.1)
        answer = await pos.http.get(f"{ROOT}/v1/events:polling")
        assert (answer.status_code, answer.json()["code"]) == (401, "api-key-invalid")
    async with connected(app, known) as again:
        assert await again.poll() == []
        async with shop.world.work() as work:
            left = await work.session.scalar(select(func.count()).select_from(ApiKey))
            assert left == 1, "the one that ended is swept out"


async def test_a_token_outlived_by_its_cache_sees_no_more(
    app: Largo, owner: httpx.AsyncClient, place: Place, world: World, shop: Shop
) -> None:
    """For a second a process still knows the token: not as a key that sees every store."""
    branch = await make_shop(world, slug="bairro")
    centre = (await place())["id"]
    known = await credential(owner, branch.store_id)
    async with connected(app, known) as narrow:
        assert await narrow.poll() == []
        async with world.runtime.database.system_driver() as driver:
            # No bell rings for this: the process goes on believing.
            await driver.execute("DELETE FROM api_keys WHERE issued_for = $1", UUID(known["id"]))
        answer = await narrow.http.get(f"{ROOT}/v1/orders/{centre}")
        assert (answer.status_code, answer.json()["code"]) == (409, "open-delivery-token-required")
        assert (await narrow.tell(centre, "confirm")).status_code == 409
    status = (await owner.get(f"/api/v1/admin/orders/{centre}")).json()["status"]
    assert status == "pending"


async def test_others_have_no_events(owner: httpx.AsyncClient, shop: Shop, place: Place) -> None:
    """Members and their own keys see orders in these words; events belong to a credential."""
    order_id = (await place())["id"]
    assert (await Pos(owner).detail(order_id))["lastEvent"] == "CREATED"
    answer = await owner.get(f"{ROOT}/v1/events:polling")
    assert (answer.status_code, answer.json()["code"]) == (409, "open-delivery-token-required")
    strange = await owner.post(CREDENTIALS, json={"name": "x", "store_ids": [str(UUID(int=7))]})
    assert (strange.status_code, strange.json()["code"]) == (404, "store-not-found")
    made = await owner.post(
        "/api/v1/admin/api-keys",
        json={"name": "k", "scopes": ["commerce.open-delivery:write"]},
        headers=key(),
    )
    assert (made.status_code, made.json()["code"]) == (403, "scope-beyond-yours")
    assert (await owner.get(CREDENTIALS)).json()["items"] == []
