"""One inbox for every provider: verified, stored with its job, answered; processed once, later.

A provider plugs in with a ``Source`` bound in ``wiring.PORTS`` under its name, and a public route
that calls ``receive``. Nothing is stored that was not verified; the answer leaves after the commit
that holds the raw bytes and the job, so whatever dies afterwards loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import TooLarge
from app.kernel.inbox import repository
from app.kernel.inbox.models import DEAD, PENDING, UNCLAIMED, InboxMessage
from app.kernel.inbox.problems import (
    InboxMessageNotFound,
    InboxMessageNotReplayable,
    InboxTenantUnknown,
)
from app.kernel.inbox.repository import MessageRepository, ReceiptRepository, Taken
from app.kernel.inbox.schemas import MessageDetail, MessageFilter, MessageRead
from app.kernel.telling import EVERYBODY, JOBS
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, UnitOfWork, platform_work, system_work, unit_of_work

PROCESS = "kernel.inbox.process"
KEPT = timedelta(days=30)
"""How long a processed notice is remembered: longer than any provider retries (Stripe: 3 days)."""
KEPT_UNDONE = timedelta(days=90)
_SWEEP_EVERY_S = 3600.0
_SWEEP_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verifier found in a delivery whose signature is good."""

    event_id: str
    """Stable over the provider's retries: the key against doing it twice."""
    type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those worth keeping; never a credential."""


class AlreadyApplied(Exception):
    """The effects of this message are committed: an earlier delivery of the job got that far."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored message as its handler gets it, with no transaction open."""

    runtime: Runtime
    tenant: TenantContext
    message_id: UUID
    provider: str
    event_id: str
    type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that were kept."""

    @asynccontextmanager
    async def once(
        self, *, platform: bool = False, tenant: TenantContext | None = None
    ) -> AsyncIterator[UnitOfWork]:
        """The one Work whose commit is the message's effect; calls to vendors come before it.

        ``platform``: a Work that may change system tables; ``tenant``: of another tenant than the
        message's. Raises AlreadyApplied, which the handler lets pass.
        """
        opens = platform_work if platform else unit_of_work
        actor = Actor("system", f"webhook:{self.provider}", None, str(self.message_id))
        async with opens(self.runtime, tenant or self.tenant, actor) as work:
            if not await ReceiptRepository(work.session).claim(self.message_id):
                raise AlreadyApplied()
            yield work

    async def again(self, work: UnitOfWork) -> None:
        """What this Work did stays, and yet the message is to be handled once more: for effects
        that each are known by a key of their own, when some of them failed."""
        await ReceiptRepository(work.session).release(self.message_id)


class Source(Protocol):
    """One provider's side of the inbox, bound in ``wiring.PORTS`` under ``name``."""

    @property
    def name(self) -> str:
        """The provider, as lists and dead letters show it."""
        ...

    @property
    def max_bytes(self) -> int:
        """The largest body that this provider sends."""
        ...

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Judge the raw bytes; raises a Problem, and then nothing is stored."""
        ...

    async def tenant_of(self, body: bytes) -> UUID | None:
        """Whose it is; None when no tenant of ours is named: kept unclaimed."""
        ...

    async def handle(self, delivery: Delivery) -> None:
        """Do what the notice asks, in ``delivery.once()``; may run again after a crash."""
        ...


async def receive(
    runtime: Runtime, source: Source, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
) -> bool:
    """Verify, store, queue; False when the notice was known already.

    Raises TooLarge and what the source's verifier raises.
    """
    body = await read_body(chunks, headers.get("content-length"), source.max_bytes)
    known = await source.verify(headers, body)
    fields = {
        "provider": source.name,
        "event_id": known.event_id,
        "type": known.type,
        "headers": dict(known.headers),
        "body": body,
    }
    tenant = await _tenant(runtime, await source.tenant_of(body))
    if tenant is None:
        fields |= {"state": UNCLAIMED, "last_error": "it names no tenant of ours"}
        async with system_work(runtime) as session:
            return await MessageRepository(session).add_once(fields) is not None
    async with platform_work(runtime, tenant, Actor("system", f"webhook:{source.name}")) as work:
        stored = await MessageRepository(work.session).add_once(fields | {"tenant_id": tenant.id})
        if stored is not None:
            work.enqueue(PROCESS, {"message_id": stored})
    return stored is not None


@dataclass(frozen=True, slots=True)
class Share:
    """One tenant's part in a verified delivery; None: nobody of ours, and nothing is done."""

    tenant_id: UUID | None
    type: str
    headers: Mapping[str, str]


async def keep(
    runtime: Runtime, provider: str, digest: str, body: bytes, shares: Sequence[Share]
) -> int:
    """Store a verified delivery for each of its tenants and queue it, in one trip: how many are
    new. For whom a thousand come in while ``receive`` would open a Work for each.

    ``digest`` names the body: the same one is kept once for each tenant.
    """
    async with runtime.database.system_driver() as driver:
        new = await repository.store(driver, provider, digest, body, shares, PROCESS)
    if new:
        runtime.bus.ring_soon(JOBS, EVERYBODY)
    return new


