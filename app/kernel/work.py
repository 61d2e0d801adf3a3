"""Work: one tenant, one actor, one transaction; the only way to reach a tenant's rows.

Why: whoever may commit may commit half. Here a request or a job step gets one Work; it commits
when the response has been built and before its first byte leaves, or not at all. Events told
during the Work become an audit line, a row of the live stream and one job per subscriber in
that same transaction, so nothing that depends on the change can be lost or come too early.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import httpx
import orjson
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.events import Event
from app.core.clock import now
from app.core.crypto import Signer, Vault
from app.core.database import Database, RawConnection, raw
from app.core.guard import Guard
from app.core.ids import new_id
from app.core.passwords import Passwords
from app.core.ratelimit import SharedLimiter
from app.core.redis import Bus
from app.core.settings import Settings
from app.core.tokens import Tokens
from app.kernel.tenancy import TenantContext, TenantDirectory, TenantRequired

P = TypeVar("P")


class Ports(dict[tuple[type[Any], str], Callable[["UnitOfWork"], Any]]):
    """Contracts and what answers them, with a name where vendors share one contract."""

    def bind(
        self, contract: type[P], factory: Callable[[UnitOfWork], P], *, name: str = ""
    ) -> Ports:
        """Bind a contract to its implementation; mypy checks that it satisfies it."""
        self[contract, name] = factory
        return self


WEBHOOK_FAN_OUT = "kernel.webhooks.fan_out"

Subscribers = dict[type[Event], list[str]]
"""Which jobs an event starts."""

Schedulable = dict[str, str]
"""Which jobs a tenant may put on a schedule, and the module that its plan must have."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for the audit trail."""

    kind: Literal["user", "public", "job", "system"]
    name: str
    id: UUID | None = None
    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


@dataclass(slots=True)
class Runtime:
    """What one process shares among its requests and jobs; made in ``main``, closed at its end."""

    settings: Settings
    database: Database
    bus: Bus
    tenants: TenantDirectory
    tokens: Tokens
    passwords: Passwords
    vault: Vault
    limiter: SharedLimiter
    quotes: Signer
    tracking: Signer
    http: httpx.AsyncClient
    guard: Guard
    ports: Ports
    subscribers: Subscribers
    schedulable: Schedulable
    caches: dict[str, Any] = field(default_factory=dict)
    """Per-process caches that slices keep, by the slice's name."""


@dataclass(frozen=True, slots=True)
class _Job:
    entrypoint: str
    payload: bytes
    delay: timedelta | None
    dedupe_key: str | None
    priority: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, kept under its Idempotency-Key."""

    key: str
    fingerprint: bytes
    status: int
    media_type: str
    body: bytes


# Everything a Work tells, in one statement right before the commit. The advisory lock makes seq
# follow commit order within the tenant; being the last to be taken, it is held for the commit
# alone. The jobs are inserted as PgQueuer 1.6 does it (DESIGN §9, rules 1 and 2), less the log
# row that says "queued": its own statement would cost one more trip and ten index entries.
_FINISH = """
WITH ordered AS MATERIALIZED (
  SELECT pg_advisory_xact_lock(hashtextextended($1, 20)) WHERE cardinality($12::uuid[]) > 0
), streamed AS (
  INSERT INTO stream_events (id, topic, type, data)
  SELECT s.id, s.topic, s.type, s.data::jsonb FROM ordered,
    unnest($12::uuid[], $13::text[], $14::text[], $15::text[]) AS s(id, topic, type, data)
), queued AS (
  INSERT INTO pgqueuer (entrypoint, payload, priority, execute_after, dedupe_key, status)
  SELECT q.entrypoint, q.payload, q.priority, now() + q.delay, q.dedupe_key, 'queued'
  FROM unnest($17::text[], $18::bytea[], $19::int[], $20::interval[], $21::text[])
    AS q(entrypoint, payload, priority, delay, dedupe_key)
  ON CONFLICT (dedupe_key)
    WHERE status = ANY (ARRAY['queued'::pgqueuer_status, 'picked'::pgqueuer_status])
      AND dedupe_key IS NOT NULL
    DO NOTHING
), answered AS (
  INSERT INTO idempotency_records (id, key, fingerprint, status, media_type, body)
  SELECT $22::uuid, $23::text, $24::bytea, $25::bigint, $26::text, $27::bytea
  WHERE $23::text IS NOT NULL
)
INSERT INTO audit_entries (id, action, resource, resource_id, facts, actor_kind, actor_id,
  actor_name, request_id, ip, user_agent)
