"""What the kernel itself knows of a contact's story: notes and decisions about consent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.contracts.contacts import TimelineEntry
from app.kernel.contacts.repository import StoryRepository
from app.kernel.work import UnitOfWork

_CHANNELS = {"whatsapp": "WhatsApp", "email": "e-mail", "sms": "SMS", "phone": "telefone",
             "telegram": "Telegram"}  # fmt: skip
_CATEGORIES = {"marketing": "promoções", "utility": "avisos", "authentication": "códigos",
               "service": "atendimento", "all": "tudo"}  # fmt: skip


class ContactTimeline:
    """Answers ``TimelineSource``."""

    def __init__(self, work: UnitOfWork) -> None:
        self.story = StoryRepository(work.session)

    async def entries(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[TimelineEntry]:
        notes = await self.story.notes(contact_ids, before, limit)
        consents = await self.story.consents(contact_ids, before, limit)
        return [
            *(
                TimelineEntry(n.created_at, n.id, "note", f"{n.author_name}: {n.text}",
                              "contact_note", n.id)
                for n in notes
            ),
            *(
                TimelineEntry(
                    c.decided_at, c.id, "consent",
                    f"{'Aceitou' if c.is_opt_in else 'Recusou'} receber "
                    f"{_CATEGORIES[c.category]} por {_CHANNELS[c.channel]}",
                    "consent", c.id,
                )
                for c in consents
            ),
        ]  # fmt: skip
