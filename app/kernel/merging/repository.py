"""Queries over merges, and over contacts that look like one person."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from app.core.repository import Repository
from app.kernel.contacts.models import Contact
from app.kernel.merging.models import ContactMerge
from app.kernel.merging.problems import MergeNotFound

_TWIN = r"^\+55([1-9][1-9])9?([6-9][0-9]{7})$"
"""A Brazilian mobile number with or without its ninth digit (core/phone)."""


class MergeRepository(Repository[ContactMerge]):
    model = ContactMerge
    missing = MergeNotFound

    async def of(self, contact_id: UUID) -> Sequence[ContactMerge]:
        """All merges into a contact, undone ones included, newest first."""
        return await self.all(
            self.query()
            .where(ContactMerge.contact_id == contact_id)
            .order_by(ContactMerge.id.desc())
            .limit(200)
        )

    async def redirect(self, contact_ids: Sequence[UUID], before: UUID, after: UUID) -> None:
        """Make doubles of one contact doubles of another."""
        await self.session.execute(
            update(Contact)
            .where(Contact.id.in_(contact_ids), Contact.merged_into_id == before)
            .values(merged_into_id=after)
            .execution_options(synchronize_session="fetch")
        )

    async def settle(self) -> None:
        """Let what follows a merge follow now instead of at the commit."""
        await (await self.raw()).execute("SET CONSTRAINTS settle_merged IMMEDIATE")

    async def twins(self, limit: int) -> list[tuple[str, list[UUID]]]:
        """Numbers stored both with and without their ninth digit, by their canonical form."""
        form = func.regexp_replace(Contact.phone, _TWIN, r"+55\19\2")
        return await self._groups(form, Contact.phone.is_not(None), limit)

    async def same_email(self, limit: int) -> list[tuple[str, list[UUID]]]:
        return await self._groups(
            func.lower(Contact.email), func.coalesce(Contact.email, "") != "", limit
        )

    async def old_numbers(self, after: UUID | None, limit: int) -> Sequence[Contact]:
        """Contacts whose number lacks its ninth digit, by id."""
        lacking = Contact.phone.regexp_match(r"^\+55[1-9][1-9][6-9][0-9]{7}$")
        statement = select(Contact).where(lacking, Contact.merged_into_id.is_(None))
        if after is not None:
            statement = statement.where(Contact.id > after)
        found = await self.session.scalars(statement.order_by(Contact.id).limit(limit))
        return found.all()

    async def contacts(self, ids: Sequence[UUID]) -> dict[UUID, Contact]:
        found = await self.session.scalars(select(Contact).where(Contact.id.in_(ids)))
        return {contact.id: contact for contact in found}

    async def _groups(
        self, value: ColumnElement[str], known: ColumnElement[bool], limit: int
    ) -> list[tuple[str, list[UUID]]]:
        ids = func.array_agg(Contact.id)
        rows = await self.session.execute(
            select(value.label("value"), ids)
            .where(known, Contact.merged_into_id.is_(None))
            .group_by("value")
            .having(func.count() > 1)
            .order_by("value")
            .limit(limit)
        )
        return [(found, sorted(members)) for found, members in rows]
