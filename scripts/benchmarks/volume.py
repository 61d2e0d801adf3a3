"""``./scripts/bench --volume``: every list of a shop with a million orders, through the real app.

Makes a tenant of 10,000 products and 1,000,000 orders of two years with COPY, sums its insights
up, and asks each list route with each filter. A route fails above 50 ms at the 95th percentile,
or when its plan reads a large table from end to end. Routes come from ``/openapi.json``: a new
list or a new filter of one is asked without a line here, with the value ``VALUES`` has for its
name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import event

from app.commerce.insights.service import InsightService
from app.core.clock import now
from app.core.settings import Settings
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, unit_of_work
from app.main import Largo, create_app
from scripts.benchmarks import volume_data
from scripts.benchmarks.volume_data import Made

LIMIT_MS = 50.0
PREFIXES = ("/api/v1/admin/", "/api/v1/catalog", "/api/v1/stores", "/api/v1/orders")
OF_COMMERCE = (
    "orders", "catalog", "customers", "campaigns", "promotions", "inventory", "stores", "shipping",
    "insights", "payments",
)  # fmt: skip
NOT_LISTS = ("/export", "/print", "/events", "/rebuild")
LARGE = 50_000
"""A table with more rows than this must not be read from end to end."""
_ACTOR = Actor("system", "bench")


@dataclass(frozen=True)
class Question:
    """One request: the route it belongs to, and what is asked of it."""

    route: str
    path: str
    params: Mapping[str, str]

    @property
    def name(self) -> str:
        asked = "&".join(f"{k}={v}" for k, v in self.params.items())
        return f"{self.route}{'?' if asked else ''}{asked}"


@dataclass
class Measured:
    """How one question was answered."""

    question: Question
    status: int = 0
    times_ms: list[float] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)

    def at(self, share: float) -> float:
        ordered = sorted(self.times_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def passed(self) -> bool:
        return self.status == 200 and self.at(0.95) <= LIMIT_MS and not self.scans


def questions(document: Mapping[str, Any], made: Made) -> Iterator[Question]:
    """Every GET of commerce whose path needs no id: bare, and once per value of each filter."""
    values = values_of(made)
    for path, operations in document["paths"].items():
        operation = operations.get("get")
        words = path.removeprefix("/api/v1/").removeprefix("admin/").split("/")
        if operation is None or words[0] not in OF_COMMERCE or path.endswith(NOT_LISTS):
            continue
        if "{" in path.replace("{contact_id}", "").replace("{product_id}", ""):
            continue
        asked = path.replace("{contact_id}", values["contact_id"][0]).replace(
            "{product_id}", values["product_id"][0]
        )
        given = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
        needed = {p["name"]: values[p["name"]][0] for p in given if p.get("required")}
        if "store" in {p["name"] for p in given}:
            needed["store"] = values["store"][0]
        yield Question(path, asked, needed)
        for parameter in given:
            for value in _values(parameter, values):
                yield Question(path, asked, {**needed, parameter["name"]: value})


def _values(parameter: Mapping[str, Any], values: Mapping[str, Sequence[str]]) -> Sequence[str]:
    name = parameter["name"]
    if name in values:
        return values[name]
    schemas = [parameter["schema"], *parameter["schema"].get("anyOf", ())]
    if any(schema.get("type") == "boolean" for schema in schemas):
        return ("true", "false")
    return ()


def values_of(made: Made) -> dict[str, list[str]]:
    """What is asked of a filter, by its name: something common and something rare."""
    today = now()
    month = (today - timedelta(days=400)).isoformat()
    return {
        "status": ["pending", "delivered", "cancelled"],
        "fulfilment": ["delivery", "pickup"],
        "store_id": [str(made.stores[0])],
        "store": [made.store_slug],
        "contact_id": [str(made.contacts[5])],
        "product_id": [str(made.products[5])],
        "category_id": [str(made.categories[0])],
        "category": ["categoria-3"],
        "item_id": [str(made.products[5])],
        "order_id": [str(made.orders[5])],
        "kind": ["sale", "receipt"],
        "placed_from": [month],
        "placed_to": [month],
        "since": [(today - timedelta(days=365)).date().isoformat()],
        "until": [(today - timedelta(days=365)).date().isoformat()],
        "grain": ["week", "month"],
        "query": ["Maria", "Cliente 77", "pizza", "zzzz-nada", "500123", "+5511900000042"],
        "cursor": [str(made.orders[len(made.orders) // 2])],
        "limit": ["100"],
        "payment_method": ["pix"],
        "payment_status": ["paid", "failed"],
        "source": ["storefront", "import"],
        "city": ["São Paulo"],
        "district": ["Pinheiros"],
        "promotion_id": [str(made.promotions[0])],
        "min_total_cents": ["9000"],
        "max_total_cents": ["900"],
        "sort": ["name", "-name", "placed_at", "-placed_at"],
    }


async def ask(client: httpx.AsyncClient, question: Question, times: int) -> Measured:
    """Ask once to warm up, then ``times`` times."""
    found = Measured(question)
    answer = await client.get(question.path, params=dict(question.params))
    found.status = answer.status_code
    for _ in range(times if answer.status_code == 200 else 1):
        began = time.perf_counter()
        await client.get(question.path, params=dict(question.params))
        found.times_ms.append((time.perf_counter() - began) * 1e3)
    return found


class Plans:
    """Explains again what the app asked, as its tenant, and picks whole readings out."""

    def __init__(self, runtime: Runtime, tenant: TenantContext, sizes: Mapping[str, int]) -> None:
        self._runtime, self._tenant = runtime, tenant
        self._large = {name for name, rows in sizes.items() if rows > LARGE}
        self._asked: dict[str, Sequence[object]] = {}

    def listen(self) -> None:
        """Remember every statement that a connection of the tenants' pool is asked."""
        engine = self._runtime.database.tenant_engine.sync_engine
        event.listen(engine, "checkout", self._on_checkout)
        event.listen(engine, "before_cursor_execute", self._on_execute)

    def _on_execute(
        self, _conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any
    ) -> None:
        self._note(statement, parameters)

    def _on_checkout(self, connection: Any, record: Any, _proxy: Any) -> None:
        if not record.info.get("heard"):
            record.info["heard"] = True
            connection.driver_connection.add_query_logger(self._hear)

    def _hear(self, query: Any) -> None:
        self._note(query.query, query.args)

    def _note(self, query: str, args: Sequence[object]) -> None:
        if query.lstrip().upper().startswith(("SELECT", "WITH")):
            self._asked.setdefault(query, args)

    async def judge(self) -> list[str]:
        """The large tables that what was asked since the last time would read from end to end."""
        asked, self._asked = self._asked, {}
        found: set[str] = set()
        for query, args in asked.items():
            async with unit_of_work(self._runtime, self._tenant, _ACTOR) as work:
                driver = await work.raw()
                plan = await driver.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *args)
            # As text where nobody taught the connection to read JSON.
            read = json.loads(plan) if isinstance(plan, str) else plan
            self._walk(read[0]["Plan"], found)
        self._asked.clear()
        return sorted(found)

    def _walk(self, node: Mapping[str, Any], found: set[str]) -> None:
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in self._large:
            found.add(node["Relation Name"])
        for child in node.get("Plans", ()):
            self._walk(child, found)


