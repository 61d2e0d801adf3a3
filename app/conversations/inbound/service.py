"""Applies what was delivered: messages, changes of messages, statuses, preferences, the rest.

The same rows come out in whatever order, company and number of copies the items arrive: one row
per (number, wamid), and everything that follows from several items is folded from all of them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

from app.contracts.conversations import (
    AccountNoticed,
    ConversationOpened,
    MessageChanged,
    MessageReceived,
    MessageStatusChanged,
)
from app.conversations.carts.rules import job_of
from app.conversations.hours.rules import AWAY, is_away
from app.conversations.inbound.reading import (
    CHANGES,
    MEDIA_LIFE,
    Account,
    Item,
    Message,
    Person,
    Preference,
    Status,
    Unreadable,
)
from app.conversations.inbound.repository import InboundRepository
from app.conversations.inbound.rules import STAMPS, Notice, folded, standing
from app.conversations.inbound.schemas import Kept, Number, Row
from app.conversations.inbox.models import Message as StoredMessage
from app.conversations.media.rules import FETCH
from app.conversations.sending.rules import URGENCY
from app.core.clock import now
from app.kernel.consents.rules import wish_of
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.rules import Sighting
from app.kernel.merging.service import MergeService
from app.kernel.work import UnitOfWork

OPTED_OUT = "131050"
"""The vendor's code: this person stopped marketing messages."""
UNSENT = frozenset({"failed", "cancelled"})
"""A message that stands so answers nobody."""
_SHOWN = 200

log = logging.getLogger(__name__)


