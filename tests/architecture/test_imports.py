"""Who may import whom inside a slice, and where the frameworks may be known.

The top layers and the order of commerce's slices are contracts of import-linter (pyproject).
"""

from __future__ import annotations

import pytest

from tests.architecture.sources import Source, imports, of_app

LEVELS = {
    "problems": 0,
    "models": 1,
    "rules": 1,
    "schemas": 2,
    "repository": 3,
    "service": 4,
    "jobs": 5,
    "endpoints": 5,
}
"""A module of a slice imports its own level's or lower ones of its slice, never higher ones."""

LARGER_SLICES = {
    "app.conversations.inbound.words": 0.5,
    "app.conversations.inbound.reading": 1,
    "app.conversations.inbound.doors": 3.5,
    "app.conversations.inbound.intake": 3.8,
    "app.conversations.inbound.deliveries": 4,
    "app.commerce.promotions.offers": 0.5,
    "app.commerce.promotions.words": 0.8,
    "app.commerce.promotions.rows": 0.8,
    "app.commerce.promotions.shelf": 4,
    "app.commerce.promotions.codes": 4.1,
    "app.commerce.checkout.trial": 4.1,
    "app.commerce.ucp.protocol": 0.5,
    "app.commerce.ucp.words": 0.5,
    "app.commerce.ucp.asked": 2.2,
    "app.commerce.ucp.refusals": 2.3,
    "app.commerce.ucp.shown": 2.4,
    "app.commerce.ucp.goods": 2.4,
    "app.commerce.ucp.browsing": 4.1,
    "app.commerce.ucp.handoff": 4.1,
    "app.commerce.ucp.platforms": 3.5,
    "app.commerce.ucp.shop": 3.6,
    "app.commerce.ucp.viewing": 3.8,
    "app.commerce.shipping.listing": 2.5,
    "app.commerce.shipping.roads": 3.5,
    "app.core.hours": 0.5,
    "app.conversations.numbers.news": 4,
    "app.conversations.numbers.checks": 4.5,
    "app.conversations.templates.review": 4.5,
    "app.kernel.ai.pricing": 1,
    "app.kernel.ai.accounts": 3.5,
    "app.kernel.ai.ledger": 3.8,
    "app.kernel.files.storage": 3.5,
    "app.kernel.files.images": 1.5,
    "app.kernel.files.intake": 3.6,
    "app.kernel.contacts.expressions": 1.5,
    "app.kernel.contacts.conditions": 2.5,
    "app.kernel.contacts.timeline": 4,
    "app.kernel.connections.checks": 4.2,
    "app.kernel.connections.oauth": 4.2,
    "app.kernel.connections.providers": 5,
    "app.kernel.connections.tokens": 4.1,
    "app.kernel.jobs.admin": 4,
    "app.kernel.jobs.places": 3.5,
    "app.kernel.notifications.delivery": 4.1,
    "app.kernel.realtime.places": 3.5,
    "app.kernel.realtime.guests": 4.5,
    "app.kernel.schedules.runs": 3.5,
    "app.kernel.schedules.ticking": 4,
    "app.kernel.schedules.words": 1,
    "app.kernel.sessions.attempts": 3.5,
    "app.kernel.sessions.refreshing": 4.5,
    "app.kernel.totp.enrolment": 4.5,
    "app.kernel.webhooks.delivery": 4,
    "app.conversations.inbox.assignment": 4.1,
    "app.conversations.inbox.blocking": 4,
    "app.conversations.inbox.canned": 4,
    "app.conversations.notifications.customers": 4,
    "app.conversations.sending.dispatch": 4.1,
    "app.conversations.sending.pacing": 4.2,
    "app.conversations.media.fetching": 4.1,
    "app.conversations.media.uploads": 4.1,
    "app.conversations.media.cleaning": 4.2,
    "app.conversations.media.handles": 4.2,
    "app.saas.billing.mirror": 3.5,
    "app.saas.support.users": 5,
    "app.commerce.catalog.admin": 5,
    "app.commerce.catalog.assortment": 4.5,
    "app.commerce.catalog.bulk": 2.1,
    "app.commerce.catalog.menu": 2.9,
    "app.commerce.catalog.menu_schemas": 2.1,
    "app.commerce.catalog.storefront": 4,
    "app.commerce.catalog.rendering": 3.2,
    "app.commerce.catalog.snapshot": 3.5,
    "app.commerce.insights.sql": 1.5,
    "app.commerce.insights.table": 4.1,
    "app.commerce.checkout.asked": 2.1,
    "app.commerce.checkout.basis": 2.1,
    "app.commerce.checkout.draft": 2.2,
    "app.commerce.checkout.rows": 2.3,
    "app.commerce.checkout.builder": 3.5,
    "app.commerce.checkout.group_commit": 3.5,
    "app.commerce.checkout.prices": 3.5,
    "app.commerce.checkout.short": 5,
    "app.commerce.counter.printing": 2.5,
    "app.commerce.desk.again": 4,
    "app.commerce.desk.carts": 2.5,
    "app.commerce.imports.desk": 4.5,
    "app.commerce.imports.keeping": 3.2,
    "app.commerce.imports.order_batch": 3.5,
    "app.commerce.imports.reader": 2.5,
    "app.commerce.imports.shown": 2.1,
    "app.commerce.inventory.rebooking": 3.5,
    "app.commerce.opendelivery.shape": 2.5,
    "app.commerce.orders.asking": 2.5,
    "app.commerce.orders.live": 4.5,
    "app.commerce.orders.expiry": 5,
    "app.commerce.orders.confirming": 5,
    "app.commerce.orders.sweeping": 4,
    "app.commerce.orders.tracking": 1,
    "app.commerce.payments.pix": 1,
    "app.commerce.payments.stripe": 4.1,
}
"""Slices that needed one module more, each at its level; everything else has the usual names."""

