"""The matrix: every route, asked by everybody who may not. The refusal is the documented one.

Routes and what they ask for come from the routes themselves, so a new one is in the matrix the
day it is added. Each request would do something if its sender were let in.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.core.problems import MEDIA_TYPE
from app.kernel.access import ROLE_GRANTS
from app.kernel.tenancy import OF_NO_TENANT
from app.main import Largo
from tests.architecture.belongings import Belongings, make_belongings
from tests.architecture.callers import CASES, READ_ORDERS, Callers, make_callers
from tests.architecture.conftest import Owner
from tests.architecture.routes import Endpoint, endpoints, example_body, operations
from tests.architecture.rows import content
from tests.factories.commerce import key
from tests.factories.tenants import make_world

pytestmark = pytest.mark.usefixtures("clean_pool")

CACHED_S = 1.0
"""How long a process may believe a session or key that it knows (spec/platform §7)."""


@pytest.fixture(scope="module")
def routes(app: Largo) -> list[Endpoint]:
    return endpoints(app.api)


@pytest.fixture(scope="module")
def documented(app: Largo) -> dict[str, dict[str, Any]]:
    return dict(operations(app.api.openapi()))


@pytest.fixture(scope="module")
async def theirs(app: Largo, owner_sql: Owner) -> Belongings:
    return await make_belongings(app, await make_world(app.runtime), owner_sql)


@pytest.fixture(scope="module")
async def callers(app: Largo, theirs: Belongings, owner_sql: Owner) -> Callers:
    found = await make_callers(app, theirs.world, owner_sql)
    await asyncio.sleep(CACHED_S + 0.1)
    return found


@pytest.mark.parametrize("case", CASES)
async def test_who_may_not_is_refused_as_documented(
    app: Largo,
    routes: list[Endpoint],
    documented: dict[str, dict[str, Any]],
    theirs: Belongings,
    callers: Callers,
    owner_sql: Owner,
    case: str,
) -> None:
    target = theirs.world.tenant.id
    watched = {target, callers.tenants.get(case, target)}
    before = {tenant: await content(owner_sql, tenant) for tenant in watched}
    wrong, tried = [], 0
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=callers.headers[case]
    ) as client:
        for route in routes:
            expected = CASES[case](route)
            if expected is None:
                continue
            body = theirs.body(example_body(app.api.openapi(), documented[route.name]))
            answer = await client.request(
                route.method, theirs.path(route.path), json=body, headers=key()
            )
            tried += 1
            want = (expected.status.value, expected.code, MEDIA_TYPE)
            if _said(answer) != want:
                wrong.append(f"{route.name}: {want}, not {answer.status_code} {answer.text}")
            if not _documents(documented[route.name], *want):
                wrong.append(f"{route.name}: does not document {want}")
    changed = [t for t in before if await content(owner_sql, t) != before[t]]
    assert not wrong, "\n".join(wrong)
    assert not changed, "a refusal changes nothing"
    assert tried, "nobody is refused: take the case out"


def _said(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    media = answer.headers.get("content-type")
    code = answer.json().get("code") if media == MEDIA_TYPE else None
    return answer.status_code, code, media


def _documents(operation: dict[str, Any], status: int, code: str, media: str) -> bool:
    answer = operation["responses"].get(str(status), {})
    return code in answer.get("content", {}).get(media, {}).get("examples", {})


async def test_who_may_is_let_in(
    routes: list[Endpoint], theirs: Belongings, callers: Callers, owner_sql: Owner
) -> None:
    """The counter-check: the same callers read what their role or scopes do grant."""
    for case, grants in {
        **{f"role {role}": grants for role, grants in ROLE_GRANTS.items()},
        "key with every scope": ROLE_GRANTS["owner"],
        "key with one scope": {READ_ORDERS},
        "key of a demoted user": ROLE_GRANTS["viewer"],
    }.items():
        opened = [r for r in routes if r.method == "GET" and r.grant in grants]
        assert opened, case
        for route in opened:
            answer = await callers.ask(callers.headers[case], "GET", theirs.path(route.path))
            assert answer.status_code not in (401, 403, 500), f"{case} {route.name}: {answer.text}"
    before = await content(owner_sql, theirs.world.tenant.id)
    who, status = callers.headers["role viewer"], {"status": "away"}
    answer = await callers.ask(who, "PUT", "/api/v1/user/status", json=status)
    assert answer.is_success, answer.text
    after = await content(owner_sql, theirs.world.tenant.id)
    assert after["users"] != before["users"], "the footprint does see one changed field"


def test_every_route_meets_everybody(routes: list[Endpoint]) -> None:
    """And how large the matrix is."""
    cells = {route.name: [c for c, rule in CASES.items() if rule(route)] for route in routes}
    total = sum(map(len, cells.values()))
    print(f"matrix: {len(routes)} routes x {len(CASES)} cases, {total} refusals")
    for route in routes:
        met = len(cells[route.name])
        assert met >= 20 or route.is_public, f"{route.name} meets {met}"
        assert met >= 4 or route.path in OF_NO_TENANT, f"{route.name} meets {met}"
    viewer = {r.name for r in routes if r.writes and r.grant in ROLE_GRANTS["viewer"]}
    harmless = {
        "POST /api/v1/admin/campaigns/simulate",
        "POST /api/v1/admin/shipping/simulate",
        "POST /api/v1/whatsapp/templates/{template_id}/preview",
    }
    assert viewer == harmless, "a viewer changes nothing"
