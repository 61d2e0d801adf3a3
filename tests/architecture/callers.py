"""Everybody who is refused at a gate: with the wrong tenant, role, key or session, or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

import httpx

from app.core.problems import Problem, Unauthenticated
from app.core.tokens import Tokens
from app.kernel.access import (
    ALWAYS_ON,
    NOT_FOR_KEYS,
    ROLE_GRANTS,
    ActionNotAllowed,
    ModuleNotEnabled,
    PersonOnly,
    SystemAdminOnly,
)
from app.kernel.identity import (
    COOKIE,
    SAFE,
    ApiKeyInvalid,
    CrossSiteRequest,
    SessionEnded,
    TenantMismatch,
)
from app.kernel.tenancy import OF_NO_TENANT, TenantSuspended, UnknownTenant
from app.main import Largo
from tests.architecture.conftest import Owner
from tests.architecture.routes import Endpoint
from tests.factories.tenants import Member, World, make_world

Refusal = type[Problem] | None
Rule = Callable[[Endpoint], Refusal]


def gated(kind: type[Problem]) -> Rule:
    """Every gate refuses so."""
    return lambda route: None if route.is_public else kind


def cross_site(route: Endpoint) -> Refusal:
    return None if route.is_public or route.method in SAFE else CrossSiteRequest


def granted(grants: Iterable[str]) -> Rule:
    """A member who may do this much, of a tenant that does not run the platform."""
    own = frozenset(grants)

    def rule(route: Endpoint) -> Refusal:
        if route.gate.get("kind") == "system":
            return SystemAdminOnly
        return ActionNotAllowed if route.grant and route.grant not in own else None

    return rule


def scoped(grants: Iterable[str]) -> Rule:
    """An API key that may do this much."""
    own = frozenset(grants) - NOT_FOR_KEYS

    def rule(route: Endpoint) -> Refusal:
        if route.is_public:
            return None
        if route.grant is None:
            return PersonOnly
        return None if route.grant in own else ActionNotAllowed

    return rule


def without_modules(route: Endpoint) -> Refusal:
    module = route.gate.get("module")
    return ModuleNotEnabled if module and module not in ALWAYS_ON else None


def everywhere(kind: type[Problem]) -> Rule:
    """The layers refuse so before any route is looked for."""
    return lambda route: None if route.path in OF_NO_TENANT else kind


READ_ORDERS = "commerce.orders:read"
KEY_SCOPES = ROLE_GRANTS["owner"] - NOT_FOR_KEYS
UNPAID = ("past_due", "canceled", "unpaid")

CASES: dict[str, Rule] = {
    "anonymous": gated(Unauthenticated),
    "anonymous, naming no tenant": gated(Unauthenticated),
    "unknown tenant": everywhere(UnknownTenant),
    "forged token": gated(SessionEnded),
    "expired token": gated(SessionEnded),
    "session revoked": gated(SessionEnded),
    "session idle too long": gated(SessionEnded),
    "session past its end": gated(SessionEnded),
    "user deactivated": gated(SessionEnded),
    "session of another tenant": gated(TenantMismatch),
    "cookie from another site": cross_site,
    **{f"role {role}": granted(grants) for role, grants in ROLE_GRANTS.items()},
    "key unknown": gated(ApiKeyInvalid),
    "key revoked": gated(ApiKeyInvalid),
    "key expired": gated(ApiKeyInvalid),
    "key of a deactivated user": gated(ApiKeyInvalid),
    "key of another tenant": gated(TenantMismatch),
    "key with every scope": scoped(KEY_SCOPES),
    "key with one scope": scoped({READ_ORDERS}),
    "key of a demoted user": scoped(ROLE_GRANTS["viewer"]),
    "plan without modules": without_modules,
    "plan without modules, key": lambda route: (
        without_modules(route) if not route.is_public else None
    ),
    **{f"subscription {status}": without_modules for status in UNPAID},
    "tenant suspended": everywhere(TenantSuspended),
    "tenant suspended, anonymous": everywhere(TenantSuspended),
    "tenant suspended, key": everywhere(TenantSuspended),
}
"""Who asks, and how each route must refuse them; None where it does not."""

Headers = dict[str, str]


@dataclass
class Callers:
    """The headers of every case, and the tenant it names if there is one."""

    app: Largo
    sql: Owner
    headers: dict[str, Headers] = field(default_factory=dict)
    tenants: dict[str, UUID] = field(default_factory=dict)

    def add(self, case: str, world: World | str | None, **headers: str) -> None:
        """What this caller sends: the tenant they name, and ``X_Api_Key=...`` and the like."""
        found = {name.replace("_", "-"): value for name, value in headers.items()}
        if world is not None:
            found["X-Tenant"] = world if isinstance(world, str) else world.tenant.slug
        if isinstance(world, World):
            self.tenants[case] = world.tenant.id
        self.headers[case] = found

    def member(self, case: str, world: World, member: Member) -> None:
        self.add(case, world, Authorization=f"Bearer {member.token}")

    async def key(self, case: str, world: World, scopes: Iterable[str]) -> tuple[UUID, Member]:
        """An API key of a new administrator, as one makes it; its id and its maker."""
        maker = await world.member("admin")
        asking = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {maker.token}"}
        made = await self.ask(
            asking, "POST", "/api/v1/admin/api-keys", json={"name": case, "scopes": sorted(scopes)}
        )
        assert made.status_code == 201, made.text
        self.add(case, world, X_Api_Key=made.json()["key"])
        return UUID(made.json()["id"]), maker

    async def ask(self, headers: Headers, method: str, path: str, **body: object) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=headers
        ) as client:
            return await client.request(method, path, **body)  # type: ignore[arg-type]

    async def end(self, case: str, statement: str, *values: object) -> None:
        """Take away what this caller had: before it they do get in."""
        path = "/api/v1/orders" if "X-Api-Key" in self.headers[case] else "/api/v1/auth/me"
        answer = await self.ask(self.headers[case], "GET", path)
        assert answer.status_code == 200, f"{case}: {answer.text}"
        assert await self.sql.execute(statement, *values) == "UPDATE 1", case


async def make_callers(app: Largo, theirs: World, sql: Owner) -> Callers:
    """One of each case, most of them at the door of ``theirs``."""
    found = Callers(app, sql)
    await _nobodies(found, theirs)
    await _sessions(found, theirs)
    await _keys(found, theirs)
    await _tenants(found)
    # Used a moment ahead: a look-up notes no use, so what changes is the refused request's doing.
    ids = list(set(found.tenants.values()))
    for table, column in (("user_sessions", "last_seen_at"), ("api_keys", "last_used_at")):
        await sql.execute(
            f"UPDATE {table} SET {column} = now() + interval '1 hour' "  # noqa: S608
            f"WHERE tenant_id = ANY($1) AND coalesce({column}, now()) > now() - interval '1 min'",
            ids,
        )
    return found


async def _nobodies(found: Callers, theirs: World) -> None:
    mine = await make_world(found.app.runtime)
    found.add("anonymous", theirs)
    found.add("anonymous, naming no tenant", None)
    found.add("unknown tenant", "no-such-tenant")
    found.add("forged token", theirs, Authorization="Bearer eyJhbGciOiJub25lIn0.e30.")
    found.member("session of another tenant", theirs, mine.owner)
    found.add(
        "cookie from another site",
        theirs,
        Cookie=f"{COOKIE}={theirs.owner.token}",
        Origin="https://evil.example",
    )
    for role in ROLE_GRANTS:
        found.member(f"role {role}", theirs, await theirs.member(role))
    found.add("key unknown", theirs, X_Api_Key="lgk_" + "x" * 43)
    await found.key("key of another tenant", mine, KEY_SCOPES)
    found.headers["key of another tenant"]["X-Tenant"] = theirs.tenant.slug


async def _sessions(found: Callers, theirs: World) -> None:
    config = found.app.runtime.settings
    late = Tokens(config.auth_secrets, config.auth_algorithm, -1)
    owner = theirs.owner
    expired, _ = late.issue(owner.id, theirs.tenant.id, owner.role, owner.session_id)
    found.add("expired token", theirs, Authorization=f"Bearer {expired}")
    idle = config.admin_session_expire_minutes + 1
    for case, column, value in (
        ("session revoked", "revoked_at", "now()"),
        ("session idle too long", "last_seen_at", f"now() - interval '{idle} min'"),
        ("session past its end", "expires_at", "now() - interval '1 s'"),
    ):
        member = await theirs.member("owner")
        found.member(case, theirs, member)
        update = f"UPDATE user_sessions SET {column} = {value} WHERE id = $1"  # noqa: S608
        await found.end(case, update, member.session_id)
    member = await theirs.member("owner")
    found.member("user deactivated", theirs, member)
    await found.end("user deactivated", _DEACTIVATE, member.id)


_DEACTIVATE = "UPDATE users SET is_active = false WHERE id = $1"


async def _keys(found: Callers, theirs: World) -> None:
    for case, column in (("key revoked", "revoked_at"), ("key expired", "expires_at")):
        key_id, _ = await found.key(case, theirs, KEY_SCOPES)
        update = f"UPDATE api_keys SET {column} = now() WHERE id = $1"  # noqa: S608
        await found.end(case, update, key_id)
    case = "key of a deactivated user"
    _, maker = await found.key(case, theirs, KEY_SCOPES)
    await found.end(case, _DEACTIVATE, maker.id)
    case = "key of a demoted user"
    _, maker = await found.key(case, theirs, KEY_SCOPES)
    await found.end(case, "UPDATE users SET role = 'viewer' WHERE id = $1", maker.id)
    await found.key("key with every scope", theirs, KEY_SCOPES)
    await found.key("key with one scope", theirs, {READ_ORDERS})


async def _tenants(found: Callers) -> None:
    runtime = found.app.runtime
    bare = await make_world(runtime, modules=())
    found.member("plan without modules", bare, bare.owner)
    await found.key("plan without modules, key", bare, KEY_SCOPES)
    for status in UNPAID:
        world = await make_world(runtime, subscription_status=status)
        found.member(f"subscription {status}", world, world.owner)
    closed = await make_world(runtime)
    await found.key("tenant suspended, key", closed, KEY_SCOPES)
    found.add("tenant suspended, anonymous", closed)
    found.member("tenant suspended", closed, closed.owner)
    await found.end(
        "tenant suspended",
        "UPDATE tenants SET status = 'suspended' WHERE id = $1",
        closed.tenant.id,
    )
    await runtime.tenants.fresh("slug", closed.tenant.slug)
