"""The set-based reads and writes of an import of contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.ids import new_id
from app.core.phone import phone_match_keys
from app.kernel.contacts.models import Contact, ContactIdentity

_BATCH = 1000


class AddressbookRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def by_phone(self, phones: Sequence[str]) -> dict[str, UUID]:
        """Whose each number is, under any of its stored forms."""
        forms = {form: phone for phone in phones for form in phone_match_keys(phone)}
        rows = await self.session.execute(
            select(Contact.phone, func.coalesce(Contact.merged_into_id, Contact.id)).where(
                Contact.phone.in_(list(forms))
            )
        )
        return {forms[phone]: holder for phone, holder in rows if phone is not None}

    async def by_email(self, emails: Sequence[str]) -> dict[str, UUID]:
        """Whom each address names."""
        rows = await self.session.execute(
            select(ContactIdentity.value, ContactIdentity.contact_id).where(
                ContactIdentity.kind == "email", ContactIdentity.value.in_(emails)
            )
        )
        return {key: value for key, value in rows}

    async def locked(self, ids: Sequence[UUID]) -> Mapping[UUID, Contact]:
        """These contacts, locked by id."""
        found = await self.session.scalars(
            select(Contact).where(Contact.id.in_(ids)).order_by(Contact.id).with_for_update()
        )
        return {contact.id: contact for contact in found}

    async def add(self, rows: Sequence[dict[str, Any]]) -> set[UUID]:
        """Add contacts whose number nobody took meanwhile; the ids of those added."""
        added: set[UUID] = set()
        for start in range(0, len(rows), _BATCH):
            done = await self.session.scalars(
                insert(Contact)
                .values(list(rows[start : start + _BATCH]))
                .on_conflict_do_nothing()
                .returning(Contact.id)
            )
            added |= set(done)
        return added

    async def name(self, emails: Sequence[tuple[UUID, str]]) -> None:
        """Let each address name its contact, where it names nobody."""
        rows = [
            {"id": new_id(), "contact_id": contact_id, "kind": "email", "value": email}
            for contact_id, email in emails
        ]
        for start in range(0, len(rows), _BATCH):
            statement = insert(ContactIdentity).values(rows[start : start + _BATCH])
            await self.session.execute(statement.on_conflict_do_nothing())
