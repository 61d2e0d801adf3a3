"""Who is who: contacts met by whatever names them, merged when two are one, and parted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.contracts.contacts import ContactBlockChanged, ContactsMerged, ContactsUnmerged
from app.core.clock import now
from app.kernel.contacts.models import Contact
from app.kernel.contacts.problems import ContactMerged
from app.kernel.contacts.rules import Key, Sighting, canonical
from app.kernel.contacts.service import ContactService
from app.kernel.merging.models import ContactMerge
from app.kernel.merging.problems import MergeIntoItself, MergeNotFound, MergeUndone
from app.kernel.merging.repository import MergeRepository
from app.kernel.merging.rules import FIELDS, fill, kept, taken_back
from app.kernel.tags.service import TagService
from app.kernel.work import Work

_MOST = 100


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Contacts that may be one person, the oldest first."""

    reason: str
    value: str
    contacts: Sequence[Contact]


class MergeService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.people = ContactService(work)
        self.contacts, self.identities = self.people.contacts, self.people.identities
        self.merges = MergeRepository(work.session)
        self.tags = TagService(work)

    # -- meeting people --------------------------------------------------------------------

    async def meet(self, seen: Sighting) -> Contact:
        """The contact of a sighting: found by any of its identities, else made.

        Fifty first messages of one person at once make one contact. What the sighting newly
        proves is noted; when it names two contacts, they are one and are merged, the one with
        the surest identity staying. A known name is kept. Raises ContactPhoneInvalid.
        """
        phone, keys = seen.e164(), seen.keys()
        found = await self._named(keys, phone)
        if not found:
            await self.identities.reserve([*keys, *([("phone", phone)] if phone else [])])
            found = await self._named(keys, phone) or [await self._make(seen, phone)]
        contact, *others = found
        for other in others:
            await self.merge(contact.id, other.id, "the same message names both")
        await self.identities.attach(contact.id, keys)
        if phone and await self.contacts.by_phone(phone) is None:
            await self.people.add_identity(contact.id, "phone", phone)
        if seen.name and not contact.name:
            contact.name = seen.name.strip()
        return contact

    async def saw(self, contact: Contact) -> None:
        """Note that somebody wrote just now; ``last_seen_at`` never goes back."""
        contact.last_seen_at = max(filter(None, (contact.last_seen_at, now())))

    async def _named(self, keys: Sequence[Key], phone: str | None) -> list[Contact]:
        """Whom these name, each once, the surest identity first."""
        holders = await self.identities.holders(keys)
        ids = [holders[key] for key in keys if key in holders]
        found = [await self.people.person(await self.contacts.get(id)) for id in ids]
        by_phone = await self.contacts.by_phone(phone) if phone else None
        if by_phone is not None:
            found.append(by_phone)
        return list({contact.id: contact for contact in found}.values())

    async def _make(self, seen: Sighting, phone: str | None) -> Contact:
        name = seen.name.strip()
        if phone is not None:
            # A checkout may be making this contact now: the number's index decides.
            return await self.people.upsert_by_phone(name, phone, seen.email, seen.source)
        made = await self.contacts.add(
            Contact(name=name, email=seen.email, source=seen.source, phone=None)
        )
        await self.work.session.refresh(made)
        return made

    # -- merging ---------------------------------------------------------------------------

    async def merge(self, contact_id: UUID, merged_id: UUID, reason: str = "") -> ContactMerge:
        """Make ``merged_id`` a double of ``contact_id``, who receives what it had.

        Its telephone keeps leading to who stays. Raises ContactNotFound, ContactMerged,
        MergeIntoItself.
        """
        if contact_id == merged_id:
            raise MergeIntoItself()
        stays, merged = await self._both(contact_id, merged_id)
        for contact in (stays, merged):
            if contact.merged_into_id is not None:
                raise ContactMerged(id=contact.merged_into_id)
        changed = fill(_facts(stays), _facts(merged))
        row = ContactMerge(
            contact_id=stays.id,
            merged_id=merged.id,
            reason=reason,
            filled=kept(_facts(stays), changed),
            was_blocked=merged.is_blocked,
            tag_ids=await self._lacking_tags(stays.id, merged.id),
            identity_ids=[row.id for row in await self.identities.of(merged.id)],
            double_ids=[double.id for double in await self.contacts.doubles(merged.id)],
            actor_name=self.work.actor.name,
        )
        if "phone" in changed:
            merged.phone = None
            await self.contacts.flush()
        before = {stays.is_blocked, merged.is_blocked}
        await self._set(stays, changed)
        merged.merged_into_id, merged.is_blocked = stays.id, stays.is_blocked
        await self._follow(row, stays)
        if before != {stays.is_blocked}:
            self._tell_blocked(stays)
        self.work.publish(ContactsMerged(contact_id=stays.id, merged_id=merged.id, reason=reason))
        await self._settled(row, stays, merged)
        return row

    async def _lacking_tags(self, contact_id: UUID, merged_id: UUID) -> list[UUID]:
        """The tags that only the merged contact carries."""
        carried = await self.tags.of([contact_id, merged_id])
        mine, theirs = ({t.id for t in carried.get(id, [])} for id in (contact_id, merged_id))
        return sorted(theirs - mine)

    async def _follow(self, row: ContactMerge, stays: Contact) -> None:
        await self.contacts.flush()
        await self.contacts.block(stays.id, is_blocked=stays.is_blocked)
        await self.merges.redirect(row.double_ids, row.merged_id, stays.id)
        await self.identities.move(row.identity_ids, stays.id)
        await self.tags.give([stays.id], row.tag_ids)
        await self.merges.add(row)

    async def undo(self, contact_id: UUID, merge_id: UUID) -> ContactMerge:
        """Part two contacts again: each has what it had, and what came through it since.

        Facts of who stayed that somebody changed since the merge keep that change. Raises
        ContactNotFound, ContactMerged (undo that merge first), MergeNotFound, MergeUndone.
        """
        await self.people.get(contact_id)
        row = await self.merges.get(merge_id, lock=True)
        if row.contact_id != contact_id:
            raise MergeNotFound()
        if row.undone_at is not None:
            raise MergeUndone()
        stays, merged = await self._both(row.contact_id, row.merged_id)
        back = taken_back(_facts(stays), row.filled)
        before = stays.is_blocked
        await self._set(stays, back)
        merged.merged_into_id, merged.is_blocked = None, row.was_blocked
        if "phone" in back:
            merged.phone = row.filled["phone"][1]
        await self.contacts.flush()
        await self.merges.redirect(row.double_ids, stays.id, merged.id)
        for contact in (stays, merged):
            await self.contacts.block(contact.id, is_blocked=contact.is_blocked)
        held = {identity.id for identity in await self.identities.of(stays.id)}
        await self.identities.move([id for id in row.identity_ids if id in held], merged.id)
        await self.tags.take([stays.id], row.tag_ids)
        row.undone_at = now()
        await self.merges.flush()
        self.work.publish(ContactsUnmerged(contact_id=stays.id, merged_id=merged.id))
        for contact in (stays, merged):
            if contact.is_blocked != before:
                self._tell_blocked(contact)
        await self._settled(row, stays, merged)
        return row

    def _tell_blocked(self, contact: Contact) -> None:
        blocked = contact.is_blocked
        self.work.publish(ContactBlockChanged(contact_id=contact.id, is_blocked=blocked))

    async def of(self, contact_id: UUID) -> Sequence[ContactMerge]:
        """What was merged into a contact, newest first. Raises ContactNotFound, ContactMerged."""
        return await self.merges.of((await self.people.get(contact_id)).id)

    async def duplicates(self, *, by_email: bool = True) -> list[Duplicate]:
        """Who may be one person: one number in two forms, one e-mail address; 100 of each kind.

        The same e-mail proves little (a household, an office), so it is reported and never
        merged by itself.
        """
        groups = [("phone", g) for g in await self.merges.twins(_MOST)]
        if by_email:
            groups += [("email", g) for g in await self.merges.same_email(_MOST)]
        known = await self.merges.contacts([id for _, (_, ids) in groups for id in ids])
        return [
            Duplicate(reason, value, [known[id] for id in ids]) for reason, (value, ids) in groups
        ]

    # -- numbers ---------------------------------------------------------------------------

    async def old_numbers(self, after: UUID | None, limit: int) -> Sequence[Contact]:
        """Contacts whose number is stored without its ninth digit, by id."""
        return await self.merges.old_numbers(after, limit)

    async def normalise(self, contact_id: UUID) -> Contact | None:
        """Store a contact's number in its canonical form; None: that form is another contact's,
        and the two are for ``merge``. Raises ContactNotFound."""
        contact = await self.contacts.get(contact_id, lock=True)
        if contact.phone is None or canonical(contact.phone) == contact.phone:
            return contact
        if await self.contacts.holding(canonical(contact.phone)) is not None:
            return None
        before, contact.phone = contact.phone, canonical(contact.phone)
        await self.contacts.flush()
        self.work.record(
            "contact.updated", "contact", contact.id,
            before={"phone": before}, after={"phone": contact.phone},
        )  # fmt: skip
        return contact

    async def _both(self, first: UUID, second: UUID) -> tuple[Contact, Contact]:
        """Both rows, locked in the order of their ids, so that two merges never wait crosswise."""
        found = {id: await self.contacts.get(id, lock=True) for id in sorted((first, second))}
        return found[first], found[second]

    async def _set(self, contact: Contact, facts: dict[str, object]) -> None:
        for name, value in facts.items():
            setattr(contact, name, value)
        await self.contacts.flush()

    async def _settled(self, row: ContactMerge, *contacts: Contact) -> None:
        await self.merges.settle()
        await self.work.session.refresh(row)
        for contact in contacts:
            await self.work.session.refresh(contact)


def _facts(contact: Contact) -> dict[str, object]:
    return {name: getattr(contact, name) for name in FIELDS}
