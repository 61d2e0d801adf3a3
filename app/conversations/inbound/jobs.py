"""Processes stored deliveries, once in effect, and lets threads follow their merged contacts."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from app.conversations.inbound.doors import Doors
from app.conversations.inbound.intake import (
    MAX_BYTES,
    PROVIDER,
    is_signed,
    trust,
    trusted_of,
)
from app.conversations.inbound.problems import ItemsFailed
from app.conversations.inbound.reading import Item, items_of, names_of, parsed
from app.conversations.inbound.service import InboundService
from app.conversations.numbers.news import NumberNews
from app.conversations.templates.service import TemplateService
from app.core.ids import made_at
from app.kernel.inbox.problems import WebhookSignatureInvalid
from app.kernel.inbox.service import Delivery, Verified
from app.kernel.jobs.service import JobContext
from app.kernel.work import Runtime

ACCOUNT = "conversations.inbound.account"
FOLLOW_MERGE = "conversations.inbound.follow_merge"
_SIGNATURE = "x-hub-signature-256"


class WhatsAppSource:
    """Satisfies ``Source``; deliveries come in through ``intake.take_in``."""

    name = PROVIDER
    max_bytes = MAX_BYTES

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        """Whether a secret of a number that the body names signed it. Raises
        WebhookSignatureInvalid."""
        signature, names = headers.get(_SIGNATURE, ""), names_of(parsed(body))
        doors = await Doors.of(self._runtime).named(names.phones, names.accounts)
        if not is_signed(signature, body, [s for door in doors for s in door.secrets]):
            raise WebhookSignatureInvalid()
        return Verified(signature, names.fields, {_SIGNATURE: signature})

    async def tenant_of(self, body: bytes) -> UUID | None:
        """For a delivery that named nobody when it came, and names somebody now."""
        names = names_of(parsed(body))
        doors = await Doors.of(self._runtime).named(names.phones, names.accounts)
        return doors[0].tenant_id if doors else None

    async def handle(self, delivery: Delivery) -> None:
        """Apply what the signature was good for. Raises ItemsFailed, with the rest committed,
        WebhookSignatureInvalid, AlreadyApplied."""
        items = await self._items(delivery)
        async with delivery.once() as work:
            failed = await InboundService(work).apply(items, delivery.message_id)
            if failed:
                await delivery.again(work)
        if failed:
            raise ItemsFailed("; ".join(failed)[:400])

    async def _items(self, delivery: Delivery) -> list[Item]:
        envelope = parsed(delivery.body)
        if envelope is None:
            return []
        headers = delivery.headers
        if "numbers" not in headers:
            headers = await self._trusted_now(delivery)
        phones, accounts = trusted_of(headers)
        return [
            item
            for item in items_of(envelope, made_at(delivery.message_id))
            if _is_trusted(item, phones, accounts)
        ]

    async def _trusted_now(self, delivery: Delivery) -> Mapping[str, str]:
        """Nobody claimed it when it came: its signature is judged by the tenant's secrets."""
        names, signature = names_of(parsed(delivery.body)), delivery.headers.get(_SIGNATURE, "")
        doors = await Doors.of(self._runtime).of_tenant(delivery.tenant.id)
        secrets = [secret for door in doors for secret in door.secrets]
        platform = self._runtime.settings.whatsapp_app_secret
        if not is_signed(signature, delivery.body, [*secrets, platform]):
            raise WebhookSignatureInvalid()
        return trust(names, doors, signature).get(delivery.tenant.id, {})


def _is_trusted(item: Item, phones: frozenset[str], accounts: frozenset[str]) -> bool:
    phone = getattr(item, "phone_number_id", None)
    if phone is not None:
        return phone in phones
    waba_id = getattr(item, "waba_id", None)
    return waba_id is None or waba_id in accounts


async def follow_merge(job: JobContext) -> None:
    """Threads of a merged contact are who stays' from now on; a second run finds nothing left."""
    ids = UUID(job.payload["contact_id"]), UUID(job.payload["merged_id"])
    async with job.works() as work:
        await InboundService(work).follow(*ids)


async def apply_account(job: JobContext) -> None:
    """What the vendor told of a number or a template is so from now on; twice is like once."""
    waba_id, field, value = (job.payload[name] for name in ("waba_id", "field", "value"))
    async with job.works() as work:
        if not await NumberNews(work).apply(waba_id, field, value):
            await TemplateService(work).apply(waba_id, field, value)
