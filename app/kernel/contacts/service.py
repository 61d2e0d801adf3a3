"""People outside the tenant, found and made by what names them; whoever meets one comes here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.contracts.contacts import ContactBlockChanged, TimelineEntry, TimelineSource
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.contacts.conditions import filtered
from app.kernel.contacts.models import Contact, ContactNote
from app.kernel.contacts.problems import (
    ContactExists,
    ContactMerged,
    IdentityNotFound,
    IdentityTaken,
    NoteNotFound,
)
from app.kernel.contacts.repository import (
    ContactRepository,
    IdentityRepository,
    NoteRepository,
)
from app.kernel.contacts.rules import (
    canonical,
    e164,
    identity_value,
    timeline_cursor,
    timeline_place,
)
from app.kernel.contacts.rules import (
    email as spelled,
)
from app.kernel.contacts.schemas import ContactCreate, ContactFilter, ContactUpdate
from app.kernel.tags.models import Tag
from app.kernel.tags.service import AttributeService, TagService
from app.kernel.users.models import User
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class IdentityView:
    id: UUID
    kind: str
    value: str
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact with its tags, and alone with all that names it."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    source: str
    is_blocked: bool
    last_order_at: datetime | None
    created_at: datetime
    stage: str
    score: int
    score_adjustment: int
    owner_id: UUID | None
    company: str | None
    language: str | None
    birth_date: date | None
    attributes: dict[str, Any]
    seen_at: datetime | None
    tags: Sequence[Tag]
    identities: Sequence[IdentityView] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    items: Sequence[TimelineEntry]
    next_cursor: str | None


class ContactService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.contacts = ContactRepository(work.session)
        self.identities = IdentityRepository(work.session)
        self.notes = NoteRepository(work.session)
        self.tags = TagService(work)

    async def upsert_by_phone(
        self, name: str, phone: str, email: str | None = None, source: str = "storefront"
    ) -> Contact:
        """The contact of this number, made if there is none; safe under any concurrency.

        Known names and addresses stay: whoever merely knows a number must not rewrite its
        record from outside. Raises ContactPhoneInvalid.
        """
        found = await self.contacts.upsert(name.strip(), e164(phone), spelled(email), source)
        return await self.person(found)

    async def person(self, contact: Contact) -> Contact:
        """Who this is: the contact itself, or who it was merged into."""
        if contact.merged_into_id is None:
            return contact
        return await self.contacts.get(contact.merged_into_id)

    async def by_phone(self, phone: str) -> Contact | None:
        """The contact of a number in any written form, with or without the ninth digit.

        Raises ContactPhoneInvalid.
        """
        return await self.contacts.by_phone(e164(phone))

    async def search(
        self, page: PageRequest, query: str | None = None, *, is_blocked: bool | None = None
    ) -> Page[Contact]:
        """Contacts by part of the name (accents aside), phone or e-mail; newest first."""
        wanted = filtered(ContactFilter(is_blocked=is_blocked))
        return await self.contacts.search(page, query, *wanted)

    async def ids_of(self, query: str, at_most: int) -> Sequence[UUID]:
        """Whom the words or the number find, the newest first."""
        return await self.contacts.ids_of(query, at_most)

    async def page(self, page: PageRequest, wanted: ContactFilter) -> Page[ContactView]:
        """Contacts that all of the filter holds for, newest first, with their tags."""
        found = await self.contacts.search(page, wanted.query, *filtered(wanted))
        return Page(await self.views(found.items), found.next_cursor)

    async def get(self, contact_id: UUID, *, lock: bool = False) -> Contact:
        """Raises ContactNotFound, ContactMerged (with the id of who stays)."""
        contact = await self.contacts.get(contact_id, lock=lock)
        if contact.merged_into_id is not None:
            raise ContactMerged(id=contact.merged_into_id)
        return contact

    async def who(self, contact_id: UUID) -> Contact:
        """Who this is by now: who was merged is who stays. Raises ContactNotFound."""
        return await self.person(await self.contacts.get(contact_id))

    async def family(self, contact_id: UUID) -> list[UUID]:
        """The contact's id and those of its doubles. Raises ContactNotFound, ContactMerged."""
        return await self.family_of(await self.get(contact_id))

    async def family_of(self, contact: Contact) -> list[UUID]:
        """The ids of one who was not merged and of their doubles."""
        return [contact.id, *(double.id for double in await self.contacts.doubles(contact.id))]

    async def create(
        self, name: str, phone: str, email: str | None = None, source: str = "admin"
    ) -> Contact:
        """A new contact. Raises ContactExists (with its id), ContactPhoneInvalid."""
        number = e164(phone)
        taken = await self.contacts.by_phone(number)
        if taken is None:
            made = await self.contacts.insert_if_absent(name, number, spelled(email), source)
            if made is not None:
                self.work.record("contact.created", "contact", made.id, phone=number, name=name)
                return made
            taken = await self.contacts.by_phone(number)
        raise ContactExists(id=taken.id if taken else None)

    async def register(self, body: ContactCreate) -> ContactView:
        """A new contact with all that is known of it.

        Raises ContactExists, IdentityTaken (the e-mail names somebody else), AttributeInvalid,
        Invalid (an unknown tag or owner).
        """
        if body.phone is not None:
            contact = await self.create(body.name, body.phone, body.email, "admin")
        else:
            contact = await self.contacts.add(
                Contact(name=body.name, email=body.email, source="admin", phone=None)
            )
            await self.work.session.refresh(contact)
            self.work.record("contact.created", "contact", contact.id, name=body.name)
        if body.email is not None:
            await self._claim(contact, "email", body.email)
        facts = body.model_dump(
            include={"company", "language", "birth_date", "stage", "owner_id"},
            exclude_none=True,
        )
        await self._write(contact, facts, body.attributes)
        if body.tag_ids:
            await self.tags.set(contact.id, body.tag_ids)
        return await self.view(contact)

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
        contact = await self.get(contact_id, lock=True)
        facts: dict[str, Any] = {}
        if name is not None:
            facts["name"] = name
        if clear_email or spelled(email):
            facts["email"] = spelled(email)
        if is_blocked is not None:
            facts["is_blocked"] = is_blocked
        await self._write(contact, facts, {})
        return contact

    async def update(self, contact_id: UUID, body: ContactUpdate) -> ContactView:
        """Change what was sent.

        Raises ContactNotFound, ContactMerged, AttributeInvalid, Invalid (an unknown owner).
        """
        contact = await self.get(contact_id, lock=True)
        facts = body.model_dump(exclude_unset=True, exclude={"attributes"})
        await self._write(contact, facts, body.attributes)
        return await self.view(contact)

    async def delete(self, contact_id: UUID) -> None:
        """Forget somebody nothing was done with. Raises ContactNotFound, ContactMerged,
        ContactInUse."""
        contact = await self.get(contact_id, lock=True)
        self.work.record("contact.deleted", "contact", contact.id, name=contact.name)
        for double in await self.contacts.doubles(contact_id):
            await self.contacts.remove(double)
        await self.contacts.remove(contact)

    async def view(self, contact: Contact) -> ContactView:
        (found,) = await self.views([contact], await self.identities_of(contact))
        return found

    async def views(
        self, contacts: Sequence[Contact], identities: Sequence[IdentityView] = ()
    ) -> list[ContactView]:
        tags = await self.tags.of([contact.id for contact in contacts])
        return [
            ContactView(
                id=c.id, name=c.name, phone=c.phone, email=c.email, source=c.source,
                is_blocked=c.is_blocked, last_order_at=c.last_order_at, created_at=c.created_at,
                stage=c.stage_now, score=c.score, score_adjustment=c.score_adjustment,
                owner_id=c.owner_id, company=c.company, language=c.language,
                birth_date=c.birth_date, attributes=c.attributes, seen_at=c.seen_at,
                tags=tags.get(c.id, []), identities=identities,
            )
            for c in contacts
        ]  # fmt: skip

    # -- what names them -------------------------------------------------------------------

    async def identities_of(self, contact: Contact) -> list[IdentityView]:
        """Every number, WhatsApp id and address of a contact, the primary number first."""
        found = [IdentityView(contact.id, "phone", contact.phone, True)] if contact.phone else []
        doubles = await self.contacts.doubles(contact.id)
        found += [IdentityView(d.id, "phone", d.phone) for d in doubles if d.phone]
        rows = await self.identities.of(contact.id)
        found += [IdentityView(row.id, row.kind, row.value) for row in rows]
        return found

    async def add_identity(self, contact_id: UUID, kind: str, value: str) -> IdentityView:
        """Note that this names the contact as well.

        Raises ContactNotFound, ContactMerged, IdentityTaken (with the id of whose it is),
        Invalid, ContactPhoneInvalid.
        """
        contact = await self.get(contact_id, lock=True)
        text = identity_value(kind, value)
        id = await self._claim(contact, kind, text)
        self.work.record("contact.identity_added", "contact", contact.id, kind=kind, value=text)
        return IdentityView(id, kind, text, is_primary=id == contact.id)

    async def remove_identity(self, contact_id: UUID, identity_id: UUID) -> None:
        """Raises ContactNotFound, ContactMerged, IdentityNotFound (the primary number and
        those of merged contacts stay: change or unmerge the contact)."""
        contact = await self.get(contact_id, lock=True)
        for double in await self.contacts.doubles(contact_id):
            if double.id == identity_id and double.source == "number":
                await self.contacts.remove(double)
                break
        else:
            row = await self.identities.get(identity_id)
            if row.contact_id != contact.id:
                raise IdentityNotFound()
            await self.identities.delete(row)
        self.work.record("contact.identity_removed", "contact", contact.id, id=identity_id)

    async def _claim(self, contact: Contact, kind: str, value: str) -> UUID:
        if kind == "phone":
            return await self._claim_phone(contact, canonical(value))
        if await self.identities.attach(contact.id, [(kind, value)]) == 0:
            holder = (await self.identities.holders([(kind, value)])).get((kind, value))
            if holder != contact.id:
                raise IdentityTaken(id=holder)
        rows = await self.identities.of(contact.id)
        return next(row.id for row in rows if (row.kind, row.value) == (kind, value))

    async def _claim_phone(self, contact: Contact, number: str) -> UUID:
        """The first number becomes the contact's own; a further one a row merged into it."""
        taken = await self.contacts.by_phone(number)
        if taken is None and contact.phone is None:
            contact.phone = number
            await self.contacts.flush()
            return contact.id
        if taken is None:
            made = await self.contacts.insert_if_absent(
                contact.name, number, None, "number", double_of=contact
            )
            if made is not None:
                return made.id
            taken = await self.contacts.by_phone(number)
        if taken is None or taken.id != contact.id:
            raise IdentityTaken(id=taken.id if taken else None)
        held = await self.contacts.holding(number)
        return held.id if held is not None else contact.id

    # -- notes and timeline ----------------------------------------------------------------

    async def notes_of(self, contact_id: UUID, page: PageRequest) -> Page[ContactNote]:
        """Raises ContactNotFound, ContactMerged."""
        return await self.notes.of(await self.family(contact_id), page)

    async def add_note(self, contact_id: UUID, text: str) -> ContactNote:
        """Raises ContactNotFound, ContactMerged."""
        contact = await self.get(contact_id)
        note = await self.notes.add(
            ContactNote(contact_id=contact.id, text=text, author_name=self.work.actor.name)
        )
        await self.work.session.refresh(note)
        self.work.record("contact.noted", "contact", contact.id, note_id=note.id)
        return note

    async def remove_note(self, contact_id: UUID, note_id: UUID) -> None:
        """Raises ContactNotFound, ContactMerged, NoteNotFound."""
        family = await self.family(contact_id)
        note = await self.notes.get(note_id, lock=True)
        if note.contact_id not in family:
            raise NoteNotFound()
        self.work.record("contact.note_removed", "contact", contact_id, text=note.text)
        await self.notes.delete(note)

    async def timeline(
        self, contact_id: UUID, limit: int, cursor: str | None, grants: frozenset[str]
    ) -> Timeline:
        """What every domain knows happened with a contact, newest first; of what these grants
        do not show, nothing, so that a page may hold less than the limit.

        Raises ContactNotFound, ContactMerged, Invalid (a cursor of nobody's).
        """
        place = timeline_place(cursor) if cursor else None
        family = await self.family(contact_id)
        found: list[TimelineEntry] = []
        for kind, name in sorted(self.work.runtime.ports, key=lambda bound: bound[1]):
            if kind is TimelineSource:
                source = self.work.port(TimelineSource, name)
                found += await source.entries(family, place, limit + 1)
        found.sort(key=lambda entry: (entry.at, entry.id), reverse=True)
        items = found[:limit]
        more = len(found) > limit
        following = timeline_cursor(items[-1].at, items[-1].id) if more else None
        return Timeline([e for e in items if e.grant is None or e.grant in grants], following)

    # -- writing ---------------------------------------------------------------------------

    async def _write(
        self, contact: Contact, facts: dict[str, Any], attributes: dict[str, Any]
    ) -> None:
        if attributes:
            fitted = await AttributeService(self.work).fitted(contact.attributes, attributes)
            facts = {**facts, "attributes": fitted}
        changed = {k: v for k, v in facts.items() if getattr(contact, k) != v}
        if not changed:
            return
        if changed.get("owner_id") is not None:
            await self._ensure_member(changed["owner_id"])
        before = {k: getattr(contact, k) for k in changed}
        for field, value in changed.items():
            setattr(contact, field, value)
        if "stage" in changed:
            contact.stage_at = now()
        if "score_adjustment" in changed:
            contact.score += changed["score_adjustment"] - before["score_adjustment"]
        if "is_blocked" in changed:
            await self.contacts.block(contact.id, is_blocked=contact.is_blocked)
            self.work.publish(
                ContactBlockChanged(contact_id=contact.id, is_blocked=contact.is_blocked)
            )
        await self.contacts.flush()
        self.work.record("contact.updated", "contact", contact.id, before=before, after=changed)

    async def _ensure_member(self, user_id: UUID) -> None:
        if await self.work.session.get(User, user_id) is None:
            wrong = {"pointer": "/body/owner_id", "detail": "There is no such user."}
            raise Invalid(errors=[wrong])
