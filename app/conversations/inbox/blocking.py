"""Who is blocked here is blocked at the vendor, on every number they wrote to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.contracts.gateways.messaging import GatewayRefused
from app.contracts.gateways.whatsapp import WhatsAppAccount
from app.conversations.inbox.repository import ConversationRepository
from app.conversations.numbers.service import NumberService
from app.core.crypto import SecretUnreadable
from app.kernel.contacts.problems import ContactMerged, ContactNotFound
from app.kernel.contacts.service import ContactService
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class BlockCall:
    """One person on one number; ``user`` is how the vendor knows them."""

    number_id: UUID
    account: WhatsAppAccount
    user: str


class BlockingService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.conversations = ConversationRepository(work.session)

    async def wanted(self, contact_id: UUID) -> tuple[bool, list[BlockCall]]:
        """Whether the contact is blocked now, and what the vendor must be asked for that.

        Nothing for who is gone or became part of another contact.
        """
        contacts = ContactService(self.work)
        try:
            contact = await contacts.get(contact_id)
        except (ContactNotFound, ContactMerged):
            return False, []
        known = await contacts.identities_of(contact)
        users = [identity.value for identity in known if identity.kind == "wa_id"]
        if not users and contact.phone is not None:
            users = [contact.phone.removeprefix("+")]
        users = users or [identity.value for identity in known if identity.kind == "bsuid"]
        calls = []
        for number in await self.conversations.numbers_of(await contacts.family(contact_id)):
            try:
                account = NumberService(self.work).account(number)
            except SecretUnreadable:
                # Nobody can act as this number before it has a new token.
                continue
            calls += [BlockCall(number.id, account, user) for user in users]
        return contact.is_blocked, calls

    def refused(self, contact_id: UUID, number_id: UUID, answer: GatewayRefused) -> None:
        """Note what the vendor did not do, and why."""
        facts = {"number_id": str(number_id), "code": answer.code, "reason": answer.reason}
        self.work.record("contact.block_refused", "contact", contact_id, **facts)
