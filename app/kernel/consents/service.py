"""What contacts agreed to: noted in the ledger, and asked right before anything is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from app.contracts.contacts import ConsentChanged
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.consents.models import ConsentEntry
from app.kernel.consents.repository import ConsentRepository
from app.kernel.consents.rules import Permission, Wish, permission, wish_of
from app.kernel.contacts.models import Contact
from app.kernel.contacts.service import ContactService
from app.kernel.work import Work

_AHEAD = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours."""


class ConsentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.contacts = ContactService(work)
        self.entries = ConsentRepository(work.session)

    async def history(self, contact_id: UUID, page: PageRequest) -> Page[ConsentEntry]:
        """The contact's decisions, newest first. Raises ContactNotFound, ContactMerged."""
        return await self.entries.of(await self.contacts.family(contact_id), page)

    async def note(
        self,
        contact_id: UUID,
        channel: str,
        category: str,
        *,
        is_opt_in: bool,
        source: str,
        evidence: str | None = None,
        decided_at: datetime | None = None,
    ) -> ConsentEntry:
        """Add a decision; ``category`` may be ``all``.

        Raises ContactNotFound, ContactMerged, Invalid (it lies in the future).
        """
        at = decided_at or now()
        if at > now() + _AHEAD:
            wrong = {"pointer": "/body/decided_at", "detail": "It lies in the future."}
            raise Invalid(errors=[wrong])
        contact = await self.contacts.get(contact_id)
        entry = await self.entries.add(
            ConsentEntry(
                contact_id=contact.id,
                channel=channel,
                category=category,
                is_opt_in=is_opt_in,
                source=source,
                evidence=evidence,
                decided_at=at,
                actor_name=self.work.actor.name,
            )
        )
        told = {"channel": channel, "category": category, "source": source}
        self.work.publish(ConsentChanged(contact_id=contact.id, is_opt_in=is_opt_in, **told))
        return entry

    async def heed(
        self, contact_id: UUID, channel: str, text: str, *, evidence: str | None = None
    ) -> Wish | None:
        """Note what an incoming message says about consent, if it is a STOP or START word.

        STOP ends everything but answers; START permits marketing again. ``evidence`` names the
        message. Raises ContactNotFound, ContactMerged.
        """
        wish = wish_of(text)
        if wish is not None:
            await self.note(
                contact_id,
                channel,
                "all",
                is_opt_in=wish == "start",
                source="start_word" if wish == "start" else "stop_word",
                evidence=evidence or text.strip()[:100],
            )
        return wish

    async def may_send(self, contact_id: UUID, channel: str, category: str) -> Permission:
        """Whether this may be sent to them now; ask at send time, not when a send is planned.

        Follows merges: who was merged is asked of who stays. Raises ContactNotFound.
        """
        return await self.may_send_to(await self.contacts.who(contact_id), channel, category)

    async def may_send_to(self, contact: Contact, channel: str, category: str) -> Permission:
        """The same of somebody whom ``ContactService.who`` has found."""
        family = await self.contacts.family_of(contact)
        found = await self.entries.decisions(family, channel, category)
        return permission(found, channel, category, is_blocked=contact.is_blocked)