SELECT a.id, a.action, a.resource, a.resource_id, a.facts::jsonb, $2, $3, $4, $5, $6, $16
FROM unnest($7::uuid[], $8::text[], $9::text[], $10::uuid[], $11::text[])
  AS a(id, action, resource, resource_id, facts)
"""
_AT_ONCE = timedelta()


class UnitOfWork:
    """See the module. ``session`` begins lazily, at the first statement."""

    def __init__(
        self, runtime: Runtime, tenant: TenantContext, actor: Actor, session: AsyncSession
    ) -> None:
        self.runtime, self.tenant, self.actor, self.session = runtime, tenant, actor, session
        self._audit: list[tuple[str, str, UUID | None, bytes]] = []
        self._stream: list[tuple[str, str, bytes]] = []
        self._jobs: list[_Job] = []
        self._rings: dict[tuple[str, str], None] = {}
        self._answer: Answer | None = None

    def port(self, kind: type[P], name: str = "") -> P:
        """The implementation wired for a contract, bound to this unit of work."""
        implementation: P = self.runtime.ports[kind, name](self)
        return implementation

    async def raw(self) -> RawConnection:
        """The driver connection inside this transaction, for hand-written hot statements."""
        return await raw(self.session)

    def publish(self, event: Event) -> None:
        """Tell a fact: an audit line, a live-stream row and one job per subscriber."""
        data = event.model_dump(mode="json")
        body = orjson.dumps(data)
        self._audit.append((event.name, event.resource, event.resource_id, body))
        if event.topic is not None:
            self._stream.append((event.topic, event.name, body))
            self.ring("stream")
        for entrypoint in self.runtime.subscribers.get(type(event), ()):
            self.enqueue(entrypoint, data)
        if self.tenant.has_webhooks:
            # Rides in the commit's one statement; who has no endpoints pays nothing at all. The
            # endpoints are read by the job: reading them here would cost each checkout a trip.
            told = {"event_id": new_id(), "type": event.name, "at": now(), "data": data}
            self.enqueue(WEBHOOK_FAN_OUT, told)

    def record(self, action: str, resource: str, resource_id: UUID | None, **facts: Any) -> None:
        """Write an audit line for a change that nobody else needs to hear of."""
        self._audit.append((action, resource, resource_id, orjson.dumps(facts, default=str)))

    def enqueue(
        self,
        entrypoint: str,
        payload: dict[str, Any],
        *,
        delay: timedelta | None = None,
        dedupe_key: str | None = None,
        priority: int = 0,
    ) -> None:
        """Queue a job of this tenant; it becomes visible with the commit, or never.

        A dedupe key also covers jobs being run: a signal that must not be missed carries its own
        id in the key (DESIGN §9, rule 3).
        """
        body = orjson.dumps({"tenant_id": str(self.tenant.id), "payload": payload}, default=str)
        key = f"{self.tenant.id}:{entrypoint}:{dedupe_key}" if dedupe_key else None
        self._jobs.append(_Job(entrypoint, body, delay, key, priority))

    def ring(self, topic: str, key: str | None = None) -> None:
        """After the commit, tell every process to look again; the key is the tenant's id."""
        self._rings[topic, key or str(self.tenant.id)] = None

    def keep_answer(self, answer: Answer) -> None:
        """Store what this request is answered, for a retry with the same key."""
        self._answer = answer

    async def finish(self) -> None:
        """Write what was told, in one statement; called once, right before the commit."""
        actor, audit, stream, jobs = self.actor, self._audit, self._stream, self._jobs
        kept = self._answer
        if not (audit or stream or jobs or kept):
            return
        answer = (
            (new_id(), kept.key, kept.fingerprint, kept.status, kept.media_type, kept.body)
            if kept
            else (None,) * 6
        )
        await (await self.raw()).execute(
            _FINISH,
            str(self.tenant.id),
            actor.kind,
            actor.id,
            actor.name,
            actor.request_id,
            actor.ip,
            [new_id() for _ in audit],
            [a[0] for a in audit],
            [a[1] for a in audit],
            [a[2] for a in audit],
            [a[3].decode() for a in audit],
            [new_id() for _ in stream],
            [s[0] for s in stream],
            [s[1] for s in stream],
            [s[2].decode() for s in stream],
            actor.user_agent,
            [j.entrypoint for j in jobs],
            [j.payload for j in jobs],
            [j.priority for j in jobs],
            [j.delay or _AT_ONCE for j in jobs],
            [j.dedupe_key for j in jobs],
            *answer,
        )

    def after_commit(self) -> None:
        """Ring the doorbells; a lost ring costs a delay, never data."""
        for topic, key in self._rings:
            self.runtime.bus.ring_soon(topic, key)


