"""Every route has one gate that exists, reads like the others, and says what it does."""

from __future__ import annotations

import re

import pytest

from app.kernel.access import MODULES, ROLE_GRANTS
from app.main import Largo
from app.wiring import READY
from tests.architecture.routes import Endpoint, endpoints, operations

STANDARDS = "/api/v1/open-delivery/v1/"
"""Paths in the words of somebody else's standard."""

OUTSIDE = {"/health", "/health/ready", "/metrics", "/problems", "/problems/{code}", "/media/{key}",
           "/.well-known/ucp"}  # fmt: skip
"""Not part of the API's version: for load balancers, links in problems, and browsers' caches."""

NOT_IDEMPOTENT = {
    "POST /api/v1/admin/api-keys": "its answer shows a secret, which is stored nowhere in the open",
    "POST /api/v1/admin/billing/sync": "shows what the vendor has; again shows the same",
    "POST /api/v1/admin/campaigns/simulate": "writes nothing",
    "POST /api/v1/admin/campaigns/{campaign_id}/archive": "sets a state",
    "POST /api/v1/admin/campaigns/{campaign_id}/codes/revoke": "sets a state",
    "POST /api/v1/admin/campaigns/{campaign_id}/pause": "sets a state",
    "POST /api/v1/admin/campaigns/{campaign_id}/resume": "sets a state",
    "POST /api/v1/admin/central/inbox-messages/{message_id}/replay": "a second is refused",
    "POST /api/v1/admin/central/tenants/{tenant_id}/impersonations": "its answer shows a token",
    "POST /api/v1/admin/central/tenants/{tenant_id}/plan": "sets a state",
    "POST /api/v1/admin/central/tenants/{tenant_id}/reactivate": "sets a state",
    "POST /api/v1/admin/central/tenants/{tenant_id}/suspend": "sets a state",
    "POST /api/v1/admin/central/tenants/{tenant_id}/users/{user_id}/password": "sets a value",
    "POST /api/v1/admin/files": "the content's hash is the key: the same bytes are the same file",
    "POST /api/v1/admin/imports": "a preview, which writes nothing else; rows go by their keys",
    "POST /api/v1/admin/imports/{import_id}/apply": "sets a state; a second is refused",
    "POST /api/v1/admin/imports/{import_id}/cancel": "sets a state; a second is refused",
    "POST /api/v1/admin/jobs/{job_id}/retry": "sets a state; a second retry is refused",
    "POST /api/v1/admin/central/tenants/{tenant_id}/jobs/{job_id}/retry": "the same",
    "POST /api/v1/admin/open-delivery/credentials": "its answer shows a secret",
    "POST /api/v1/admin/orders/transitions": "sets states; each order's version refuses a second",
    "POST /api/v1/admin/shipping/simulate": "writes nothing",
    "POST /api/v1/admin/stores/{store_id}/copy-hours": "sets a value; the second does the same",
    "POST /api/v1/admin/users/{user_id}/password": "sets a value; the second does the same",
    "POST /api/v1/admin/webhooks": "its answer shows a secret, which is stored nowhere in the open",
    "POST /api/v1/admin/webhooks/{endpoint_id}/rotate": "the same; every secret signs for a day",
    "POST /api/v1/admin/whatsapp/deliveries/{inbound_id}/replay": "every item has its own key",
    "POST /api/v1/checkout/coupons": "writes nothing",
    "POST /api/v1/checkout/preview": "writes nothing",
}
"""POST under /admin and /checkout that need no Idempotency-Key, with the reason."""

READS_BY_POST = {
    "POST /api/v1/admin/campaigns/simulate": "it takes a cart and a draft, and writes nothing",
    "POST /api/v1/admin/shipping/simulate": "a simulation takes an address, and writes nothing",
    "POST /api/v1/whatsapp/templates/{template_id}/preview": "it takes values, writes nothing",
}
"""Not GET, yet a reader may."""

UNCOUNTABLE = {
    "catalog",
    "messaging",
    "inventory",
    "shipping",
    "media",
    "stripe",
    "whatsapp",
    "auth",
    "admin",
    "checkout",
}
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@pytest.fixture(scope="module")
def routes(app: Largo) -> list[Endpoint]:
    return endpoints(app.api)


def test_routes_are_found(app: Largo, routes: list[Endpoint]) -> None:
    documented = {name for name, _ in operations(app.api.openapi())}
    assert {route.name for route in routes} == documented
    assert len(routes) == len(documented), "a path is served twice"
    assert len(routes) > 80, "the walk lost most of them"


def test_every_route_has_exactly_one_gate(routes: list[Endpoint]) -> None:
    wrong = {route.name: route.gates for route in routes if len(route.gates) != 1}
    assert not wrong, "use one of require_module, tenant_member, system_admin, public"


def test_gates_name_actions_that_exist_and_are_granted(routes: list[Endpoint]) -> None:
    for route in routes:
        module = route.gate.get("module")
        assert module is None or module in MODULES, route.name
        if route.grant is not None:
            assert route.gate["action"] in MODULES[route.gate["module"]], route.name
            assert route.grant in ROLE_GRANTS["owner"], route.name


def test_every_action_is_used(routes: list[Endpoint]) -> None:
    used = {route.grant for route in routes}
    unused = {f"{m}.{a}" for m, actions in MODULES.items() for a in actions} - used
    # Asked of a transition to cancelled, and of a staff's own price or hour: parts of a body.
    by_service = {"commerce.orders:cancel", "commerce.orders:override"}
    assert unused <= by_service, f"nothing asks for {unused - by_service}"


