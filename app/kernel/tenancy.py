"""Which tenant a request is for: the context, and the directory that finds it without a query."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson

from app.core.clock import now
from app.core.database import Database
from app.core.problems import Forbidden, NotFound, Problem
from app.core.redis import Bus
from app.kernel.tenants.rules import effective_limits, effective_modules

TOPIC = "tenants"
OF_NO_TENANT = frozenset({"/health", "/health/ready", "/api/v1/health", "/metrics"})
"""Asked while the database is away, too: no look-up of a tenant stands before their answer."""
_TTL_S = 30.0
_TTL_BLIND_S = 1.0
"""How long an answer is believed while no doorbell can be heard."""


class UnknownTenant(NotFound):
    code = "unknown-tenant"
    title = "There is no such tenant: check X-Tenant-Id, X-Tenant or the host name."


class TenantRequired(Problem):
    status = HTTPStatus.BAD_REQUEST
    code = "tenant-required"
    title = "Say which tenant: send X-Tenant (slug) or X-Tenant-Id, or use the tenant's host."


class TenantSuspended(Forbidden):
    code = "tenant-suspended"
    title = "This tenant is suspended: its owner can settle that in billing."


@dataclass(frozen=True, slots=True)
class TenantContext:
    id: UUID
    slug: str
    name: str
    status: str
    subscription_status: str
    modules: frozenset[str]
    """Empty unless the subscription is active, or trialing and the trial not over."""
    limits: dict[str, int]
    timezone: str
    currency: str
    locale: str
    is_super_admin: bool = False
    plan_code: str | None = None
    unheard: frozenset[str] = frozenset()
    """Subscribers whose job would find nobody to tell: publishing does not queue it."""
    trial_ends_at: datetime | None = None
    first_access_test: bool = False
    """The platform tries the first steps: members see them as on their first day."""


def has_modules(subscription_status: str, trial_ends_at: datetime | None, at: datetime) -> bool:
    """Whether the plan's modules are on at ``at``; a trial's last instant is not part of it."""
    if subscription_status == "trialing":
        return trial_ends_at is None or at < trial_ends_at
    return subscription_status == "active"


_SELECT = """
SELECT t.id, t.slug, t.name, t.status, t.subscription_status, t.modules, t.limits::text AS limits,
       t.module_overrides::text AS module_overrides, t.limit_overrides::text AS limit_overrides,
       t.timezone, t.currency, t.locale, t.is_super_admin, t.plan_code, t.trial_ends_at,
       t.first_access_test, {unheard} AS unheard
FROM tenants t WHERE {condition}
"""
_BY = {"id": "t.id = $1", "slug": "t.slug = $1", "host": "$1 = ANY (t.hosts)"}


class TenantDirectory:
    """Tenants by id, slug or host; cached here, forgotten everywhere when one changes.

    ``heard_when`` says of subscribers, by their jobs' names, in SQL about a tenant ``t``, when
    there is anybody to tell; whoever changes that rings ``TOPIC``.
    """

    def __init__(
        self, database: Database, bus: Bus, heard_when: Mapping[str, str] | None = None
    ) -> None:
        self._database, self._bus = database, bus
        self._select = {kind: _select(heard_when or {}, by) for kind, by in _BY.items()}
        self._cache: dict[tuple[str, str], tuple[float, TenantContext | None]] = {}
        self._generation = 0
        bus.listen(TOPIC, self._forget)

    def cached(self, kind: str, key: str) -> TenantContext | None:
        """The tenant if it is known here and now; no query, no await."""
        hit = self._cache.get((kind, key))
        return hit[1] if hit is not None and hit[0] > time.monotonic() else None

    async def find(self, kind: str, key: str) -> TenantContext | None:
        """The tenant by ``kind`` id, slug or host; None when there is none."""
        at = time.monotonic()
        hit = self._cache.get((kind, key))
        if hit is not None and hit[0] > at:
            return hit[1]
        generation = self._generation
        context = await self._load(kind, key)
        # A ring that came during the look-up may be about what it read: do not keep that.
        if generation == self._generation:
            self._keep(kind, key, at, context)
        return context

    async def fresh(self, kind: str, key: str) -> TenantContext | None:
        """The tenant as the database says now, whatever was cached here."""
        self._forget(key)
        return await self.find(kind, key)

    def _keep(self, kind: str, key: str, at: float, context: TenantContext | None) -> None:
        if len(self._cache) > 20_000:
            self._cache.clear()
        ttl = _TTL_S if self._bus.connected else _TTL_BLIND_S
        if context is None:
            ttl = min(ttl, 5.0)
        elif (
            context.modules
            and context.subscription_status == "trialing"
            and context.trial_ends_at is not None
        ):
            # Modules end with the trial, not when this answer would have been forgotten.
            ttl = min(ttl, (context.trial_ends_at - now()).total_seconds())
        self._cache[kind, key] = (at + ttl, context)

    async def by_id(self, tenant_id: UUID) -> TenantContext:
        """The tenant of a job or a token. Raises UnknownTenant."""
        context = await self.find("id", str(tenant_id))
        if context is None:
            raise UnknownTenant()
        return context

    async def _load(self, kind: str, key: str) -> TenantContext | None:
        value: object = key
        if kind == "id":
            try:
                value = UUID(key)
            except ValueError:
                return None
        async with self._database.system_driver() as driver:
            row = await driver.fetchrow(self._select[kind], value)
        if row is None:
            return None
        live = has_modules(row["subscription_status"], row["trial_ends_at"], now())
        return TenantContext(
            id=row["id"],
            slug=row["slug"],
            name=row["name"],
            status=row["status"],
            subscription_status=row["subscription_status"],
            modules=_modules(row) if live else frozenset(),
            limits=effective_limits(
                orjson.loads(row["limits"]), orjson.loads(row["limit_overrides"])
            ),
            timezone=row["timezone"],
            currency=row["currency"],
            locale=row["locale"],
            is_super_admin=row["is_super_admin"],
            plan_code=row["plan_code"],
            unheard=frozenset(row["unheard"]),
            trial_ends_at=row["trial_ends_at"],
            first_access_test=row["first_access_test"],
        )

    def _forget(self, key: str) -> None:
        # One tenant is cached under several keys, and changes are rare: forget all.
        self._generation += 1
        self._cache.clear()


def _select(heard_when: Mapping[str, str], condition: str) -> str:
    deaf = [f"CASE WHEN NOT {heard} THEN '{name}' END" for name, heard in heard_when.items()]
    unheard = f"array_remove(ARRAY[{', '.join(deaf)}]::text[], NULL)"
    return _SELECT.format(unheard=unheard, condition=condition)


def _modules(row: Any) -> frozenset[str]:
    return frozenset(effective_modules(row["modules"], orjson.loads(row["module_overrides"])))