@asynccontextmanager
async def unit_of_work(
    runtime: Runtime, tenant: TenantContext, actor: Actor
) -> AsyncIterator[UnitOfWork]:
    """Open a Work, commit it when the block ends well, roll it back when it does not."""
    session = runtime.database.tenant_session(tenant.id)
    async with _committed(UnitOfWork(runtime, tenant, actor, session)) as work:
        yield work


@asynccontextmanager
async def platform_work(
    runtime: Runtime, tenant: TenantContext, actor: Actor
) -> AsyncIterator[UnitOfWork]:
    """A Work that may also change system tables, e.g. the tenant's own row; central console only.

    What it tells (audit, jobs, rings) is ``tenant``'s and commits with the change. It is the
    owner's transaction, which row level security does not bind: touch no tenant's tables in it.
    """
    session = runtime.database.system_session(tenant.id)
    async with _committed(UnitOfWork(runtime, tenant, actor, session)) as work:
        yield work


@asynccontextmanager
async def _committed(work: UnitOfWork) -> AsyncIterator[UnitOfWork]:
    async with work.session as session:
        yield work
        await session.flush()
        await work.finish()
        await session.commit()
    work.after_commit()


@asynccontextmanager
async def system_work(runtime: Runtime) -> AsyncIterator[AsyncSession]:
    """One transaction of the owner, for system tables and work across tenants; kernel only."""
    async with runtime.database.system_session() as session:
        yield session
        await session.commit()


def runtime_of(request: Request) -> Runtime:
    """The process's shared things."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def actor_of(request: Request) -> Actor:
    """Who makes this request: the member the gate found, or the public."""
    meta = request.scope["meta"]
    identity = meta.identity
    agent = meta.header(b"user-agent")
    if identity is None:
        return Actor("public", "storefront", None, meta.request_id, meta.client_ip, agent)
    return Actor("user", identity.email, identity.user_id, meta.request_id, meta.client_ip, agent)


async def _from_request(request: Request) -> AsyncIterator[UnitOfWork]:
    tenant = request.scope["meta"].tenant
    if tenant is None:
        raise TenantRequired()
    async with unit_of_work(runtime_of(request), tenant, actor_of(request)) as work:
        yield work


# scope="function": commits after the response is built and before it is sent.
Work = Annotated[UnitOfWork, Depends(_from_request, scope="function")]

S = TypeVar("S")


def service(kind: Callable[[UnitOfWork], S]) -> Any:
    """A service bound to the request's Work: ``Annotated[OrderService, service(OrderService)]``.

    ``Depends()`` on the class itself would run its constructor in the thread pool, as FastAPI
    does with every synchronous dependency: 140 to 230 us per request.
    """

    async def build(work: Work) -> S:
        return kind(work)

    return Depends(build)


WorkFactory = Callable[[], AbstractAsyncContextManager[UnitOfWork]]


def _factory_from_request(request: Request) -> WorkFactory:
    tenant = request.scope["meta"].tenant
    if tenant is None:
        raise TenantRequired()
    runtime, actor = runtime_of(request), actor_of(request)
    return lambda: unit_of_work(runtime, tenant, actor)


async def _works(request: Request) -> WorkFactory:
    return _factory_from_request(request)


Works = Annotated[WorkFactory, Depends(_works)]
"""For the rare request that must ask a vendor between two transactions (DESIGN §5)."""