UPWARD = {
    ("app.commerce.imports.rules", "schemas"): "its rules make rows of schemas out of cells",
}
"""Imports against the levels, with the reason."""

PACKAGES = {"app.commerce", "app.conversations", "app.kernel", "app.saas"}

WEB = {
    "app.main": "it is the web application",
    "app.core.routing": "the router of the application",
    "app.server": "names the type of a request's scope",
    "app.wiring": "collects the routers",
    "app.kernel.access": "gates are dependencies",
    "app.kernel.health": "a router of its own",
    "app.kernel.idempotency": "a route class and its dependency",
    "app.kernel.identity": "reads who asks off the request",
    "app.kernel.docs": "the page at /docs",
    "app.kernel.layers": "the layers around every request",
    "app.kernel.middleware": "their steps",
    "app.kernel.metrics": "a router of its own",
    "app.kernel.throttle": "limits of routes are dependencies",
    "app.kernel.openapi": "adds gates to the document that fastapi makes",
    "app.kernel.request": "what the layers know of one request",
    "app.kernel.work": "the dependency that opens and commits a Work",
    "app.commerce.orders.asking": "three slices ask for orders by the same query",
    "app.kernel.realtime.service": "an event stream is a response that never ends",
    "app.commerce.catalog.snapshot": "answers from ready bytes before a route is asked",
    "app.commerce.checkout.short": "answers ordinary orders before their route is asked",
    "app.core.forms": "multipart bodies with a cap",
    "app.core.pagination": "paging parameters are a dependency",
    "app.core.problems": "turns every failure of an application into its response",
}
"""Who besides endpoints may know fastapi and starlette."""

HTTP_CLIENT = {
    "app.core.http": "makes the client and bounds its calls",
    "app.core.guard": "keeps the client of addresses that tenants give",
    "app.kernel.work": "names the type of the shared client",
}
"""Who besides integrations may know httpx."""

DATABASE = {
    "app.main": "turns driver errors that reach a request into problems",
    "app.tables": "names the metadata",
    "app.kernel.idempotency": "its table and its dependency are one thing",
    "app.kernel.work": "opens and commits the session",
    "app.kernel.contacts.conditions": "makes conditions of what a segment asks",
    "app.kernel.jobs.service": "gives the job engine its own connections",
    "app.commerce.catalog.menu": "the storefront's repository",
    "app.commerce.catalog.snapshot": "names the type of a driver row",
    "app.commerce.checkout.group_commit": "a statement of its own is all it is",
    "app.commerce.imports.keeping": "the repository of uploads; the other one serves the programs",
    "app.commerce.imports.jobs": "does the same, row by row of an upload",
    "app.commerce.imports.service": "reports each row that the database refuses, and goes on",
}
"""Who besides core, models and repositories may know sqlalchemy."""