class InboundService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.rows = InboundRepository(work.session)
        self.people = MergeService(work)
        self.consents = ConsentService(work)

    async def apply(self, items: Iterable[Item], delivery_id: UUID) -> list[str]:
        """Apply every item in a savepoint of its own: why those failed that did.

        Items of one person, and notices of one message, keep their order; otherwise they are
        taken by name, so that two deliveries never wait for each other crosswise.
        """
        found = sorted(items, key=_place)
        numbers = await self._numbers(found)
        failed = []
        for position, item in enumerate(found):
            try:
                async with self.work.aside() if len(found) > 1 else nullcontext():
                    await self._item(item, numbers, _id_of(delivery_id, position))
            except Exception as error:
                if len(found) == 1:
                    raise
                log.exception("whatsapp.item_failed", extra={"delivery_id": str(delivery_id)})
                failed.append(f"{type(error).__name__}: {error}"[:200])
        return failed

    async def _numbers(self, items: Sequence[Item]) -> dict[str, Number]:
        wanted = {n for item in items if (n := getattr(item, "phone_number_id", None))}
        numbers = await self.rows.numbers(sorted(wanted)) if wanted else {}
        stale = sorted(number.id for number in numbers.values() if number.is_stale)
        if stale:
            await self.rows.heard(stale)
        return numbers

    async def _item(self, item: Item, numbers: dict[str, Number], id_: UUID) -> None:
        if isinstance(item, Unreadable):
            self.work.record("whatsapp.item_unreadable", "whatsapp_item", None, why=item.reason)
            return
        if isinstance(item, Account):
            self.work.publish(
                AccountNoticed(
                    waba_id=item.waba_id,
                    phone_number_id=item.phone_number_id,
                    field=item.field,
                    value=item.value,
                )
            )
            return
        number = numbers.get(item.phone_number_id)
        if number is None:
            gone = {"phone_number_id": item.phone_number_id}
            self.work.record("whatsapp.number_gone", "whatsapp_item", None, **gone)
        elif isinstance(item, Message):
            await self._message(item, number, id_)
        elif isinstance(item, Status):
            await self._status(item, number)
        else:
            await self._preference(item, number)

    # -- messages --------------------------------------------------------------------------

    async def _message(self, item: Message, number: Number, id_: UUID) -> None:
        if await self.rows.has(number.id, item.wamid):
            return
        contact_id = await self._person(item.person)
        if item.became is not None:
            contact_id = await self._became(contact_id, item.became, item.kind)
        conversation_id, is_new = await self._conversation(item, number, contact_id)
        row = _row(item, number, contact_id, conversation_id, id_)
        if item.is_echo:  # a notice of it may be coming in: whichever commits second sees both
            await self.rows.lock(number.id, item.wamid)
        if not await self.rows.add(row):
            return
        if is_new:
            self.work.publish(
                ConversationOpened(
                    conversation_id=conversation_id, contact_id=contact_id, number_id=number.id
                )
            )
        await self._follow(item, row)
        if row.author == "contact" and item.kind not in CHANGES and is_away(number.hours, now()):
            self.work.enqueue(
                AWAY,
                {"conversation_id": str(conversation_id)},
                priority=URGENCY["bot"],
                dedupe_key=f"away:{conversation_id}",
            )

    async def _follow(self, item: Message, row: Row) -> None:
        """What follows from a new row: its media, what changes it, its thread, the ledger."""
        if item.media is not None:
            media_id = await self.rows.add_media(row.id, item.media, item.at + MEDIA_LIFE)
            self.work.enqueue(FETCH, {"media_id": str(media_id)})
        is_change = item.kind in CHANGES
        await self._change(row.number_id, item.reply_to if is_change else item.wamid)
        if item.is_echo:
            await self._settle(row.number_id, item.wamid)
        await self.rows.refresh(
            row.conversation_id,
            unread=int(row.author == "contact" and not is_change),
            answered_by_phone=item.at if item.is_echo and not is_change else None,
        )
        if row.author == "contact":
            await self.rows.seen(row.contact_id, min(item.at, now()))
            await self._heed(item, row.contact_id)
            if (job := job_of(item.kind, item.content)) is not None:
                self.work.enqueue(job, {"message_id": str(row.id)}, priority=URGENCY["bot"])
        if not is_change:
            self._tell(row)

    def _tell(self, row: Row) -> None:
        self.work.publish(
            MessageReceived(
                conversation_id=row.conversation_id,
                message_id=row.id,
                contact_id=row.contact_id,
                number_id=row.number_id,
                kind=row.kind,
                direction=row.direction,
                text=(row.text or "")[:_SHOWN],
            )
        )

    async def _conversation(
        self, item: Message, number: Number, contact_id: UUID
    ) -> tuple[UUID, bool]:
        if item.kind in CHANGES and item.reply_to:
            found = await self.rows.conversation_of(number.id, item.reply_to)
            if found is not None:
                return found, False
        return await self.rows.open(contact_id, number.id, number.department_id)

    async def _person(self, person: Person) -> UUID:
        """Whose message it is, met if new and locked: nobody is made twice."""
        seen = Sighting(name=person.name, wa_id=person.wa_id, bsuid=person.bsuid)
        known = await self.rows.known(seen.keys(), person.name)
        if known is not None:
            return known
        contact = await self.people.meet(seen)
        await self.work.session.flush()
        return await self.rows.held(contact.id)

    async def _became(self, contact_id: UUID, person: Person, kind: str) -> UUID:
        """Somebody goes by another number or id from now on: who they were is merged into who
        they are, whose number is the one that answers."""
        is_id = person.wa_id is None
        new = await self._person(person)
        if new == contact_id:
            return new
        # A new user id keeps the number: who is known longer stays.
        stays, merged = (contact_id, new) if is_id else (new, contact_id)
        await self.people.merge(stays, merged, f"WhatsApp: {kind}")
        await self.work.session.flush()
        return stays

    async def _change(self, number_id: UUID, wamid: str | None) -> None:
        """Fold the edits, revokes and reactions of a message, if it and they are known."""
        if wamid is None:
            return
        changes = await self.rows.changes(number_id, wamid)
        target = await self.rows.target(number_id, wamid) if changes else None
        if target is None:
            return
        message_id, is_from_contact = target
        await self.rows.change(message_id, folded(changes, is_from_contact=is_from_contact))
        kept = await self.rows.kept(number_id, wamid)
        if kept is not None:
            self.work.publish(
                MessageChanged(
                    conversation_id=kept.conversation_id,
                    message_id=message_id,
                    change=max(changes, key=lambda c: (c.at, c.wamid)).kind,
                )
            )

    async def follow(self, contact_id: UUID, merged_id: UUID) -> None:
        """Give who stays the threads of who was merged; two that are live become one."""
        await self.rows.follow(contact_id, merged_id)

    # -- statuses --------------------------------------------------------------------------

    async def _status(self, item: Status, number: Number) -> None:
        if item.status in UNSENT:  # its thread will change too, and threads come before messages
            await self.rows.conversation_of(number.id, item.wamid)
        await self.rows.lock(number.id, item.wamid)
        await self.rows.add_status(number.id, item.wamid, Notice(item.status, item.at, item.facts))
        attempt_id, given_up_in = _attempt(item), None
        if attempt_id is not None:
            given_up_in = await self.rows.resolve(attempt_id, number.id, item.wamid)
        await self._settle(number.id, item.wamid)
        if given_up_in is not None:
            await self.rows.refresh(given_up_in)

    async def _settle(self, number_id: UUID, wamid: str) -> bool:
        """Have a message of ours stand where all notices of it put it; whether it moved."""
        kept = await self.rows.kept(number_id, wamid)
        if kept is None or kept.direction != "out":
            return False
        notices = await self.rows.statuses(number_id, wamid)
        base = kept.status
        if base in STAMPS:  # what notices said is folded anew
            base = "sent" if kept.author == "phone_app" else "accepted"
        found = standing(base, notices)
        stamped = {name: getattr(kept, f"{name}_at") for name in found.stamps}
        if (found.status, found.error_code) == (kept.status, kept.error_code) and (
            stamped == found.stamps
        ):
            return False
        await self.rows.stand(kept.id, found)
        if found.error_code == OPTED_OUT:
            await self._opted_out(kept, wamid, notices)
        if (found.status in UNSENT) != (kept.status in UNSENT):
            await self.rows.refresh(kept.conversation_id)
        if found.status != kept.status:
            self.work.publish(
                MessageStatusChanged(
                    conversation_id=kept.conversation_id,
                    message_id=kept.id,
                    contact_id=kept.contact_id,
                    number_id=number_id,
                    status=found.status,
                    error_code=found.error_code,
                )
            )
        return True

    # -- consent ---------------------------------------------------------------------------

    async def _heed(self, item: Message, contact_id: UUID) -> None:
        """A STOP or START word, typed or pressed, decides as of the instant it was sent."""
        if item.kind not in ("text", "button", "interactive"):
            return
        wish = wish_of(item.text or "")
        if wish is None:
            return
        source = f"{wish}_word" if item.kind == "text" else "button"
        await self._note(contact_id, "all", wish == "start", source, item.wamid, item.at)

    async def _preference(self, item: Preference, number: Number) -> None:
        await self.rows.lock(number.id, item.person.key)
        contact_id = await self._person(item.person)
        await self._note(
            contact_id, "marketing", item.wants, "provider_preference", item.evidence, item.at
        )

    async def _opted_out(self, kept: Kept, wamid: str, notices: Sequence[Notice]) -> None:
        at = max(notice.at for notice in notices if notice.status == "failed")
        await self._note(kept.contact_id, "marketing", False, "provider_error", wamid, at)

    async def _note(
        self,
        contact_id: UUID,
        category: str,
        is_opt_in: bool,
        source: str,
        evidence: str,
        at: datetime,
    ) -> None:
        person = await self.people.people.who(contact_id)
        if await self.rows.is_decided(person.id, source, evidence):
            return
        await self.consents.note(
            person.id, "whatsapp", category,
            is_opt_in=is_opt_in, source=source, evidence=evidence, decided_at=min(at, now()),
        )  # fmt: skip


