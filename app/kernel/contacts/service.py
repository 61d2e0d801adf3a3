"""People outside the tenant, found and made by phone; every domain that meets one comes here."""

from __future__ import annotations

from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.core.phone import InvalidPhone, normalise_phone
from app.kernel.contacts.models import Contact
from app.kernel.contacts.problems import ContactExists, ContactPhoneInvalid
from app.kernel.contacts.repository import ContactRepository
from app.kernel.work import Work


class ContactService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.contacts = ContactRepository(work.session)

    async def upsert_by_phone(
        self, name: str, phone: str, email: str | None = None, source: str = "storefront"
    ) -> Contact:
        """The contact of this number, made if there is none; safe under any concurrency.

        Known names and addresses stay: whoever merely knows a number must not rewrite its
        record from outside. Raises ContactPhoneInvalid.
        """
        return await self.contacts.upsert(name.strip(), _e164(phone), _email(email), source)

    async def by_phone(self, phone: str) -> Contact | None:
        """The contact of a number in any written form, with or without the ninth digit.

        Raises ContactPhoneInvalid.
        """
        return await self.contacts.by_phone(_e164(phone))

    async def search(
        self, page: PageRequest, query: str | None = None, *, is_blocked: bool | None = None
    ) -> Page[Contact]:
        """Contacts by part of the name (accents aside), phone or e-mail; newest first."""
        return await self.contacts.search(page, query, is_blocked=is_blocked)

    async def get(self, contact_id: UUID, *, lock: bool = False) -> Contact:
        """Raises ContactNotFound."""
        return await self.contacts.get(contact_id, lock=lock)

    async def create(
        self, name: str, phone: str, email: str | None = None, source: str = "admin"
    ) -> Contact:
        """A new contact. Raises ContactExists (with its id), ContactPhoneInvalid."""
        number = _e164(phone)
        taken = await self.contacts.by_phone(number)
        if taken is None:
            made = await self.contacts.insert_if_absent(name, number, _email(email), source)
            if made is not None:
                self.work.record("contact.created", "contact", made.id, phone=number, name=name)
                return made
            taken = await self.contacts.by_phone(number)
        raise ContactExists(id=taken.id if taken else None)

    async def change(
        self,
        contact_id: UUID,
        *,
        name: str | None = None,
        email: str | None = None,
        clear_email: bool = False,
        is_blocked: bool | None = None,
    ) -> Contact:
        """Correct a contact; None leaves a fact as it is. Raises ContactNotFound."""
        contact = await self.contacts.get(contact_id, lock=True)
        wanted: dict[str, str | bool | None] = {
            "name": contact.name if name is None else name,
            "email": None if clear_email else (_email(email) or contact.email),
            "is_blocked": contact.is_blocked if is_blocked is None else is_blocked,
        }
        changed = {k: v for k, v in wanted.items() if getattr(contact, k) != v}
        if not changed:
            return contact
        before = {k: getattr(contact, k) for k in changed}
        for field, value in changed.items():
            setattr(contact, field, value)
        await self.contacts.flush()
        self.work.record("contact.updated", "contact", contact.id, before=before, after=changed)
        return contact


def _e164(phone: str) -> str:
    try:
        return normalise_phone(phone)
    except InvalidPhone as error:
        raise ContactPhoneInvalid(reason=error.reason) from error


def _email(email: str | None) -> str | None:
    return email.strip().lower() or None if email else None
