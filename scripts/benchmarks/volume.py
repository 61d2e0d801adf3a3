"""``./scripts/bench --volume``: every list of a shop with a million orders, through the real app.

Makes a tenant of 10,000 products and 1,000,000 orders of two years with COPY, sums its insights
up, and asks each GET of the tenant's API with each filter (``volume_questions``). A question fails
above 50 ms at the 95th percentile (insights: 300 ms), or when a plan of it, made as the tenant
under row level security, reads a large table from end to end; and so does the run when Postgres
itself counted such a reading, as inside of functions, which no plan shows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from sqlalchemy import event

from app.commerce.insights.service import InsightService
from app.core.settings import Settings
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, unit_of_work
from app.main import Largo, create_app
from scripts.benchmarks import volume_data
from scripts.benchmarks.volume_questions import INSIGHTS_MS, LIMIT_MS, Asked, Question, questions

LARGE = 50_000
"""A table with more rows than this must not be read from end to end."""
REPORT_TIMES = 3
_TOLD_LATE_S = 11
"""A connection counts what it read up to ten idle seconds late (PGSTAT_IDLE_INTERVAL)."""
_UNLIMITED = {
    "rate_limit_reads_per_minute": "1000000000",
    "rate_limit_anonymous": "1000000000",
    "log_level": "WARNING",
}
_ACTOR = Actor("system", "bench")


@dataclass
class Measured:
    """How one question was answered."""

    question: Question
    status: int = 0
    times_ms: list[float] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)
    """Large tables that it reads from end to end."""
    indexes: list[str] = field(default_factory=list)
    """What it finds the rows of large tables by."""

    def at(self, share: float) -> float:
        ordered = sorted(self.times_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def passed(self) -> bool:
        in_time = self.at(0.95) <= self.question.limit_ms
        kept = self.question.is_report or (in_time and not self.scans)
        return self.status == 200 and kept


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


async def follow(client: httpx.AsyncClient, asked: Sequence[Question]) -> list[Question]:
    """The second page of every list that has one."""
    found = []
    for question in asked:
        body = (await client.get(question.path, params=dict(question.params))).json()
        cursor = body.get("next_cursor") if isinstance(body, dict) else None
        if cursor is not None:
            found.append(
                Question(question.route, question.path, {**question.params, "cursor": str(cursor)})
            )
    return found


class Plans:
    """Explains again what the app asked, as its tenant, and picks whole readings out."""

    def __init__(self, runtime: Runtime, tenant: TenantContext, sizes: Mapping[str, int]) -> None:
        self._runtime, self._tenant = runtime, tenant
        self._large = {name for name, rows in sizes.items() if rows > LARGE}
        self._asked: dict[str, tuple[str, Sequence[object]]] = {}
        self._settings = ""
        """What the transaction under way has set for itself."""

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
        word = query.lstrip().upper()
        if word.startswith(("SELECT", "WITH")):
            self._asked.setdefault(query, (self._settings, args))
        elif word.startswith("BEGIN"):
            self._settings = ""
        elif word.startswith("SET "):
            self._settings += f"{query};"

    async def judge(self, measured: Measured) -> None:
        """Explain what was asked since the last time, as the tenant."""
        asked, self._asked = self._asked, {}
        scans: set[str] = set()
        indexes: set[str] = set()
        for query, (settings, args) in asked.items():
            async with unit_of_work(self._runtime, self._tenant, _ACTOR) as work:
                driver = await work.raw()
                if settings:
                    await driver.execute(settings)
                plan = await driver.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *args)
            # As text where nobody taught the connection to read JSON.
            read = json.loads(plan) if isinstance(plan, str) else plan
            self._walk(read[0]["Plan"], scans, indexes)
        self._asked.clear()
        measured.scans, measured.indexes = sorted(scans), sorted(indexes)

    def _walk(self, node: Mapping[str, Any], scans: set[str], indexes: set[str]) -> None:
        kind, table = node["Node Type"], node.get("Relation Name")
        if kind == "Seq Scan" and table in self._large:
            scans.add(table)
        if "Index Name" in node and (table is None or table in self._large):
            indexes.add(node["Index Name"])
        for child in node.get("Plans", ()):
            self._walk(child, scans, indexes)


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
    # Without a worker, which would sum up as well, and disturb what is measured.
    fields |= {"database_url": url, "worker_in_process": "false"} | _UNLIMITED
    app: Largo = create_app(Settings.model_validate(fields))
    async with app.api.router.lifespan_context(app.api):
        runtime = app.runtime
        tenant = await runtime.tenants.find("slug", made.slug)
        if tenant is None:
            raise LookupError(made.slug)
        print(f"  summed up in {await sum_up(runtime, tenant):.0f} s", flush=True)
        await volume_data.settle(url)
        asked = questions(app.api.openapi(), made)
        token, _ = runtime.tokens.issue(made.owner, made.tenant, "owner", made.session)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"X-Tenant": made.slug, "Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=headers, timeout=120
        ) as client:
            asked.questions += await follow(client, asked.pages)
            before = await read_whole(url)
            found = [await ask(client, q, times) for q in asked.questions if not q.is_report]
            plans = Plans(runtime, tenant, await volume_data.sizes(url))
            plans.listen()
            for measured in found:
                question = measured.question
                await client.get(question.path, params=dict(question.params))
                await plans.judge(measured)
            after = await read_whole(url)
            found += [await ask(client, q, REPORT_TIMES) for q in asked.questions if q.is_report]
    whole = {name: count - before[name] for name, count in after.items() if count > before[name]}
    print(table(found, asked, whole), flush=True)
    return 0 if all(m.passed for m in found) and not asked.unknown and not whole else 1


async def read_whole(url: str) -> dict[str, int]:
    """How often each large table was read from end to end so far, in functions as well."""
    large = [name for name, rows in (await volume_data.sizes(url)).items() if rows > LARGE]
    await asyncio.sleep(_TOLD_LATE_S)
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY ($1)", large
        )
        return {row["relname"]: row["seq_scan"] for row in rows}
    finally:
        await connection.close()


def table(found: Sequence[Measured], asked: Asked, whole: Mapping[str, int]) -> str:
    """One line per question, the slowest last."""
    lines = [f"{'p50 ms':>8} {'p95 ms':>8}  {'':4}  question  [plan]"]
    for one in sorted(found, key=lambda m: (not m.passed, m.at(0.95))):
        word = "FAIL" if not one.passed else "-" if one.question.is_report else "ok"
        why = f" [answers {one.status}]" if one.status != 200 else ""
        plan = ", ".join(one.indexes)
        why += f" [READS ALL OF {', '.join(one.scans)}]" if one.scans else f" [{plan}]"
        lines.append(
            f"{one.at(0.5):8.1f} {one.at(0.95):8.1f}  {word:4}  {one.question.name[:110]}{why}"
        )
    lines += [f"  not asked: {route} ({why})" for route, why in asked.left_out]
    lines += [f"  FAIL  nobody says how to ask {what}" for what in asked.unknown]
    lines += [f"  FAIL  {name} was read from end to end {n} times" for name, n in whole.items()]
    passed = sum(m.passed for m in found)
    routes = len({m.question.route for m in found})
    lines.append(
        f"{passed} of {len(found)} questions to {routes} routes answered in time (lists "
        f"{LIMIT_MS:g} ms, insights {INSIGHTS_MS:g} ms, 95th percentile), large tables read by "
        f"their indexes"
    )
    return "\n".join(lines)