async def apply_known_statuses(work: UnitOfWork, message: StoredMessage) -> None:
    """Apply the notices that came before we knew the message's wamid; for whoever learns it.

    Call it in the Work that sets ``message.wamid``, after setting it: whichever of the two
    commits second sees the other.
    """
    if message.wamid is None:
        return
    service = InboundService(work)
    await service.rows.lock(message.number_id, message.wamid)
    await work.session.flush()
    if await service._settle(message.number_id, message.wamid):
        await work.session.refresh(message)


async def answered_nobody(work: UnitOfWork, message: StoredMessage) -> None:
    """A message of ours will not be sent: who waited for an answer waits on. Its conversation is
    locked by the caller, before the message."""
    await work.session.flush()
    await InboundService(work).rows.refresh(message.conversation_id)


def _place(item: Item) -> tuple[str, str]:
    """Where an item stands in its delivery's order; sorting keeps equals as they came."""
    if isinstance(item, Message):
        return "message", item.person.key
    if isinstance(item, Status):
        return "status", item.wamid
    return "other", item.person.key if isinstance(item, Preference) else ""


def _id_of(delivery_id: UUID, position: int) -> UUID:
    """Ids in the order of arrival, however many workers there are: the delivery's own instant and
    counter, then the place in it."""
    ours = delivery_id.int & ~((1 << 62) - 1)
    return UUID(int=ours | (position & 0x3FFF) << 48 | secrets.randbits(48))


def _row(item: Message, number: Number, contact_id: UUID, conversation_id: UUID, id_: UUID) -> Row:
    author = "phone_app" if item.is_echo else "system" if item.kind == "system" else "contact"
    return Row(
        id=id_,
        conversation_id=conversation_id,
        number_id=number.id,
        contact_id=contact_id,
        direction="out" if item.is_echo else "in",
        author=author,
        kind=item.kind,
        text=item.text,
        content=item.content,
        wamid=item.wamid,
        reply_to=item.reply_to,
        status="sent" if item.is_echo else "received",
        at=item.at,
    )


def _attempt(item: Status) -> UUID | None:
    """The attempt that the vendor names back to us."""
    try:
        return UUID(str(item.facts.get("biz_opaque_callback_data", "")))
    except ValueError:
        return None