def test_changing_needs_more_than_reading(routes: list[Endpoint]) -> None:
    asks_too_little = {
        route.name
        for route in routes
        if route.writes and route.grant and route.grant.endswith(":read")
    }
    assert asks_too_little == set(READS_BY_POST), "a reader could change something"
    assert all(grant.endswith(":read") for grant in ROLE_GRANTS["viewer"])


def test_public_routes_are_these(routes: list[Endpoint]) -> None:
    """A new public route is a decision: write it down here."""
    assert {route.name for route in routes if route.is_public} == {
        "GET /api/v1/catalog",
        "GET /api/v1/catalog/products",
        "GET /api/v1/health",
        "GET /api/v1/orders/{order_id}",
        "GET /api/v1/orders/{order_id}/events",
        "GET /api/v1/orders/{order_id}/reorder",
        "GET /api/v1/orders/{order_id}/payment",
        "GET /api/v1/orders/{order_id}/payment/qr-png",
        "GET /api/v1/orders/{order_id}/payment/qr-svg",
        "GET /api/v1/plans",
        "GET /api/v1/promotions",
        "GET /api/v1/stores",
        "GET /api/v1/stores/{slug}",
        "GET /health",
        "GET /health/ready",
        "GET /media/{key}",
        "GET /metrics",
        "GET /problems",
        "GET /problems/{code}",
        "GET /api/v1/webhooks/whatsapp",
        "GET /api/v1/webhooks/whatsapp/{slug}",
        "POST /api/v1/auth/invitations/accept",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/login/totp",
        "POST /api/v1/auth/password/forgot",
        "POST /api/v1/auth/password/reset",
        "POST /api/v1/auth/register",
        "POST /api/v1/auth/signup",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/billing/webhook/intake",
        "POST /api/v1/billing/webhook/status",
        "POST /api/v1/checkout",
        "POST /api/v1/open-delivery/oauth/token",
        "POST /api/v1/checkout/coupons",
        "POST /api/v1/checkout/preview",
        "POST /api/v1/orders/{order_id}/cancel",
        "POST /api/v1/orders/{order_id}/payment-intent",
        "POST /api/v1/shipping/quote",
        "GET /.well-known/ucp",
        "POST /api/v1/ucp/catalog/lookup",
        "POST /api/v1/ucp/catalog/product",
        "POST /api/v1/ucp/catalog/search",
        "POST /api/v1/ucp/checkout-sessions",
        "GET /api/v1/ucp/checkout-sessions/{checkout_session_id}",
        "GET /api/v1/ucp/checkout-sessions/{checkout_session_id}/cart",
        "PUT /api/v1/ucp/checkout-sessions/{checkout_session_id}",
        "POST /api/v1/ucp/checkout-sessions/{checkout_session_id}/complete",
        "POST /api/v1/ucp/checkout-sessions/{checkout_session_id}/cancel",
        "POST /api/v1/webhooks/stripe",
        "POST /api/v1/webhooks/stripe/{slug}",
        "POST /api/v1/webhooks/whatsapp",
        "POST /api/v1/webhooks/whatsapp/{slug}",
    }


def test_creating_twice_is_refused(routes: list[Endpoint]) -> None:
    for route in routes:
        scoped = route.path.startswith(("/api/v1/admin", "/api/v1/checkout"))
        if route.method != "POST" or not scoped:
            continue
        needless = route.name in NOT_IDEMPOTENT
        assert route.idempotent != needless, f"{route.name}: Idempotent, or a reason in the list"


def test_replay_needs_the_route_class(routes: list[Endpoint]) -> None:
    wrong = [route.name for route in routes if route.idempotent and not route.replayable]
    assert not wrong, f"set route_class=ReplayableRoute on the router of {wrong}"


def test_lists_of_exceptions_are_current(routes: list[Endpoint]) -> None:
    names = {route.name for route in routes}
    assert set(NOT_IDEMPOTENT) <= names
    assert set(READS_BY_POST) <= names


def test_paths_read_alike(routes: list[Endpoint]) -> None:
    for route in routes:
        if route.path in OUTSIDE or route.path.startswith(STANDARDS):
            continue
        assert route.path.startswith("/api/v1/"), route.name
        segments = route.path.strip("/").split("/")
        for segment, following in zip(segments, [*segments[1:], ""], strict=True):
            if segment.startswith("{"):
                assert re.fullmatch(r"\{[a-z]+(_[a-z]+)*\}", segment), route.name
                continue
            assert KEBAB.fullmatch(segment), f"{route.name}: {segment} is not kebab-case"
            if following.startswith("{") and segment not in UNCOUNTABLE:
                assert segment.endswith("s"), f"{route.name}: {segment} is not plural"


def test_every_route_says_what_it_does(app: Largo) -> None:
    for name, operation in operations(app.api.openapi()):
        assert operation.get("summary"), name
        said = operation.get("description", "")
        assert said, f"{name} needs a docstring"
        assert said.rstrip().endswith("."), f"{name}: {said!r}"
        assert operation.get("tags"), name


def test_every_route_tells_how_it_refuses(app: Largo, routes: list[Endpoint]) -> None:
    documented = dict(operations(app.api.openapi()))
    for route in routes:
        answers = documented[route.name]["responses"]
        if "{" in route.path and not route.path.endswith("/{provider}"):
            assert "404" in answers, f"{route.name} has a path parameter and no 404"
        if not route.is_public:
            assert {"401", "403"} <= set(answers), f"{route.name} is gated"


def test_ready_bytes_have_a_route_behind_them(routes: list[Endpoint]) -> None:
    public = {route.path for route in routes if route.method == "GET" and route.is_public}
    assert set(READY) <= public, "a ready route is a shorter way to the same answer"
