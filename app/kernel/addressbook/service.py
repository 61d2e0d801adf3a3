"""Contacts from a file and into one: shown first, then written; known people are filled in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import PageRequest
from app.core.tabular import Table, UnreadableTable, csv_lines, read_table
from app.kernel.addressbook.problems import ContactsUnreadable
from app.kernel.addressbook.repository import AddressbookRepository
from app.kernel.addressbook.rules import Line, Read, columns_of, read
from app.kernel.addressbook.schemas import ContactsImport, ImportConsent
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts.models import Contact
from app.kernel.contacts.rules import canonical
from app.kernel.contacts.schemas import ContactFilter
from app.kernel.contacts.service import ContactView
from app.kernel.segments.service import SegmentService
from app.kernel.tags.service import AttributeService, TagService
from app.kernel.work import Work, WorkFactory

MOST_ROWS = 5000
_FAULTS = 100
_BATCH = 500
EXPORTED = (
    "id", "name", "phone", "email", "company", "language", "birth_date", "stage", "score",
    "tags", "attributes", "is_blocked", "source", "last_order_at", "seen_at", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    reason: str


@dataclass(slots=True)
class Report:
    """What became of every row, or would."""

    columns: dict[str, str]
    ignored: list[str]
    rows: int
    repeated: int
    failed: int
    faults: list[Fault]
    created: int = 0
    updated: int = 0
    unchanged: int = 0


async def export(
    works: WorkFactory, wanted: ContactFilter, segment_id: UUID | None
) -> AsyncGenerator[bytes, None]:
    """All matching contacts as CSV, newest first, in batches: memory and Works stay small.

    Taking them out of the house is audited, before the first byte. Raises SegmentNotFound.
    """
    async with works() as work:
        if segment_id is not None:
            await SegmentService(work).get(segment_id)
        work.record("contacts.exported", "contact", None, segment_id=segment_id)
    return _batches(works, wanted, segment_id)


async def _batches(
    works: WorkFactory, wanted: ContactFilter, segment_id: UUID | None
) -> AsyncGenerator[bytes, None]:
    page: PageRequest | None = PageRequest(_BATCH)
    yield csv_lines([EXPORTED])
    while page is not None:
        # A Work per batch: a slow reader holds no transaction open.
        async with works() as work:
            found = await SegmentService(work).members(page, wanted, segment_id)
        yield csv_lines(_row(view) for view in found.items)
        page = PageRequest(_BATCH, found.next_cursor) if found.next_cursor else None


def _row(view: ContactView) -> list[object]:
    values: dict[str, object] = {name: getattr(view, name) for name in EXPORTED}
    values["tags"] = ", ".join(tag.name for tag in view.tags)
    values["attributes"] = orjson.dumps(view.attributes).decode()
    return list(values.values())


class AddressbookService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.book = AddressbookRepository(work.session)

    async def preview(self, body: ContactsImport) -> Report:
        """What an import would do, line by line; nothing is written.

        Raises ContactsUnreadable, Invalid (an unknown tag).
        """
        report, found = await self._read(body)
        known = await self._known(found.lines)
        contacts = await self.book.locked(sorted(set(known.values())))
        for line in found.lines:
            holder = known.get(line.line)
            if holder is None:
                report.created += 1
            elif _changes(contacts[holder], line):
                report.updated += 1
            else:
                report.unchanged += 1
        return report

    async def apply(self, body: ContactsImport) -> Report:
        """Add the new contacts and fill in the known ones; again, it changes nothing.

        Blank names, addresses and companies are filled, attributes are set; everybody receives
        the tags and the consent. Raises ContactsUnreadable, Invalid (an unknown tag).
        """
        report, found = await self._read(body)
        known = await self._known(found.lines)
        added = await self._add([line for line in found.lines if line.line not in known])
        contacts = await self.book.locked(sorted(set(known.values())))
        for line in found.lines:
            holder = known.get(line.line)
            if holder is None:
                is_new = line.line in added
                report.created += is_new
                report.unchanged += not is_new
                continue
            changes = _changes(contacts[holder], line)
            for name, value in changes.items():
                setattr(contacts[holder], name, value)
            report.updated += bool(changes)
            report.unchanged += not changes
        people = sorted({*known.values(), *added.values()})
        await TagService(self.work).give(people, body.tag_ids)
        if body.consent is not None:
            self._consent(sorted(added.values()), body.consent)
        await self.work.session.flush()
        self.work.record(
            "contacts.imported", "contact", None, created=report.created,
            updated=report.updated, failed=report.failed,
        )  # fmt: skip
        return report

    async def _read(self, body: ContactsImport) -> tuple[Report, Read]:
        definitions = await AttributeService(self.work).defined()
        await TagService(self.work).ensure(body.tag_ids)
        table = _table(body.csv)
        try:
            columns = columns_of(table.header, [d.key for d in definitions], body.mapping)
        except KeyError as error:
            raise ContactsUnreadable(str(error.args[0])) from error
        if not {"phone", "email"} & columns.keys():
            raise ContactsUnreadable("No column is a phone or an e-mail: name it in mapping.")
        found = read(table, columns, definitions)
        used = set(columns.values())
        report = Report(
            columns=columns,
            ignored=[name for name in table.header if name and name not in used],
            rows=len(table.rows),
            repeated=found.repeated,
            failed=len(found.faults),
            faults=[Fault(*fault) for fault in found.faults[:_FAULTS]],
        )
        return report, found

    async def _known(self, lines: Sequence[Line]) -> dict[int, UUID]:
        """Whose each line is; the telephone decides before the address."""
        phones = await self.book.by_phone([line.phone for line in lines if line.phone])
        emails = await self.book.by_email([line.email for line in lines if line.email])
        found = {}
        for line in lines:
            holder = phones.get(line.phone or "")
            if holder is None and (line.phone is None or line.email in emails):
                holder = emails.get(line.email or "")
            if holder is not None:
                found[line.line] = holder
        return found

    async def _add(self, lines: Sequence[Line]) -> dict[int, UUID]:
        """Add contacts; the ids of those added by line."""
        ids = {line.line: new_id() for line in lines}
        added = await self.book.add(
            [
                {
                    "id": ids[line.line],
                    "name": line.name,
                    "phone": canonical(line.phone) if line.phone else None,
                    "email": line.email,
                    "company": line.company,
                    "attributes": line.attributes,
                    "source": "import",
                }
                for line in lines
            ]
        )
        await self.book.name(
            [(ids[n.line], n.email) for n in lines if n.email and ids[n.line] in added]
        )
        return {line: id for line, id in ids.items() if id in added}

    def _consent(self, contact_ids: Sequence[UUID], consent: ImportConsent) -> None:
        """For new people alone: a file overrules nobody who decided here themselves."""
        self.work.session.add_all(
            ConsentEntry(
                contact_id=contact_id,
                channel=consent.channel,
                category=consent.category,
                is_opt_in=True,
                source="import",
                evidence=consent.evidence,
                decided_at=now(),
                actor_name=self.work.actor.name,
            )
            for contact_id in contact_ids
        )


def _table(text: str) -> Table:
    try:
        table = read_table(text.encode())
    except UnreadableTable as error:
        raise ContactsUnreadable(str(error)) from error
    if len(table.rows) > MOST_ROWS:
        raise ContactsUnreadable(f"{len(table.rows)} rows: send at most {MOST_ROWS} at once.")
    return table


def _changes(contact: Contact, line: Line) -> dict[str, object]:
    found: dict[str, object] = {
        name: getattr(line, name)
        for name in ("name", "email", "company")
        if getattr(line, name) and not getattr(contact, name)
    }
    attributes = {**contact.attributes, **line.attributes}
    if attributes != contact.attributes:
        found["attributes"] = attributes
    return found