async def take(runtime: Runtime, message_id: UUID, *, is_last: bool) -> Taken | None:
    """The message if it waits. Before its last try it is dead already: should that one take the
    whole process along, it shows; success brings it back.
    """
    async with runtime.database.system_driver() as driver:
        return await repository.take(driver, message_id, is_last=is_last)


async def note_failure(runtime: Runtime, message_id: UUID, error: str) -> None:
    """Keep why a try failed, for whoever looks."""
    async with runtime.database.system_driver() as driver:
        await repository.fail(driver, message_id, error)


async def finish(runtime: Runtime, message_id: UUID) -> None:
    """The effects are committed: nothing waits any more."""
    async with runtime.database.system_driver() as driver:
        await repository.finish(driver, message_id)


async def sweep(runtime: Runtime) -> int:
    """Forget old messages, once an hour in each process; how many went."""
    due = runtime.caches.get("inbox.sweep_at", 0.0)
    if time.monotonic() < due:
        return 0
    runtime.caches["inbox.sweep_at"] = time.monotonic() + _SWEEP_EVERY_S
    async with system_work(runtime) as session:
        at = now()
        return await MessageRepository(session).forget(at - KEPT, at - KEPT_UNDONE, _SWEEP_ROWS)


class InboxDesk:
    """The platform's view of every notice: what waits, what is dead, and another try."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work

    async def listed(self, page: PageRequest, wanted: MessageFilter) -> Page[InboxMessage]:
        """Notices, newest first."""
        async with system_work(self.work.runtime) as session:
            return await MessageRepository(session).matching(page, wanted)

    async def get(self, message_id: UUID) -> MessageDetail:
        """One notice with its body. Raises InboxMessageNotFound."""
        async with system_work(self.work.runtime) as session:
            row = await MessageRepository(session).get(message_id)
        facts = {name: getattr(row, name) for name in MessageRead.model_fields}
        shown = row.body.decode("utf-8", "replace")
        return MessageDetail(**facts, headers=row.headers, body=shown)

    async def replay(self, message_id: UUID) -> InboxMessage:
        """Process a dead or unclaimed notice again, its tries forgotten.

        Raises InboxMessageNotFound, InboxMessageNotReplayable, InboxTenantUnknown.
        """
        runtime = self.work.runtime
        async with system_work(runtime) as session:
            found = await MessageRepository(session).get(message_id)
        _check_replayable(found)
        tenant_id = found.tenant_id
        if tenant_id is None:
            tenant_id = await self.work.port(Source, found.provider).tenant_of(found.body)
        tenant = await _tenant(runtime, tenant_id)
        if tenant is None:
            raise InboxTenantUnknown()
        async with platform_work(runtime, tenant, self.work.actor) as work:
            row = await MessageRepository(work.session).get(message_id, lock=True)
            _check_replayable(row)
            row.state, row.tenant_id, row.attempts, row.last_error = PENDING, tenant.id, 0, None
            work.enqueue(PROCESS, {"message_id": row.id})
        self.work.record("inbox_message.replayed", "inbox_message", row.id, provider=row.provider)
        return row


async def own(work: UnitOfWork, page: PageRequest, wanted: MessageFilter) -> Page[InboxMessage]:
    """Notices of the Work's own tenant, newest first, for the slice whose provider they are of."""
    async with system_work(work.runtime) as session:
        mine = replace(wanted, tenant_id=work.tenant.id)
        return await MessageRepository(session).matching(page, mine)


async def again(work: UnitOfWork, message_id: UUID, provider: str) -> InboxMessage | None:
    """Have a notice of the Work's own tenant processed anew, done or dead; None: it waits anyway.

    For providers whose every effect has a key of its own, as the receipt is forgotten. Raises
    InboxMessageNotFound.
    """
    runtime, tenant = work.runtime, work.tenant
    async with platform_work(runtime, tenant, work.actor) as own_work:
        row = await MessageRepository(own_work.session).get(message_id, lock=True)
        if row.tenant_id != tenant.id or row.provider != provider:
            raise InboxMessageNotFound()
        if row.state == PENDING:
            return None
        # The owner's session sees every tenant's receipts; ids are unique among all.
        await ReceiptRepository(own_work.session).release(message_id)
        row.state, row.attempts, row.last_error, row.processed_at = PENDING, 0, None, None
        own_work.enqueue(PROCESS, {"message_id": row.id})
    work.record("inbox_message.replayed", "inbox_message", row.id, provider=provider)
    return row


def _check_replayable(row: InboxMessage) -> None:
    if row.state not in (DEAD, UNCLAIMED):
        raise InboxMessageNotReplayable(state=row.state)


async def _tenant(runtime: Runtime, tenant_id: UUID | None) -> TenantContext | None:
    return None if tenant_id is None else await runtime.tenants.find("id", str(tenant_id))


async def read_body(chunks: AsyncIterator[bytes], declared: str | None, cap: int) -> bytes:
    """The raw bytes. Raises TooLarge."""
    if declared is not None and declared.isdecimal() and int(declared[:12]) > cap:
        raise TooLarge()
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > cap:
            raise TooLarge()
    return bytes(body)