def _role(source: Source) -> str:
    return source.name.rpartition(".")[2]


def _slice(name: str) -> str | None:
    """``app.kernel.users`` for a module inside it; None for what is in no slice."""
    parts = name.split(".")
    return ".".join(parts[:3]) if len(parts) > 3 and ".".join(parts[:2]) in PACKAGES else None


def _level(module: str) -> float | None:
    return LARGER_SLICES.get(module, LEVELS.get(module.rpartition(".")[2]))


def _module_of(imported: str) -> str:
    return ".".join(imported.split(".")[:4])


def _knows(source: Source, *packages: str) -> list[str]:
    return [name for name, _ in imports(source.tree) if name.split(".")[0] in packages]


SLICED = [source for source in of_app() if _slice(source.name)]


def test_slices_have_only_the_modules_that_every_reader_expects() -> None:
    odd = [s.where for s in SLICED if _level(s.name) is None]
    assert not odd, f"name them as every slice does, or list them in LARGER_SLICES: {odd}"


def test_a_slice_imports_downwards() -> None:
    wrong = []
    for source in SLICED:
        mine = _level(source.name)
        for imported, line in imports(source.tree):
            module = _module_of(imported)
            level = _level(module)
            if _slice(imported) != _slice(source.name) or level is None or mine is None:
                continue
            if level > mine and (source.name, module.rpartition(".")[2]) not in UPWARD:
                wrong.append(f"{source.where}:{line} imports {module}, which is above it")
    assert not wrong, "\n".join(wrong)


def test_another_slice_is_asked_through_its_service() -> None:
    wrong = []
    for source in SLICED:
        for imported, line in imports(source.tree):
            other = _slice(imported)
            if other is None or other == _slice(source.name):
                continue
            if _module_of(imported).rpartition(".")[2] in ("repository", "endpoints", "jobs"):
                wrong.append(f"{source.where}:{line} imports {imported}: call {other}'s service")
    assert not wrong, "\n".join(wrong)


def test_only_the_listed_know_the_web_framework() -> None:
    for source in of_app():
        endpoint = _level(source.name) == 5 and _role(source) != "jobs" and _slice(source.name)
        if source.name in WEB or endpoint:
            continue
        assert not _knows(source, "fastapi", "starlette"), source.where


def test_only_integrations_know_the_http_client() -> None:
    for source in of_app():
        if source.name in HTTP_CLIENT or source.name.startswith("app.integrations."):
            continue
        assert not _knows(source, "httpx"), source.where


def test_only_models_and_repositories_know_the_database() -> None:
    for source in of_app():
        if source.name in DATABASE or source.name.startswith("app.core."):
            continue
        if _role(source) in ("models", "repository"):
            continue
        assert not _knows(source, "sqlalchemy", "asyncpg"), source.where


def test_endpoints_reach_no_repository() -> None:
    for source in SLICED:
        if _level(source.name) == 5:
            found = [n for n, _ in imports(source.tree) if ".repository" in n]
            assert not found, f"{source.where} imports {found}"


def test_integrations_and_contracts_know_no_database() -> None:
    for source in of_app():
        if source.name.startswith(("app.integrations", "app.contracts")):
            assert not _knows(source, "sqlalchemy", "asyncpg", "redis"), source.where


@pytest.mark.parametrize("listed", [WEB, HTTP_CLIENT, DATABASE, LARGER_SLICES], ids=lambda x: "")
def test_exceptions_are_still_needed(listed: dict[str, object]) -> None:
    gone = set(listed) - {source.name for source in of_app()}
    assert not gone, f"these modules are gone, take them off the list: {gone}"
    packages = {id(WEB): ("fastapi", "starlette"), id(HTTP_CLIENT): ("httpx",)}
    packages[id(DATABASE)] = ("sqlalchemy", "asyncpg")
    if id(listed) in packages:
        for source in of_app():
            if source.name in listed:
                assert _knows(source, *packages[id(listed)]), f"{source.name} needs no exception"
