"""What the house itself costs: GET /auth/me beside a bare FastAPI route, the layers beside none."""

from __future__ import annotations

import asyncio

import asyncpg
from pydantic import SecretStr

from app.core.ids import new_id
from app.core.tokens import Tokens
from scripts.benchmarks import data, pg
from scripts.benchmarks.contests import (
    READERS,
    UNLIMITED,
    Bench,
    Outcome,
    contest,
    make_shops,
    per_second,
    product,
    server_us,
)
from scripts.benchmarks.report import compare

ME = "/api/v1/auth/me"
ME_GATE, LAYERS_GATE = 0.40, 0.65
"""Of the bare route's requests per second (spec/platform §7: layers cost at most 35 %)."""
_BARE = "scripts.benchmarks.bare"


async def _token(bench: Bench, slug: str) -> str:
    """An access token of a new owner with a live session."""
    connection = await asyncpg.connect(
        pg.database_url(bench.maintenance_url, pg.OURS).replace("+asyncpg", "")
    )
    user_id, session_id = new_id(), new_id()
    try:
        tenant_id = await connection.fetchval("SELECT id FROM tenants WHERE slug = $1", slug)
        await connection.execute(
            "INSERT INTO users (tenant_id, id, email, name, password_hash, role) "
            "VALUES ($1, $2, $3, 'Ana', '-', 'owner')",
            tenant_id, user_id, f"{user_id}@example.com",
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO user_sessions (tenant_id, id, user_id, expires_at) "
            "VALUES ($1, $2, $3, now() + interval '1 day')",
            tenant_id, session_id, user_id,
        )  # fmt: skip
    finally:
        await connection.close()
    ring = [SecretStr(key) for key in bench.values["AUTH_SECRETS"].split(",")]
    return Tokens(ring, "HS256", 60).issue(user_id, tenant_id, "owner", session_id)[0]


def me(bench: Bench) -> Outcome:
    """GET /api/v1/auth/me against a bare FastAPI route with a small model."""
    print("\nAuth/me", flush=True)
    make_shops(bench)
    shop = bench.shops[0]
    token = asyncio.run(_token(bench, shop.slug))
    bare = bench.start("bare fastapi", f"{_BARE}:fastapi_route", "/me", bench.values, factory=True)
    ours = product(bench)
    asked = data.get(ME, **{"X-Tenant": shop.slug, "Authorization": f"Bearer {token}"})
    base, mine = contest(
        bench,
        [
            bench.target(bare, [data.get("/me")], READERS),
            bench.target(ours, [asked], READERS),
        ],
    )
    bench.stop_servers()
    base.name, mine.name = "me: bare FastAPI route", "me: GET /api/v1/auth/me"
    name = "auth/me req/s : bare FastAPI"
    return Outcome(
        [base, mine],
        [
            compare(name, mine, base, per_second, bound=ME_GATE, unit="/s"),
            compare("auth/me app CPU : bare FastAPI", mine, base, server_us, unit=" us"),
        ],
    )


def layers(bench: Bench) -> Outcome:
    """One Starlette route behind our layers against the same route without them."""
    print("\nLayers", flush=True)
    values = {
        **bench.values,
        "RATE_LIMIT_READS_PER_MINUTE": UNLIMITED,
        "RATE_LIMIT_ANONYMOUS": UNLIMITED,
    }
    bare = bench.start("bare starlette", f"{_BARE}:starlette_route", "/me", values, factory=True)
    wrapped = bench.start("layered", f"{_BARE}:layered_route", "/me", values, factory=True)
    request = [data.get("/me")]
    base, mine = contest(
        bench, [bench.target(bare, request, READERS), bench.target(wrapped, request, READERS)]
    )
    bench.stop_servers()
    base.name, mine.name = "layers: bare Starlette route", "layers: the same behind ours"
    name = "layered req/s : bare Starlette"
    return Outcome(
        [base, mine],
        [
            compare(name, mine, base, per_second, bound=LAYERS_GATE, unit="/s"),
            compare("layered app CPU : bare Starlette", mine, base, server_us, unit=" us"),
        ],
    )
