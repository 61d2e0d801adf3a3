"""Attendance hours: who reads and sets them, whoever is told of them, and clocks that pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.conversations.hours.models import InboxHours
from app.conversations.hours.repository import HoursRepository
from app.conversations.hours.rules import away_text
from app.conversations.hours.schemas import InboxHoursPut, InboxHoursRead
from app.conversations.inbox.models import LIVE
from app.conversations.numbers.service import NumberService
from app.conversations.sending.problems import ConsentMissing, NumberInactive, WindowClosed
from app.conversations.sending.schemas import TextMessage
from app.conversations.sending.service import Author, SendingService
from app.core.clock import now
from app.core.hours import after_open_time, is_open, last_closing, next_opening
from app.core.language import of_locale
from app.kernel.contacts.service import ContactService
from app.kernel.work import Work

_AUTHOR = Author("bot")
_EXAMPLE = "Ana Souza"
_EVER = datetime.min.replace(tzinfo=UTC)


class HoursService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.hours = HoursRepository(work.session)

    async def listed(self) -> list[InboxHoursRead]:
        """The tenant's hours, those of all numbers first."""
        rows = await self.hours.all(
            self.hours.query().order_by(InboxHours.number_id.nulls_first(), InboxHours.id)
        )
        return [self._shown(row) for row in rows]

    async def put(self, body: InboxHoursPut) -> InboxHoursRead:
        """Set the hours of one number, or of all others. Raises NumberNotFound."""
        if body.number_id is not None:
            await NumberService(self.work).get(body.number_id)
        values = body.model_dump(exclude={"hours", "exceptions"})
        values |= body.model_dump(mode="json", include={"hours", "exceptions"})
        row_id = await self.hours.put(values)
        row = await self.hours.get(row_id)
        await self.work.session.refresh(row)
        after = body.model_dump(mode="json")
        self.work.record("conversations.hours_set", "inbox_hours", row.id, after=after)
        return self._shown(row)

    async def remove(self, hours_id: UUID) -> None:
        """From now on somebody is always there, or the hours of all others count.

        Raises InboxHoursNotFound.
        """
        row = await self.hours.get(hours_id, lock=True)
        self.work.record(
            "conversations.hours_removed", "inbox_hours", row.id, number_id=row.number_id
        )
        await self.hours.delete(row)

    async def due(self, number_id: UUID, start: datetime, span: timedelta) -> datetime | None:
        """When ``span`` has passed since ``start``, in open time where clocks pause; None when so
        much is not open within 30 days."""
        row = await self.hours.of(number_id)
        if row is None or not row.clocks_pause:
            return start + span
        return after_open_time(row.schedule(), start, span)

    async def away(self, conversation_id: UUID) -> None:
        """Tell who wrote that nobody is there, once in each closure; not where somebody of the
        tenant has answered since it closed."""
        row = await self.hours.conversation(conversation_id)
        if row is None or row.status not in LIVE:
            return
        hours, at = await self.hours.of(row.number_id), now()
        if hours is None or not hours.is_away_told:
            return
        schedule = hours.schedule()
        if is_open(schedule, at):
            return
        since = last_closing(schedule, at) or _EVER
        if row.away_told_at is not None and row.away_told_at >= since:
            return
        if await self.hours.has_answered(row.id, since):
            return
        row.away_told_at = at
        contact = await ContactService(self.work).get(row.contact_id)
        said = away_text(
            hours.away_text, next_opening(schedule, at), at, contact.name,
            of_locale(self.work.tenant.locale), hours.timezone,
        )  # fmt: skip
        try:
            body = TextMessage(type="text", text=said)
            await SendingService(self.work).queue(row.id, body, _AUTHOR)
        except (ConsentMissing, NumberInactive, WindowClosed) as refused:
            self.work.record(
                "conversations.away_not_told", "conversation", row.id, why=refused.code
            )

    def _shown(self, row: InboxHours) -> InboxHoursRead:
        schedule, at = row.schedule(), now()
        opening = next_opening(schedule, at)
        preview = away_text(
            row.away_text, opening, at, _EXAMPLE, of_locale(self.work.tenant.locale), row.timezone
        )
        facts = {name: getattr(row, name) for name in InboxHoursRead.model_fields
                 if hasattr(row, name)}  # fmt: skip
        return InboxHoursRead.model_validate(
            facts
            | {
                "is_open": is_open(schedule, at),
                "next_opening_at": opening,
                "away_preview": preview,
            }
        )
