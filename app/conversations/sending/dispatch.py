"""One attempt to send: taken with a committed intent, and settled by whoever learns how it ended.

The attempt's id goes along and comes back with every status. ``sending`` that is found again means
that a worker died between the vendor and us: the outcome is unknown and nothing is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.contracts.conversations import MessageSent, MessageUndecided
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    Refusal,
    SentMessage,
)
from app.contracts.gateways.whatsapp import (
    OutboundMessage,
    WhatsAppAccount,
    WhatsAppGateway,
)
from app.conversations.inbound.service import answered_nobody, apply_known_statuses
from app.conversations.inbox.models import Conversation, Message, MessageAttempt
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.numbers.news import NumberNews
from app.conversations.numbers.service import NumberService
from app.conversations.sending.repository import TENANTS_UNDECIDED, SendingRepository
from app.conversations.sending.rules import (
    BULK,
    OPENED_FOR,
    STOPPED_S,
    UNDECIDED_AFTER,
    URGENCY,
    Pace,
    behind,
    hold_of,
    hold_s,
    is_open,
    is_opt_out,
    is_token_refused,
    next_wait,
    pace_of,
    pair_wait,
    stop_of,
)
from app.conversations.sending.service import CHANNEL, as_outbound
from app.conversations.templates.service import TemplateService
from app.core.backoff import retry_wait
from app.core.clock import now
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.models import Contact
from app.kernel.contacts.service import ContactService
from app.kernel.work import Runtime, UnitOfWork

_UNSETTLED = ("queued", "sending", "unknown")
_TEMPLATE_STOPS = {"132015": "paused", "132016": "disabled"}


@dataclass(frozen=True, slots=True)
class Next:
    """A message that may go as soon as its number's pace lets it."""

    pace: Pace
    contact_id: UUID
    urgency: int
    carries: bool
    """Something that the vendor must have first."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now; ask again after ``seconds``. ``pause`` is what nobody passes for as long."""

    seconds: float
    pause: str | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """It may not be sent: give it up, in a Work that locks its conversation first."""

    code: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An attempt that is ours to make now, outside any transaction."""

    attempt_id: UUID
    gateway: WhatsAppGateway
    account: WhatsAppAccount
    to: str
    message: OutboundMessage


class Dispatch:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.messages = SendingRepository(work.session)

    async def turn(self, message_id: UUID) -> Next | Later | None:
        """Whether it is its turn in its conversation; None: nothing is to be sent (any more)."""
        turn = await self.messages.turn(message_id)
        if turn is None or turn.status not in ("queued", "sending"):
            return None
        wait = 0.0
        if turn.status == "queued":
            waits = [_until(turn.not_before)]
            if turn.is_stopped:
                waits.append(STOPPED_S)
            if turn.earlier:
                waits += [behind(turn.earlier), _until(turn.resume_at) + 0.1]
            wait = max(waits)
        if wait > 0:
            return Later(wait)
        pace = pace_of(
            self.work.tenant.id,
            turn.number_id,
            turn.waba_id,
            turn.per_second,
            is_coexistent=turn.is_coexistent,
        )
        return Next(pace, turn.contact_id, URGENCY.get(turn.author, BULK), turn.carries)

    async def take(self, message_id: UUID) -> Outgoing | Later | Never | None:
        """Write the attempt down; None when nothing is to be sent (any more)."""
        message = await self.messages.get(message_id, lock=True)
        if message.status == "sending":
            await self._lost(message)
            return None
        if message.status != "queued":
            return None
        conversation = await self.messages.conversation(message.conversation_id)
        number = await self.messages.number(message.number_id)
        contact = await ContactService(self.work).who(message.contact_id)
        to = await self._address(contact)
        forbidden = await self._forbidden(message, contact, conversation, number)
        if forbidden is not None or to is None:
            return Never(forbidden or "no-address")
        if _is_bulk(message) and number.campaigns_stopped_at is not None:
            return Later(STOPPED_S)
        full = await self._open(message, conversation, number)
        if full is not None:
            message.send_after, message.error_code = full, "limit-reached"
            return Later(max(_until(full), 1.0))
        message.status, message.send_after = "sending", None
        attempt = MessageAttempt(message_id=message.id, state="sending")
        self.work.session.add(attempt)
        await self.messages.flush()
        return Outgoing(
            attempt.id,
            self.work.port(WhatsAppGateway),
            NumberService(self.work).account(number),
            to,
            as_outbound(message),
        )

    async def _open(
        self, message: Message, conversation: Conversation, number: WhatsAppNumber
    ) -> datetime | None:
        """Take one of the account's people of a day, if this takes one; when there is room again.

        A template outside the window counts its person once a day, over all numbers.
        """
        at = now()
        if message.kind != "template":
            return None
        if is_open(await self.messages.last_inbound(conversation), at):
            return None
        if number.messaging_limit is not None:
            room = await self.messages.room(
                number.waba_id, message.contact_id, at - OPENED_FOR, number.messaging_limit
            )
            if room.is_open:
                return None
            if room.last_place is not None:
                return room.last_place + OPENED_FOR
        message.opened_at = at
        return None

    async def accepted(self, attempt_id: UUID, sent: SentMessage) -> None:
        """The vendor took it."""
        await self.settle(attempt_id, sent.id)

    async def settle(self, attempt_id: UUID, wamid: str) -> Message | None:
        """It was sent, as the answer or a later status says; its message, None if it is not ours.

        A status that comes before the answer, after a crash or twice leads to the same rows.
        """
        found = await self.messages.attempt(attempt_id)
        if found is None:
            return None
        attempt, message = found
        if attempt.state != "accepted":
            attempt.state, attempt.wamid, attempt.finished_at = "accepted", wamid, now()
            attempt.error_code = attempt.error = None
        if message.wamid is None and message.status in _UNSETTLED:
            message.wamid, message.status = wamid, "accepted"
            message.needs_decision_at = message.error_code = message.error = None
            self._tell(message)
            # What the vendor told of it before we knew its id.
            await apply_known_statuses(self.work, message)
        return message

    async def ended(self, attempt_id: UUID, failure: GatewayFailure) -> Later | None:
        """It was not, or nobody knows: when to try again, None when never."""
        await self.messages.hold(attempt_id)
        found = await self.messages.attempt(attempt_id)
        if found is None or found[0].state != "sending":
            return None
        attempt, message = found
        code = failure.code if isinstance(failure, GatewayRefused) else None
        attempt.finished_at, attempt.error_code, attempt.error = now(), code, failure.reason
        if isinstance(failure, GatewayOutcomeUnknown):
            attempt.state = "unknown"
            self._unknown(message, failure.reason)
            return None
        attempt.state = "refused" if code else "unavailable"
        message.opened_at = None
        await self.messages.flush()
        later = await self._later(message, failure)
        await self._learn(message, failure)
        if later is None:
            await self._failed(message, code or "unavailable", failure.reason)
            return None
        message.status, message.error_code, message.error = "queued", code, failure.reason
        message.send_after = now() + timedelta(seconds=later.seconds)
        self._tell(message)
        return later

    async def not_carried(self, message_id: UUID, failure: GatewayFailure) -> float | None:
        """The vendor did not take its medium: seconds until the next try, None when there is none.

        Nothing was sent, so an unknown outcome is merely to be repeated.
        """
        refused = failure if isinstance(failure, GatewayRefused) else None
        media = await self.messages.media(message_id)
        if media is not None and (refused is None or refused.retryable):
            media.attempts += 1
            wait = retry_wait(media.attempts, None if refused is None else refused.retry_after_s)
            if wait is not None:
                return wait
        code = "media-unavailable" if refused is None else refused.code
        await self.give_up(message_id, code, failure.reason)
        return None

    async def give_up(self, message_id: UUID, code: str, why: str | None = None) -> None:
        """It will not be sent, if it still waits."""
        message = await self.messages.in_turn(message_id)
        if message.status == "queued":
            await self._failed(message, code, why)

    async def mark_undecided(self) -> int:
        """Ask a person about what stayed unknown; how many."""
        found = await self.messages.undecided(now(), UNDECIDED_AFTER)
        for message in found:
            message.needs_decision_at = now()
            self.work.publish(
                MessageUndecided(conversation_id=message.conversation_id, message_id=message.id)
            )
        return len(found)

    async def _lost(self, message: Message) -> None:
        attempt = await self.messages.open_attempt(message.id)
        if attempt is not None:
            attempt.state, attempt.finished_at = "unknown", now()
            attempt.error = "a delivery ended without an answer"
        self._unknown(message, "a delivery ended without an answer")

    async def _later(self, message: Message, failure: GatewayFailure) -> Later | None:
        if isinstance(failure, GatewayRefused) and failure.action is Refusal.RETRY_PAIR:
            refusals = await self.messages.pair_refusals(message.conversation_id, failure.code)
            wait = max(pair_wait(refusals), failure.retry_after_s or 0.0)
            await self.messages.pause_pair(message.conversation_id, now() + timedelta(seconds=wait))
            return Later(wait)
        if _is_bulk(message) and stop_of(failure) in ("number", "account"):
            return Later(STOPPED_S)  # not sent, and not lost: it rests with the others
        attempts = await self.messages.attempts(message.id)
        seconds = next_wait(attempts, failure)
        held = hold_of(failure)
        if seconds is None or held is None or not isinstance(failure, GatewayRefused):
            return None if seconds is None else Later(seconds)
        number = await self.messages.number(message.number_id)
        own, account = pace_of(
            self.work.tenant.id, number.id, number.waba_id, 1, is_coexistent=False
        ).pauses
        return Later(hold_s(attempts, failure), own if held == "number" else account)

    async def _learn(self, message: Message, failure: GatewayFailure) -> None:
        """What a refusal says beyond its message."""
        if isinstance(failure, GatewayRefused):
            await self._stop(message, failure)
        if is_opt_out(failure):
            await ConsentService(self.work).note(
                (await ContactService(self.work).who(message.contact_id)).id,
                CHANNEL,
                "marketing",
                is_opt_in=False,
                source="provider_error",
                evidence=str(message.id),
            )

    async def _stop(self, message: Message, failure: GatewayRefused) -> None:
        """Have rest what the vendor wants to rest, and tell those who look after it."""
        numbers = NumberNews(self.work)
        match stop_of(failure):
            case "template" if message.kind == "template":
                number = await self.messages.number(message.number_id)
                content = message.content
                await TemplateService(self.work).stopped(
                    number.waba_id,
                    content["name"],
                    content["language"]["code"],
                    _TEMPLATE_STOPS.get(failure.code, "paused"),
                    failure.reason,
                )
            case "number" if is_token_refused(failure):
                await numbers.token_refused(message.number_id, failure.reason)
            case "number" | "account" as scope:
                await numbers.stop_campaigns(
                    message.number_id,
                    failure.code,
                    failure.message,
                    whole_account=scope == "account",
                )

    async def _forbidden(
        self,
        message: Message,
        contact: Contact,
        conversation: Conversation,
        number: WhatsAppNumber,
    ) -> str | None:
        """Why it may not be sent now; asked again here, as it may have waited."""
        if not number.is_active:
            return "number-inactive"
        category = "service" if message.author in ("user", "bot") else "utility"
        if message.kind == "template":
            content = message.content
            template = await self.messages.template(
                number.waba_id, content["name"], content["language"]["code"]
            )
            if template is None:
                return "template-not-approved"
            category = template.category
        elif not is_open(await self.messages.last_inbound(conversation), now()):
            return "window-closed"
        asked = await ConsentService(self.work).may_send_to(contact, CHANNEL, category)
        return None if asked.is_allowed else asked.reason

    async def _address(self, contact: Contact) -> str | None:
        if contact.phone is not None:
            return contact.phone
        identities = await ContactService(self.work).identities_of(contact)
        known = {i.kind: i.value for i in identities}
        return known.get("wa_id") or known.get("bsuid")

    async def _failed(self, message: Message, code: str, why: str | None) -> None:
        message.status, message.failed_at = "failed", now()
        message.error_code, message.error = code, why
        self._tell(message)
        await answered_nobody(self.work, message)

    def _unknown(self, message: Message, why: str) -> None:
        message.status, message.error = "unknown", why
        self._tell(message)

    def _tell(self, message: Message) -> None:
        self.work.publish(
            MessageSent(
                conversation_id=message.conversation_id,
                message_id=message.id,
                status=message.status,
                error_code=message.error_code,
            )
        )


def _is_bulk(message: Message) -> bool:
    return message.author == "campaign"


def _until(at: datetime | None) -> float:
    """Seconds until then; 0 when it is past, or no instant at all."""
    return 0.0 if at is None else max((at - now()).total_seconds(), 0.0)


async def tenants_undecided(runtime: Runtime) -> list[UUID]:
    """Tenants with a message whose sending stayed unknown; at most 200."""
    async with runtime.database.system_driver() as driver:
        found = await driver.fetch(TENANTS_UNDECIDED, now() - UNDECIDED_AFTER)
    return [row["tenant_id"] for row in found]
