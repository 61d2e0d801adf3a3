"""Every route with another tenant's ids: they do not exist, and nothing of theirs is told.

The routes come from the OpenAPI document, so a new one is in the matrix the day it is added; an
object of a kind that ``belongings`` does not make fails with a message that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.main import Largo
from tests.architecture.belongings import Belongings, client, make_belongings
from tests.architecture.conftest import Owner
from tests.architecture.routes import Endpoint, endpoints, example_body, operations
from tests.architecture.rows import content
from tests.factories.commerce import key
from tests.factories.tenants import make_world

pytestmark = pytest.mark.usefixtures("clean_pool")

OWN_BY_NAME = {
    "GET /api/v1/webhooks/whatsapp/{slug}": "for the vendor; who knows no token is told nothing",
    "POST /api/v1/webhooks/whatsapp/{slug}": "for the vendor; who knows no secret is told nothing",
    "POST /api/v1/webhooks/stripe/{slug}": "for a vendor; who knows no secret is told nothing",
    "GET /problems/{code}": "the catalogue of problems belongs to nobody",
    "PUT /api/v1/admin/connections/{provider}": "names a vendor; everybody has their own",
    "DELETE /api/v1/admin/connections/{provider}": "names a vendor; everybody has their own",
    "POST /api/v1/connections/providers/{provider}/authorize": "names a vendor",
    "GET /api/v1/connections/providers/{provider}/callback": "names a vendor; needs a state",
    "GET /api/v1/signature-providers/{provider}": "names a vendor",
    "POST /api/v1/signature-providers/{provider}/test": "names a vendor",
    "PUT /api/v1/order-messages/{fact}": "names what happens to orders; everybody has their own",
    "GET /media/{key}": "public to whoever knows the content's hash, as storefronts show it",
}
"""Paths whose parameter is no id of a tenant's object."""

NEEDS_A_STATE = {
    "GET /api/v1/connections/providers/{provider}/callback",
    "GET /api/v1/webhooks/whatsapp/{slug}",
    "GET /api/v1/ucp/checkout-sessions/{checkout_session_id}",
}
"""GET that ends what another request began, or that only its platform may ask: by itself it finds
nothing to end and nobody to tell."""

STREAMS = {"GET /api/v1/events"}
"""Answers that never end; read by a test of their own."""

ONE_BY_ONE = {"POST /api/v1/admin/orders/transitions": "order-not-found"}
"""Answers each of several objects by itself: 200, with this refusal inside."""

ENDLESS = {"GET /api/v1/orders/{order_id}/events"}
"""Never ends for whoever holds the token; tests/commerce/orders/test_following.py reads it."""


@dataclass(frozen=True)
class Try:
    """One request of a stranger."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    refused: bool
    """Names an object of another tenant: it must be refused."""
    in_path: bool = False
    """In the path even, where the answer is 404 alone."""


@pytest.fixture(scope="module")
def document(app: Largo) -> dict[str, Any]:
    return app.api.openapi()


@pytest.fixture(scope="module")
def routes(app: Largo) -> dict[str, Endpoint]:
    return {route.name: route for route in endpoints(app.api)}


@pytest.fixture(scope="module")
async def theirs(app: Largo, owner_sql: Owner) -> Belongings:
    """The tenant that is attacked."""
    return await make_belongings(app, await make_world(app.runtime), owner_sql)


@pytest.fixture(scope="module")
async def mine(app: Largo, owner_sql: Owner) -> Belongings:
    """The tenant whose owner attacks."""
    return await make_belongings(app, await make_world(app.runtime), owner_sql)


def _query(operation: dict[str, Any], belongings: Belongings) -> dict[str, str]:
    asked = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
    # A required one has a closed list of words: any of them will do.
    needed = {
        p["name"]: p["schema"]["enum"][0]
        for p in asked
        if p.get("required") and "enum" in p["schema"]
    }
    names = [p["name"] for p in asked]
    return needed | {name: belongings.in_body[name] for name in names if name in belongings.in_body}


def _paths(template: str, mine: Belongings, theirs: Belongings) -> Iterator[str]:
    """Every way to mix one's own ids with another's, except all one's own."""
    own = mine.path(template).split("/")
    foreign = theirs.path(template).split("/")
    at = [n for n, part in enumerate(template.split("/")) if part.startswith("{")]
    if "{key}" in template:
        yield theirs.path(template)
        return
    for choice in itertools.product((True, False), repeat=len(at)):
        if any(choice):
            taken = {n for n, stranger in zip(at, choice, strict=True) if stranger}
            yield "/".join(foreign[n] if n in taken else own[n] for n in range(len(own)))


def _tries(document: dict[str, Any], mine: Belongings, theirs: Belongings) -> Iterator[Try]:
    for name, operation in operations(document):
        method, template = name.split(" ")
        if name in STREAMS or "/central/" in template:
            continue
        example = example_body(document, operation)
        own_body, foreign_body = mine.body(example), theirs.body(example)
        query = _query(operation, theirs)
        if "{" in template:
            strict = name not in OWN_BY_NAME
            for path in _paths(template, mine, theirs):
                yield Try(name, method, path, query, own_body, strict, strict)
            if foreign_body != example:
                yield Try(name, method, mine.path(template), {}, foreign_body, True)
        else:
            yield Try(name, method, template, query, foreign_body, foreign_body != example)


def _leaks(answer: httpx.Response, sent: Try, theirs: Belongings) -> set[str]:
    told = f"{answer.text} {answer.headers}"
    given = f"{sent.path} {sent.query} {sent.body}"
    return {word for word in theirs.words if word in told and word not in given}


