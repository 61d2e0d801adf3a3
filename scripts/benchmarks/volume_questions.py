"""What ``./scripts/bench --volume`` asks: every GET of the tenant's API, found in its document.

A new route or filter is asked without a line here. What cannot be asked says why: a route in
``ASIDE``, else the run fails and names what has neither a value nor a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations, product
from typing import Any

from app.core.clock import now
from scripts.benchmarks.volume_data import Made

API = "/api/v1/"
ORDERS = "/api/v1/admin/orders"
INSIGHTS = "/api/v1/admin/insights"
LIMIT_MS = 50.0
INSIGHTS_MS = 300.0
"""No list: three periods with everything in them, the open day counted from its orders."""
ASIDE = {
    r"/(health|problems|metrics|media)\b.*": "not of a tenant",
    r"/api/v1/(health|plans)": "not of a tenant",
    r"/api/v1/admin/central/.*": "the platform's, not the tenant's",
    r"/api/v1/orders/\{order_id\}.*": "one order by its key, for whoever holds its token",
    r".*/callback": "answers a vendor's redirect",
    r"/api/v1/(connections/\{|signature-providers/).*": "asks one vendor's settings by key",
    r"/\.well-known/ucp": "agents are not let into the shop of the bench",
    r"/api/v1/ucp/checkout-sessions/.*": "one checkout by its key, for whoever knows it",
    r"/api/v1/canned-replies/\{.*": "one text by its key",
    r"/api/v1/messages/\{message_id\}/media": "one medium by its message",
    r"/api/v1/message-uploads/\{.*": "one upload by its key",
    r"/api/v1/open-delivery/.*": "a credential's own events, asked with its token",
    r"/api/v1/auth/totp": "one row of the caller",
    r"/api/v1/(billing|admin/billing).*": "the shop of the bench has no subscription",
}
REPORTS = (
    "/api/v1/catalog", "/api/v1/contacts/duplicates", "/api/v1/contacts/statistics",
    "/api/v1/admin/customers/duplicates", "/api/v1/admin/customers/statistics",
    "/api/v1/admin/inventory/drift",
)  # fmt: skip
"""Not lists: the whole menu (made once per change, then served ready-made), and figures that
are drawn from everything whenever somebody asks. Asked and shown, without a limit."""
_STEPS = frozenset({"cursor", "before", "after"})
"""Followed from the page before, and for orders asked in the middle of them."""


@dataclass(frozen=True)
class Question:
    """One request: the route it belongs to, and what is asked of it."""

    route: str
    path: str
    params: Mapping[str, str]

    @property
    def is_report(self) -> bool:
        return self.route in REPORTS

    @property
    def limit_ms(self) -> float:
        """What its 95th percentile may be."""
        return INSIGHTS_MS if self.route == INSIGHTS else LIMIT_MS

    @property
    def name(self) -> str:
        asked = "&".join(f"{k}={v}" for k, v in self.params.items())
        return f"{self.route.removeprefix(API)}{'?' if asked else ''}{asked}"


@dataclass
class Asked:
    """What there is to ask, what is left out and why, and what nobody thought of."""

    questions: list[Question] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def pages(self) -> list[Question]:
        """The plain question of each route, whose second page is asked as well."""
        return list({q.route: q for q in reversed(self.questions)}.values())


def questions(document: Mapping[str, Any], made: Made) -> Asked:
    """Every GET that answers JSON: bare, once per value of each filter, orders also by pairs."""
    found, ids, values = Asked(), _ids(made), values_of(made)
    for route, operations in document["paths"].items():
        if "get" not in operations:
            continue
        operation, why = operations["get"], _aside(route, operations["get"])
        if why is not None:
            found.left_out.append((route, why))
            continue
        named = {**ids, "group_id": ids["modifier_group_id"]} if "modifier" in route else ids
        missing = [n for n in re.findall(r"{(\w+)}", route) if n not in named]
        if missing:
            found.unknown.append(f"{route}: no {', '.join(missing)}")
            continue
        path = route.format(**named)
        found.questions += _of_route(route, path, operation, document, values, found.unknown)
    return found


def _aside(route: str, operation: Mapping[str, Any]) -> str | None:
    for pattern, why in ASIDE.items():
        if re.fullmatch(pattern, route):
            return why
    if "application/json" not in operation["responses"].get("200", {}).get("content", {}):
        return "a file or a stream of everything, no page"
    return None


def _of_route(
    route: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any],
    values: Mapping[str, Sequence[str]], unknown: list[str],
) -> Iterator[Question]:  # fmt: skip
    asked = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
    asked = [p for p in asked if p["name"] not in _STEPS or route == ORDERS]
    choices = {p["name"]: _choices(p, document, values) for p in asked}
    unknown += [f"{route}: no value of {name}" for name, given in choices.items() if not given]
    needed = {
        p["name"]: choices[p["name"]][0] for p in asked if p.get("required") or p["name"] == "store"
    }
    yield Question(route, path, needed)
    for name, given in choices.items():
        yield from (Question(route, path, {**needed, name: value}) for value in given)
    if route == ORDERS:
        yield from _pairs(route, path, choices)


def _pairs(route: str, path: str, choices: Mapping[str, Sequence[str]]) -> Iterator[Question]:
    for (one, ones), (other, others) in combinations(choices.items(), 2):
        for first, second in product(ones[:2], others[:2]):
            yield Question(route, path, {one: first, other: second})


def _choices(
    parameter: Mapping[str, Any], document: Mapping[str, Any], values: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    schemas = list(_schemas(parameter["schema"], document))
    enums = [str(value) for schema in schemas for value in schema.get("enum", ())]
    if enums:
        return enums
    if any(schema.get("type") == "boolean" for schema in schemas):
        return ("true", "false")
    name, formats = parameter["name"], {schema.get("format") for schema in schemas}
    if "date-time" in formats:
        return values["date-time"]
    return values.get(name, ())


def _schemas(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for part in (*schema.get("anyOf", ()), *filter(None, [schema.get("items")])):
        yield from _schemas(part, document)


def _ids(made: Made) -> dict[str, str]:
    of_tables = {
        "user_id": "users", "group_id": "groups", "department_id": "departments",
        "file_id": "files", "endpoint_id": "webhook_endpoints", "schedule_id": "schedules",
        "segment_id": "segments", "number_id": "whatsapp_numbers",
        "template_id": "message_templates", "conversation_id": "conversations",
        "stock_count_id": "stock_counts", "import_id": "imports",
        "modifier_group_id": "modifier_groups",
    }  # fmt: skip
    return {
        **{name: str(made.ids[table]) for name, table in of_tables.items()},
        "order_id": str(made.orders[5]),
        "product_id": str(made.products[5]),
        "category_id": str(made.categories[0]),
        "contact_id": str(made.contacts[5]),
        "store_id": str(made.stores[0]),
        "campaign_id": str(made.promotions[0]),
        "slug": made.store_slug,
    }


def values_of(made: Made) -> dict[str, Sequence[str]]:
    """What is asked of a filter, by its name: something common and something rare."""
    today = now()
    days = [(today - timedelta(days=n)).date().isoformat() for n in (6, 29, 89, 364)]
    ids = {name: (value,) for name, value in _ids(made).items()}
    return {
        **ids,
        "date-time": [(today - timedelta(days=n)).isoformat() for n in (400, 2)],
        "store_id": [str(store) for store in made.stores[:2]],
        "store": [made.store_slug],
        "category": ["categoria-3"],
        "item_id": [str(made.products[0]), str(made.products[-1])],
        "contact_id": [str(made.contacts[0]), str(made.contacts[-1])],
        "promotion_id": [str(made.promotions[0])],
        "batch_id": [str(made.promotions[0])],
        "assignee_id": [str(made.owner)],
        "owner_id": [str(made.owner)],
        "actor_id": [str(made.owner)],
        "resource_id": [str(made.orders[5])],
        "resource": ["order", "product", "nada"],
        "action": ["commerce.order_placed", "auth.logged_in"],
        "tags_all": [str(made.ids["tags"])],
        "tags_any": [str(made.ids["tags"])],
        "tags_none": [str(made.ids["tags"])],
        "attribute": ["tamanho:GG"],
        "label": ["vip"],
        "code": ["CUPOM7", "NADA"],
        "provider": ["stripe"],
        "status": ["approved"],
        "language": ["pt_BR"],
        "name": ["modelo_7"],
        "waba_id": ["1"],
        "month": [today.strftime("%Y-%m")],
        "since": days,
        "until": [days[1]],
        "each": ["50"],
        "count": ["50"],
        "cron": ["0 7 * * 1-6"],
        "timezone": ["America/Sao_Paulo"],
        "products": ["100"],
        "query": ["Maria", "Cliente 77", "pizza", "zzzz-nada", "500123", "+5511900000042"],
        "cursor": [str(made.orders[len(made.orders) // 2])],
        "limit": ["100"],
    }
