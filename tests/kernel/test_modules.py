"""Which modules a member sees, and what they may do there."""

from __future__ import annotations

import httpx

from app.kernel.access import MODULES
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.tenants import World, make_world

URL = "/api/v1/admin/modules"


async def test_an_owner_may_do_everything_that_the_plan_has(owner: httpx.AsyncClient) -> None:
    found = {m["name"]: m for m in (await owner.get(URL)).json()}
    assert set(found) == set(MODULES)
    for name, module in found.items():
        assert (module["is_on"], module["is_visible"]) == (True, True)
        may = {f"{area}:{action}" for area, all_ in module["areas"].items() for action in all_}
        assert may == MODULES[name]


async def test_less_is_seen_with_a_lesser_role_and_a_lesser_plan(
    runtime: Runtime, app: Largo
) -> None:
    world: World = await make_world(runtime, modules=("commerce",))
    agent = await world.member("agent")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get(URL)).status_code in (400, 401)
        headers = {"Authorization": f"Bearer {agent.token}"}
        found = {m["name"]: m for m in (await client.get(URL, headers=headers)).json()}
    assert found["conversations"] == {
        "name": "conversations", "is_on": False, "is_visible": False, "areas": {}
    }  # fmt: skip
    assert "read" in found["commerce"]["areas"]["orders"]
    assert "refund" not in found["commerce"]["areas"].get("payments", [])
