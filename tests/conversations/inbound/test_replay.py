"""A tenant looks at its deliveries, and has one processed again."""

from __future__ import annotations

import httpx

from app.core.ids import new_id
from tests.conversations.inbound.line import Line, deliveries, drain
from tests.kernel.queue_probe import effects

DELIVERIES = "/api/v1/admin/whatsapp/deliveries"


async def test_a_replay_does_nothing_twice(
    line: Line, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    stop = line.message(text={"body": "parar"})
    await line.deliver(
        anonymous,
        line.change(messages=[stop], statuses=[line.status("wamid.z", "sent")]),
    )
    [row] = await deliveries(line.world)
    early = await owner.post(f"{DELIVERIES}/{row.id}/replay")
    assert (early.status_code, early.json()["code"]) == (409, "whatsapp-delivery-waits")
    await drain(line.world)
    before = await line.messages(), (await line.conversations())[0].unread_count
    for _ in range(2):
        again = await owner.post(f"{DELIVERIES}/{row.id}/replay")
        assert (again.status_code, again.json()["state"]) == (200, "pending")
        await drain(line.world)
    after = await line.messages(), (await line.conversations())[0].unread_count
    assert [m.id for m in after[0]] == [m.id for m in before[0]]
    assert after[1] == before[1] == 1
    assert len(await effects(line.world, "conversations.message_received")) == 1
    assert len(await effects(line.world, "contacts.consent_changed")) == 1
    assert len(await effects(line.world, "inbox_message.replayed")) == 2


async def test_a_replay_heals_what_was_lost(
    line: Line, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    await line.tell(anonymous, line.message())
    [row] = await deliveries(line.world)
    async with line.world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM messages WHERE tenant_id = $1", line.world.tenant.id)
    assert (await owner.post(f"{DELIVERIES}/{row.id}/replay")).status_code == 200
    await drain(line.world)
    assert len(await line.messages()) == 1


async def test_deliveries_are_their_tenants_alone(
    line: Line,
    anonymous: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
) -> None:
    await line.tell(anonymous, line.message())
    await line.tell(anonymous, line.message())
    rows = await deliveries(line.world)
    listed = (await owner.get(DELIVERIES)).json()["items"]
    assert [item["id"] for item in listed] == [str(row.id) for row in reversed(rows)]
    assert (listed[0]["fields"], listed[0]["state"]) == ("messages", "done")
    assert (await owner.get(DELIVERIES, params={"state": "dead"})).json()["items"] == []
    assert (await outsider.get(DELIVERIES)).json()["items"] == []
    for client, id_ in ((outsider, rows[0].id), (owner, new_id())):
        refused = await client.post(f"{DELIVERIES}/{id_}/replay")
        assert (refused.status_code, refused.json()["code"]) == (
            404, "whatsapp-delivery-not-found",
        )  # fmt: skip
    assert {row.state for row in await deliveries(line.world)} == {"done"}
