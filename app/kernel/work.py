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
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from uuid import UUID

import httpx
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.gateways.storage import FileStorage
from app.contracts.notices import NoticeKinds
from app.core.crypto import Signer, Vault
from app.core.database import Database, RawConnection, raw
from app.core.ddl import TENANT_ROLE
from app.core.guard import Guard
from app.core.language import Language, of_locale, preferred
from app.core.passwords import Passwords
from app.core.ratelimit import SharedLimiter
from app.core.redis import Bus
from app.core.settings import Settings
from app.core.tokens import Tokens
from app.core.vitals import Vitals
from app.kernel.keyring import Keyring
from app.kernel.ports import Ports, Schedulable, Subscribers
from app.kernel.request import Meta
from app.kernel.telling import Telling
from app.kernel.tenancy import TenantContext, TenantDirectory, TenantRequired

if TYPE_CHECKING:
    from app.core.tracing import Spans

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, for the audit trail."""

    kind: Literal["user", "api_key", "public", "job", "system", "platform"]
    name: str
    id: UUID | None = None
    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    impersonator_id: UUID | None = None
    impersonator_name: str | None = None
    """The person of the platform who acts in this user's name."""
    language: Language | None = None
    """What they read, as their ``Accept-Language`` says; None: what the tenant does."""


@dataclass(slots=True)
class Runtime:
    """What one process shares among its requests and jobs; made in ``main``, closed at its end."""

    settings: Settings
    database: Database
    bus: Bus
    tenants: TenantDirectory
    tokens: Tokens
    keys: Keyring
    passwords: Passwords
    vault: Vault
    limiter: SharedLimiter
    quotes: Signer
    tracking: Signer
    http: httpx.AsyncClient
    vitals: Vitals
    guard: Guard
    storage: FileStorage
    ports: Ports
    subscribers: Subscribers
    schedulable: Schedulable
    notices: NoticeKinds
    caches: dict[str, Any] = field(default_factory=dict)
    """Per-process caches that slices keep, by the slice's name."""
    spans: Spans | None = None
    """Makes traces, when they are wanted."""


# Everything a Work tells, in one statement right before the commit; the function's text is in
# alembic/checkout_1.sql, where a checkout calls it too.
_FINISH = "SELECT finish_work($1::text::jsonb, $2, $3, $4, $5, $6)"


class UnitOfWork(Telling):
    """See the module. ``session`` begins lazily, at the first statement."""

    def __init__(
        self, runtime: Runtime, tenant: TenantContext, actor: Actor, session: AsyncSession
    ) -> None:
        super().__init__(runtime, tenant, actor)
        self.session = session

    @property
    def language(self) -> Language:
        """In which language to write to whoever asks."""
        return self.actor.language or of_locale(self.tenant.locale)

    def port(self, kind: type[P], name: str = "") -> P:
        """The implementation wired for a contract, bound to this unit of work."""
        implementation: P = self.runtime.ports[kind, name](self)
        return implementation

    async def raw(self) -> RawConnection:
        """The driver connection inside this transaction, for hand-written hot statements."""
        return await raw(self.session)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """A savepoint: what is written and told inside is forgotten when the block fails."""
        with self.forgetting():
            async with self.session.begin_nested():
                # SQLAlchemy sets the savepoint at the first statement that it sees itself.
                await self.session.connection()
                yield

    async def finish(self) -> None:
        """Write what was told, in one statement; called once, right before the commit."""
        kept = self._answer
        if not (self._audit or self._stream or self._jobs or kept):
            return
        answer = (
            (kept.key, kept.fingerprint, kept.status, kept.media_type, kept.body)
            if kept
            else (None,) * 5
        )
        await (await self.raw()).execute(_FINISH, self.told().decode(), *answer)


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


async def bind_to_tenant(work: UnitOfWork) -> None:
    """Put the rest of a ``platform_work`` under row level security: a tenant and its first rows
    are one transaction, and the rows are written as the tenant's own role."""
    await work.session.flush()
    await (await work.raw()).execute(f"SET LOCAL ROLE {TENANT_ROLE}")


@asynccontextmanager
async def _committed(work: UnitOfWork) -> AsyncIterator[UnitOfWork]:
    spans = work.runtime.spans
    span = None if spans is None else spans.transaction()
    is_committed = False
    try:
        async with work.session as session:
            yield work
            await session.flush()
            await work.finish()
            await session.commit()
            is_committed = True
    finally:
        if span is not None:
            span.end(is_committed=is_committed)
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


def actor_of(meta: Meta) -> Actor:
    """Who makes this request: the member or the API key the gate found, or the public."""
    identity = meta.identity
    agent, wanted = meta.header(b"user-agent"), meta.header(b"accept-language")
    language = preferred(wanted) if wanted else None
    request = (meta.request_id, meta.client_ip, agent, None, None, language)
    if identity is None:
        return Actor("public", "storefront", None, *request)
    if identity.key is not None:
        return Actor("api_key", identity.key.label, identity.key.id, *request)
    by = identity.impersonator
    return Actor(
        "user",
        identity.email,
        identity.user_id,
        meta.request_id,
        meta.client_ip,
        agent,
        by.user_id if by is not None else None,
        by.name if by is not None else None,
        language,
    )


async def _from_request(request: Request) -> AsyncIterator[UnitOfWork]:
    tenant = request.scope["meta"].tenant
    if tenant is None:
        raise TenantRequired()
    async with unit_of_work(runtime_of(request), tenant, actor_of(request.scope["meta"])) as work:
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which tenant; called, it opens a Work of theirs."""

    runtime: Runtime
    tenant: TenantContext
    actor: Actor

    def __call__(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(self.runtime, self.tenant, self.actor)

    def telling(self) -> Telling:
        """For a statement that is a whole transaction in itself."""
        return Telling(self.runtime, self.tenant, self.actor)


async def caller_of(request: Request) -> Caller:
    """Who makes this request, for which tenant. Raises TenantRequired."""
    tenant = request.scope["meta"].tenant
    if tenant is None:
        raise TenantRequired()
    return works_for(request, tenant)


def works_for(request: Request, tenant: TenantContext) -> Caller:
    """For a tenant that the request does not name: its account or its letter does."""
    return Caller(runtime_of(request), tenant, actor_of(request.scope["meta"]))


Works = Annotated[Caller, Depends(caller_of)]
"""For the rare request that opens its Works itself: it asks a vendor between two of them
(DESIGN §5), or may do without."""
