"""Queries over contacts: found by whatever names them, added without a race, searched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.phone import phone_match_keys
from app.core.repository import Repository
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts.conditions import like_patterns, people, whole_number
from app.kernel.contacts.models import Contact, ContactIdentity, ContactNote
from app.kernel.contacts.problems import (
    ContactInUse,
    ContactNotFound,
    IdentityNotFound,
    IdentityTaken,
    NoteNotFound,
)


class ContactRepository(Repository[Contact]):
    model = Contact
    missing = ContactNotFound

    def people(self) -> Select[Contact]:
        """Contacts that are nobody's double."""
        return self.query().where(Contact.merged_into_id.is_(None))

    async def by_phone(self, e164: str) -> Contact | None:
        """Whose number this is under any stored form, the canonical one first."""
        keys = phone_match_keys(e164)
        held = (
            select(func.coalesce(Contact.merged_into_id, Contact.id))
            .where(Contact.phone.in_(keys))
            .order_by((Contact.phone == keys[0]).desc())
            .limit(1)
        )
        return await self.one_or_none(self.query().where(Contact.id == held.scalar_subquery()))

    async def holding(self, e164: str) -> Contact | None:
        """The row that stores exactly this number, be it a person's first number or a further."""
        return await self.one_or_none(self.query().where(Contact.phone == e164))

    async def upsert(self, name: str, e164: str, email: str | None, source: str) -> Contact:
        """The contact of this number, made if absent; blanks are filled, facts are kept.

        One statement: a twin stored without the ninth digit supplies the conflicting key, and
        whoever loses the race to insert updates the winner's row.
        """
        keys = phone_match_keys(e164)
        stored = (
            select(Contact.phone)
            .where(Contact.phone.in_(keys))
            .order_by((Contact.phone == keys[0]).desc())
            .limit(1)
            .scalar_subquery()
        )
        row = insert(Contact).values(
            name=name, phone=func.coalesce(stored, keys[0]), email=email, source=source
        )
        statement = row.on_conflict_do_update(
            index_elements=[Contact.tenant_id, Contact.phone],
            set_={
                "name": case((Contact.name == "", row.excluded.name), else_=Contact.name),
                "email": func.coalesce(Contact.email, row.excluded.email),
            },
        ).returning(Contact)
        found = await self.session.scalars(statement, execution_options={"populate_existing": True})
        return found.one()

    async def insert_if_absent(
        self,
        name: str,
        e164: str,
        email: str | None,
        source: str,
        *,
        double_of: Contact | None = None,
    ) -> Contact | None:
        """The new contact, or None when the number's canonical form was taken meanwhile.

        ``double_of``: it is a further number of that person, and as blocked as they are.
        """
        root = double_of
        statement = (
            insert(Contact)
            .values(
                name=name,
                phone=phone_match_keys(e164)[0],
                email=email,
                source=source,
                merged_into_id=root.id if root else None,
                is_blocked=root.is_blocked if root else False,
            )
            .on_conflict_do_nothing(index_elements=[Contact.tenant_id, Contact.phone])
            .returning(Contact)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def doubles(self, contact_id: UUID) -> Sequence[Contact]:
        """What was merged into this contact, further numbers included."""
        return await self.all(
            self.query().where(Contact.merged_into_id == contact_id).order_by(Contact.id)
        )

    async def block(self, contact_id: UUID, *, is_blocked: bool) -> None:
        """Doubles are as blocked as the person: a checkout looks at the row of its number."""
        await self.session.execute(
            update(Contact)
            .where(Contact.merged_into_id == contact_id)
            .values(is_blocked=is_blocked)
            .execution_options(synchronize_session=False)
        )

    async def remove(self, contact: Contact) -> None:
        """Raises ContactInUse when something that outlives a contact refers to it."""
        try:
            await self.session.delete(contact)
            await self.session.flush()
        except IntegrityError as error:
            raise ContactInUse() from error

    async def search(
        self, page: PageRequest, query: str | None, *conditions: ColumnElement[bool]
    ) -> Page[Contact]:
        """People whose name, phone or e-mail holds every word of ``query``, newest first."""
        statement = self.people().where(*conditions)
        if query and query.strip():
            statement = statement.where(await self._matches(query, page, is_all=not conditions))
        return await self.page(statement, page)

    async def ids_of(self, query: str, at_most: int) -> Sequence[UUID]:
        """Ids of people by number or parts of the name, e-mail or number, newest first."""
        return (await self.session.scalars(people(query, at_most))).all()

    async def count(self, *conditions: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(Contact)
        where = (Contact.merged_into_id.is_(None), *conditions)
        return await self.session.scalar(statement.where(*where)) or 0

    async def ids(self, limit: int, *conditions: ColumnElement[bool]) -> Sequence[UUID]:
        """The first ``limit`` people by id."""
        where = (Contact.merged_into_id.is_(None), *conditions)
        found = await self.session.scalars(
            select(Contact.id).where(*where).order_by(Contact.id).limit(limit)
        )
        return found.all()

    async def _matches(self, query: str, page: PageRequest, *, is_all: bool) -> ColumnElement[bool]:
        """Ids by the function that may use the index; only a page of them when nothing else
        is asked."""
        whole = whole_number(query)
        if whole:
            held = aliased(Contact)
            root = func.coalesce(held.merged_into_id, held.id)
            roots = await self.session.scalars(select(root).where(held.phone.in_(whole)))
            return Contact.id.in_(roots.all())
        found = await (await self.raw()).fetch(
            "SELECT find_contacts($1, $2, $3)",
            like_patterns(query),
            page.cursor if is_all else None,
            page.limit + 1 if is_all else None,
        )
        return Contact.id.in_([row[0] for row in found])


class IdentityRepository(Repository[ContactIdentity]):
    model = ContactIdentity
    missing = IdentityNotFound
    conflicts: ClassVar = {"contact_identities_tenant_id_kind_value_key": IdentityTaken}

    async def of(self, contact_id: UUID) -> Sequence[ContactIdentity]:
        return await self.all(
            self.query()
            .where(ContactIdentity.contact_id == contact_id)
            .order_by(ContactIdentity.id)
        )

    async def holders(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
        """Who has which of these (kind, value) pairs."""
        where = [(ContactIdentity.kind == k) & (ContactIdentity.value == v) for k, v in keys]
        if not where:
            return {}
        rows = await self.session.execute(
            select(ContactIdentity.kind, ContactIdentity.value, ContactIdentity.contact_id).where(
                or_(*where)
            )
        )
        return {(kind, value): contact_id for kind, value, contact_id in rows}

    async def attach(self, contact_id: UUID, keys: Sequence[tuple[str, str]]) -> int:
        """Give a contact what nobody has; how many were new."""
        if not keys:
            return 0
        done = await self.session.execute(
            insert(ContactIdentity)
            .values(
                [
                    {"id": new_id(), "contact_id": contact_id, "kind": kind, "value": value}
                    for kind, value in keys
                ]
            )
            .on_conflict_do_nothing()
            .returning(ContactIdentity.id)
        )
        return len(done.all())

    async def reserve(self, keys: Sequence[tuple[str, str]]) -> None:
        """Wait for whoever is making a contact of one of these, until the commit."""
        driver = await self.raw()
        for kind, value in sorted(keys):
            await driver.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended("
                "app_tenant_id()::text || ':' || $1 || ':' || $2, 22))",
                kind,
                value,
            )

    async def move(self, ids: Sequence[UUID], contact_id: UUID) -> None:
        await self.session.execute(
            update(ContactIdentity)
            .where(ContactIdentity.id.in_(ids))
            .values(contact_id=contact_id)
            .execution_options(synchronize_session=False)
        )


class NoteRepository(Repository[ContactNote]):
    model = ContactNote
    missing = NoteNotFound

    async def of(self, contact_ids: Sequence[UUID], page: PageRequest) -> Page[ContactNote]:
        return await self.page(self.query().where(ContactNote.contact_id.in_(contact_ids)), page)


class StoryRepository:
    """What stands in the kernel's own tables of a contact's story, newest first."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def notes(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ContactNote]:
        at = ContactNote.created_at
        statement = select(ContactNote).where(ContactNote.contact_id.in_(contact_ids))
        if before is not None:
            statement = statement.where(tuple_(at, ContactNote.id) < before)
        newest = statement.order_by(at.desc(), ContactNote.id.desc()).limit(limit)
        return (await self.session.scalars(newest)).all()

    async def consents(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ConsentEntry]:
        at = ConsentEntry.decided_at
        statement = select(ConsentEntry).where(ConsentEntry.contact_id.in_(contact_ids))
        if before is not None:
            statement = statement.where(tuple_(at, ConsentEntry.id) < before)
        newest = statement.order_by(at.desc(), ConsentEntry.id.desc()).limit(limit)
        return (await self.session.scalars(newest)).all()
