"""Queries over contacts: found by any form of their phone, added without a race."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.core.fold import holds
from app.core.pagination import Page, PageRequest
from app.core.phone import InvalidPhone, normalise_phone, phone_match_keys
from app.core.repository import Repository
from app.kernel.contacts.models import Contact
from app.kernel.contacts.problems import ContactNotFound


class ContactRepository(Repository[Contact]):
    model = Contact
    missing = ContactNotFound

    async def by_phone(self, e164: str) -> Contact | None:
        """The contact under any stored form of the number, the canonical one first."""
        keys = phone_match_keys(e164)
        return await self.one_or_none(
            self.query()
            .where(Contact.phone.in_(keys))
            .order_by((Contact.phone == keys[0]).desc())
            .limit(1)
        )

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
        self, name: str, e164: str, email: str | None, source: str
    ) -> Contact | None:
        """The new contact, or None when the number's canonical form was taken meanwhile."""
        statement = (
            insert(Contact)
            .values(name=name, phone=phone_match_keys(e164)[0], email=email, source=source)
            .on_conflict_do_nothing(index_elements=[Contact.tenant_id, Contact.phone])
            .returning(Contact)
        )
        return (await self.session.scalars(statement)).one_or_none()

    async def search(
        self, page: PageRequest, query: str | None, *, is_blocked: bool | None = None
    ) -> Page[Contact]:
        """Contacts whose name, phone or e-mail holds ``query``, newest first."""
        statement = self.query()
        if query:
            statement = statement.where(_matches(query))
        if is_blocked is not None:
            statement = statement.where(Contact.is_blocked == is_blocked)
        return await self.page(statement, page)


def _matches(query: str) -> ColumnElement[bool]:
    whole = _whole_number(query)
    if whole:
        return Contact.phone.in_(whole)
    text = query.strip().lower()
    found: list[ColumnElement[bool]] = [
        holds(Contact.name, text),
        func.lower(Contact.email).contains(text, autoescape=True),
    ]
    digits = re.sub(r"\D", "", text)
    if digits and not re.search(r"[^\d\s()+.\-]", text):
        found.append(Contact.phone.contains(digits))
    return or_(*found)


def _whole_number(query: str) -> Sequence[str]:
    """Every stored form of a complete number: a lookup in the index instead of a scan."""
    try:
        return phone_match_keys(normalise_phone(query))
    except InvalidPhone:
        return ()