async def sum_up(runtime: Runtime, tenant: TenantContext) -> float:
    """Bring the insights up to date, as the worker would; the seconds it took."""
    began, left = time.perf_counter(), True
    while left:
        async with unit_of_work(runtime, tenant, _ACTOR) as work:
            left = await InsightService(work).roll_up()
    return time.perf_counter() - began


async def measure(url: str, values: Mapping[str, str], times: int, orders: int) -> int:
    """Fill the database, ask everything, print the table; the exit code."""
    made = await volume_data.fill(url, orders=orders)
    fields = {k.lower(): v for k, v in values.items() if k.lower() in Settings.model_fields}
    app: Largo = create_app(Settings.model_validate({**fields, "database_url": url}))
    async with app.api.router.lifespan_context(app.api):
        runtime = app.runtime
        tenant = await runtime.tenants.find("slug", made.slug)
        if tenant is None:
            raise LookupError(made.slug)
        print(f"  summed up in {await sum_up(runtime, tenant):.0f} s", flush=True)
        await volume_data.settle(url)
        token, _ = runtime.tokens.issue(made.owner, made.tenant, "owner", made.session)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"X-Tenant": made.slug, "Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=headers, timeout=120
        ) as client:
            asked = list(questions(app.api.openapi(), made))
            found = [await ask(client, question, times) for question in asked]
            plans = Plans(runtime, tenant, await volume_data.sizes(url))
            plans.listen()
            for measured in found:
                await client.get(measured.question.path, params=dict(measured.question.params))
                measured.scans = await plans.judge()
    print(table(found), flush=True)
    return 0 if all(m.passed for m in found) else 1


def table(found: Sequence[Measured]) -> str:
    """One line per question, the slowest last."""
    lines = [f"{'p50 ms':>8} {'p95 ms':>8}  {'':4}  question"]
    for one in sorted(found, key=lambda m: m.at(0.95)):
        word = "ok" if one.passed else "FAIL"
        why = f"  [answers {one.status}]" if one.status != 200 else ""
        why += f"  [reads all of {', '.join(one.scans)}]" if one.scans else ""
        lines.append(
            f"{one.at(0.5):8.1f} {one.at(0.95):8.1f}  {word:4}  {one.question.name[:110]}{why}"
        )
    passed = sum(m.passed for m in found)
    lines.append(
        f"{passed} of {len(found)} questions within {LIMIT_MS:g} ms at the 95th percentile"
    )
    return "\n".join(lines)