def _refuses(answer: httpx.Response, sent: Try) -> bool:
    if sent.name in ONE_BY_ONE:
        return {r["code"] for r in answer.json()["results"]} == {ONE_BY_ONE[sent.name]}
    return 400 <= answer.status_code < 500


async def _send(who: httpx.AsyncClient, sent: Try) -> httpx.Response:
    return await who.request(
        sent.method,
        sent.path,
        params=sent.query,
        json=sent.body,
        headers=key() if sent.method == "POST" else {},
    )


async def test_another_tenants_objects_do_not_exist(
    app: Largo, document: dict[str, Any], mine: Belongings, theirs: Belongings, owner_sql: Owner
) -> None:
    wrong, tried = [], set()
    before = await content(owner_sql, theirs.world.tenant.id)
    async with client(app, mine.world.tenant.slug, mine.world.owner) as stranger:
        # What deletes comes last: the rest of the matrix needs the stranger's own objects.
        for sent in sorted(_tries(document, mine, theirs), key=lambda t: t.method == "DELETE"):
            if sent.name == "POST /api/v1/auth/logout":
                continue
            answer = await _send(stranger, sent)
            tried.add(sent.name)
            said = f"{sent.method} {sent.path} {sent.query}: {answer.status_code} {answer.text}"
            if sent.in_path and answer.status_code != 404:
                wrong.append(f"not 404: {said}")
            if sent.refused and not _refuses(answer, sent):
                wrong.append(f"not refused: {said}")
            if answer.status_code >= 500:
                wrong.append(f"broke: {said}")
            if "/media/" not in sent.path and (leaked := _leaks(answer, sent, theirs)):
                wrong.append(f"tells {leaked}: {said}")
            after = await content(owner_sql, theirs.world.tenant.id)
            if after != before:
                changed = {name for name in after if after[name] != before.get(name)}
                wrong.append(f"changed {changed}: {said}")
                before = after
    assert not wrong, "\n".join(wrong)
    left = {name for name, _ in operations(document)} - tried - STREAMS
    assert {name for name in left if "/central/" not in name} == {"POST /api/v1/auth/logout"}


async def test_only_the_platforms_owner_runs_the_platform(
    app: Largo,
    document: dict[str, Any],
    routes: dict[str, Endpoint],
    mine: Belongings,
    theirs: Belongings,
    owner_sql: Owner,
) -> None:
    documented = dict(operations(document))
    desk = {name: route for name, route in routes.items() if "/central/" in route.path}
    assert len(desk) >= 10
    before = await content(owner_sql, theirs.world.tenant.id)
    plans = await owner_sql.fetch("SELECT * FROM plans ORDER BY id")
    async with client(app, mine.world.tenant.slug, mine.world.owner) as stranger:
        for name, route in desk.items():
            assert route.gate.get("kind") == "system", name
            body = example_body(document, documented[name])
            sent = Try(name, route.method, theirs.path(route.path), {}, body, refused=True)
            answer = await _send(stranger, sent)
            assert (answer.status_code, answer.json()["code"]) == (403, "system-admin-only"), name
    assert await content(owner_sql, theirs.world.tenant.id) == before
    assert await owner_sql.fetch("SELECT * FROM plans ORDER BY id") == plans


async def test_the_objects_of_the_matrix_are_real(
    app: Largo, document: dict[str, Any], owner_sql: Owner
) -> None:
    """The counter-check: the same requests by their owner do find what they name."""
    own = await make_belongings(app, await make_world(app.runtime), owner_sql)
    seen: set[str] = set()
    async with client(app, own.world.tenant.slug, own.world.owner) as owner:
        for path in ("/api/v1/admin/orders", "/api/v1/admin/catalog/products", "/api/v1/stores"):
            assert own.mark in (await owner.get(path)).text, f"{path} shows its owner"
        # Reading first, then changing what cannot be read by id, and deleting last.
        for name, operation in sorted(operations(document), key=lambda item: _order(item[0])):
            method, template = name.split(" ")
            kinds = own.kinds(template)
            if name in ENDLESS:
                continue
            if not kinds or "/central/" in template or (kinds <= seen and method != "GET"):
                continue
            body = own.body(example_body(document, operation))
            sent = Try(name, method, own.path(template), _query(operation, own), body, False)
            answer = await _send(owner, sent)
            assert answer.status_code != 404, f"{name} {sent.path}: {answer.text}"
            assert answer.status_code < 500, f"{name} {sent.path}: {answer.text}"
            reads = method == "GET" and name not in NEEDS_A_STATE
            assert not reads or answer.status_code == 200, f"{name}: {answer.text}"
            seen |= kinds
    central = {"plans/code", "tenants/tenant_id", "inbox-messages/message_id", "messaging/channel"}
    assert seen | central == set(own.in_path), "belongings that no path names"


def _order(name: str) -> int:
    return ["GET", "PATCH", "PUT", "POST", "DELETE"].index(name.split()[0])


@pytest.mark.parametrize("path", [name.split()[1] for name in sorted(STREAMS)])
async def test_a_stream_tells_its_own_tenant_alone(
    app: Largo, mine: Belongings, theirs: Belongings, path: str
) -> None:
    shown = await _listen(app, path, mine)
    assert mine.in_body["order_id"].encode() in shown, "the stream does replay what was before"
    assert not [word for word in theirs.words if word.encode() in shown]


async def _listen(app: Largo, path: str, who: Belongings) -> bytes:
    """What an endless answer says in its first second, from the beginning."""
    shown = bytearray()
    world = who.world
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"after=0",
        "headers": [
            (b"host", b"largo.test"),
            (b"x-tenant", world.tenant.slug.encode()),
            (b"authorization", f"Bearer {world.owner.token}".encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("largo.test", 80),
    }

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        shown.extend(message.get("body", b""))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await app(scope, receive, send)
    return bytes(shown)
