"""Schemathesis over the whole OpenAPI document as the owner: no 5xx, nothing undocumented.

Every route gets a few cases with a fixed seed; CONTRIBUTING says how to run it long.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.core.clock import now
from app.core.settings import Settings
from app.kernel.sessions.models import UserSession
from app.kernel.tenants.service import ensure_tenant
from app.main import Largo
from scripts.local.environment import connected
from tests.architecture.belongings import client, make_belongings
from tests.architecture.conftest import Owner
from tests.architecture.routes import example_body, operations
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World, make_world
from tests.faults.server import ROOT, ServerProcess

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
"""Cases per route."""
SEED = os.environ.get("FUZZ_SEED", "20261122")
LONGEST_S = 900

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)

UNFUZZED = {
    "GET /api/v1/orders/{order_id}/events": "the same; tests/commerce/orders/test_following.py",
    "GET /api/v1/events": "its answer never ends; tests/kernel/test_realtime.py reads it",
}
SPENT = {
    "POST /api/v1/auth/logout": "ends the session that calls it",
    "POST /api/v1/auth/password/change": "ends all other sessions of who calls it",
    "POST /api/v1/auth/totp/confirm": "the same",
}
"""Called by a member of their own, with a new session each time."""


def _vendors(sandbox_url: str) -> dict[str, str]:
    """Every vendor is played by the sandbox: what is made up here reaches nobody."""
    nobody = {
        name.upper(): f"{sandbox_url}/nobody"
        for name in Settings.model_fields
        if name.endswith("_base_url") and name != "public_base_url"
    }
    return {
        **nobody,
        **connected(sandbox_url),
        "TELEGRAM_API_BASE_URL": f"{sandbox_url}/telegram",
        "WHATSAPP_GRAPH_BASE_URL": f"{sandbox_url}/graph",
        "STRIPE_SECRET_KEY": "sk_test_largo",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_largo",
        "STRIPE_WEBHOOK_SECRET": "whsec_of_nobody_who_signs_here",
        "BILLING_WEBHOOK_SECRET": "0" * 40,
    }


@pytest.fixture
async def server(
    environment: dict[str, str], sandbox_url: str, owner_sql: Owner
) -> AsyncIterator[ServerProcess]:
    """A process of its own; afterwards what other tests would meet is as before: jobs, plans and
    who ticks."""
    rows = await owner_sql.fetch("SELECT code, to_jsonb(p)::text AS row FROM plans p")
    plans = [row["code"] for row in rows]
    last_job = await owner_sql.fetchval("SELECT coalesce(max(id), 0) FROM pgqueuer")
    process = ServerProcess(environment, **_vendors(sandbox_url))
    await process.start()
    yield process
    process.stop()
    await owner_sql.execute("DELETE FROM pgqueuer WHERE id > $1", last_job)
    made = "NOT plan_code = ANY($1::text[])"
    await owner_sql.execute(f"UPDATE tenants SET plan_code = NULL WHERE {made}", plans)  # noqa: S608
    await owner_sql.execute("DELETE FROM plans WHERE NOT code = ANY($1::text[])", plans)
    await owner_sql.execute("UPDATE schedules SET is_enabled = false")
    for row in rows:
        columns = ", ".join(json.loads(row["row"]))
        await owner_sql.execute(
            f"UPDATE plans p SET ({columns}) = (SELECT {columns} "  # noqa: S608 - its own columns
            "FROM jsonb_populate_record(NULL::plans, $1::text::jsonb)) WHERE p.code = $2",
            row["row"],
            row["code"],
        )


async def _session(world: World, user_id: UUID) -> tuple[UUID, str]:
    """One more live session of a user who is an owner: its id and its token."""
    async with world.work() as work:
        session = UserSession(user_id=user_id, expires_at=now() + timedelta(days=1))
        work.session.add(session)
        await work.session.flush()
        token, _ = work.runtime.tokens.issue(user_id, world.tenant.id, "owner", session.id)
        return session.id, token


async def _tokens(world: World, count: int) -> list[str]:
    """As many live sessions of a member of their own."""
    member = await world.member("owner")
    return [(await _session(world, member.id))[1] for _ in range(count)]


async def _cart(world: World) -> dict[str, Any]:
    """What a shop sells that no other route of the document touches."""
    shop = await make_shop(world, slug=f"fuzz-{secrets.token_hex(4)}")
    return shop.cart(await shop.product("Suco de laranja", 900))


async def _facts(app: Largo, world: World, owner_sql: Owner) -> dict[str, Any]:
    """What the hooks put into cases: objects to use, others to delete, and the examples."""
    lasting = await make_belongings(app, world, owner_sql)
    doomed = await make_belongings(app, world, owner_sql)
    victim = await make_world(app.runtime)
    for one in (lasting, doomed):
        code = f"fuzz-{one.mark}"
        plan = {"code": code, "name": one.mark, "price_cents": 100}
        async with client(app, world.tenant.slug, world.owner) as owner:
            made = await owner.post("/api/v1/admin/central/plans", json=plan, headers=key())
        assert made.status_code == 201, made.text
        one.in_path["plans/code"] = code
        one.in_path["tenants/tenant_id"] = str(victim.tenant.id)
        session_id, _ = await _session(world, UUID(one.in_path["users/user_id"]))
        one.in_path["sessions/session_id"] = str(session_id)
    document = app.api.openapi()
    paths, bodies = {}, {}
    for name, operation in operations(document):
        method, template = name.split(" ")
        one = doomed if method == "DELETE" else lasting
        real = one.path(template).split("/")
        paths[name] = {
            part[1:-1]: real[at]
            for at, part in enumerate(template.split("/"))
            if part.startswith("{") and "{key}" not in template
        }
        bodies[name] = lasting.body(example_body(document, operation))
    cart, (session_id, _) = await _cart(world), await _session(world, world.owner.id)
    for name in ("checkout", "checkout/preview", "checkout/coupons"):
        bodies[f"POST /api/v1/{name}"] = cart
    paths["DELETE /api/v1/auth/sessions/{session_id}"]["session_id"] = str(session_id)
    return {
        "tenant": world.tenant.slug,
        "token": world.owner.token,
        "own": [str(own) for own in (world.tenant.id, world.owner.id, world.owner.session_id)],
        "spent": {name: await _tokens(world, 2 * EXAMPLES) for name in SPENT},
        "in_body": lasting.in_body,
        "paths": paths,
        "bodies": bodies,
    }


async def _schemathesis(url: str, facts: Path, folder: Path) -> str:
    """Run it to its end; answers what it printed."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--phases", "fuzzing", "--checks", ",".join(CHECKS), "--continue-on-failure"),
        *("--max-examples", str(EXAMPLES), "--seed", SEED, "--no-shrink"),
        *("--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30"),
        *("--output-truncate", "false", "--report", "json"),
        *("--report-json-path", str(folder / "report.json")),
    ]
    for name in UNFUZZED:
        command += ["--exclude-name", name]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.architecture.fuzzing", "FUZZ_FACTS": str(facts)}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,  # it keeps a cache there, which would be replayed before the fixed seed
        env={**os.environ, **hooks, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return f"{printed.decode()}\nschemathesis ended with {process.returncode}"


def _read(answers: Path) -> dict[str, Counter[int]]:
    """How often each route answered each status."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in answers.read_text().splitlines():
        name, status = line.split("\t")
        found[name][int(status)] += 1
    return found


def _count(seen: dict[str, Counter[int]], statuses: range) -> int:
    return sum(n for found in seen.values() for status, n in found.items() if status in statuses)


@pytest.mark.timeout(LONGEST_S)
async def test_nothing_made_up_breaks_a_route_or_its_description(
    app: Largo, server: ServerProcess, sandbox_url: str, owner_sql: Owner, tmp_path: Path
) -> None:
    world = await make_world(app.runtime)
    await ensure_tenant(app.runtime, world.tenant.slug, is_super_admin=True)
    told, answers = tmp_path / "facts.json", tmp_path / "answers.tsv"
    ours = {"answers": str(answers), "vendor": f"{sandbox_url}/graph"}
    ours["platform"] = f"{sandbox_url}/ucp/.well-known/ucp"
    told.write_text(json.dumps(await _facts(app, world, owner_sql) | ours))
    await owner_sql.execute("UPDATE ucp_sessions SET platform = $1", ours["platform"])
    printed = await _schemathesis(server.url, told, tmp_path)
    seen = _read(answers)
    cases, fine = _count(seen, range(1000)), _count(seen, range(200, 300))
    print(f"schemathesis: {cases} cases over {len(seen)} routes, {fine} of them done")
    assert printed.endswith("ended with 0"), printed
    documented = {name for name, _ in operations(app.api.openapi())}
    assert set(seen) == documented - set(UNFUZZED), "every route is tried"
    assert set(UNFUZZED) | set(SPENT) <= documented
    assert _count(seen, range(500, 600)) == 0
    async with client(app, world.tenant.slug, world.owner) as owner:
        assert (await owner.get("/api/v1/auth/me")).status_code == 200, "logged in to the end"
    assert fine > cases // 5, (
        "most of it is refused at the door: do the ids and examples still fit?"
    )
