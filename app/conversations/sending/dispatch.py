"""One attempt to send: taken with a committed intent, and settled by whoever learns how it ended.

The attempt's id goes along and comes back with every status. ``sending`` that is found again means
that a worker died between the vendor and us: the outcome is unknown and nothing is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.contracts.conversations import MessageSent, MessageUndecided
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    MessagingCredentials,
    Refusal,
    SentMessage,
)
from app.contracts.gateways.sending import OutgoingMessage, SendsMessages
from app.conversations.inbound.service import apply_known_statuses
from app.conversations.inbox.models import Conversation, Message, MessageAttempt
from app.conversations.numbers.models import TOKEN, WhatsAppNumber
from app.conversations.sending.repository import TENANTS_UNDECIDED, SendingRepository
from app.conversations.sending.rules import (
    UNDECIDED_AFTER,
    is_open,
    is_opt_out,
    next_wait,
    pair_wait,
    stops_campaigns,
)
from app.conversations.sending.service import CHANNEL
from app.core.clock import now
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.service import ContactService
from app.kernel.work import Runtime, UnitOfWork

_UNSETTLED = ("queued", "sending", "unknown")
_TURN_S = 0.5


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An attempt that is ours to make now, outside any transaction."""

    attempt_id: UUID
    gateway: SendsMessages
    credentials: MessagingCredentials
    to: str
    message: OutgoingMessage


class Dispatch:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.messages = SendingRepository(work.session)

    async def wait(self, message_id: UUID) -> float | None:
        """Seconds until its turn, 0 when it is; None when there is nothing to send (any more)."""
        turn = await self.messages.turn(message_id)
        if turn is None or turn.status not in ("queued", "sending"):
            return None
        if turn.status == "sending":
            return 0
        if turn.sends_resume_at is not None and turn.sends_resume_at > now():
            return (turn.sends_resume_at - now()).total_seconds()
        return _TURN_S if turn.has_earlier else 0

    async def take(self, message_id: UUID) -> Outgoing | None:
        """Write the attempt down; None when nothing may be sent (any more)."""
        message = await self.messages.get(message_id, lock=True)
        if message.status == "sending":
            await self._lost(message)
            return None
        if message.status != "queued":
            return None
        conversation = await self.messages.conversation(message.conversation_id)
        number = await self.messages.number(message.number_id)
        to = await self._address(message.contact_id)
        forbidden = await self._forbidden(message, conversation, number)
        if forbidden is None and to is None:
            forbidden = "no-address"
        if forbidden is not None or to is None:
            self._failed(message, forbidden or "no-address", None)
            return None
        message.status = "sending"
        attempt = MessageAttempt(message_id=message.id, state="sending")
        self.work.session.add(attempt)
        await self.messages.flush()
        return Outgoing(
            attempt.id,
            self.work.port(SendsMessages),
            credentials_of(self.work, number),
            to,
            OutgoingMessage(
                message.kind,
                message.content,
                None if message.kind == "reaction" else message.reply_to,
            ),
        )

    async def accepted(self, attempt_id: UUID, sent: SentMessage) -> None:
        """The vendor took it."""
        await self.settle(attempt_id, sent.id)

    async def settle(self, attempt_id: UUID, wamid: str) -> Message | None:
        """It was sent, as the answer or a later status says; its message, None if it is not ours.

        A status that comes before the answer, after a crash or twice leads to the same rows.
        """
        attempt = await self.messages.attempt(attempt_id)
        if attempt is None:
            return None
        message = await self.messages.get(attempt.message_id, lock=True)
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

    async def ended(self, attempt_id: UUID, failure: GatewayFailure) -> float | None:
        """It was not, or nobody knows: seconds until the next attempt, None when there is none."""
        attempt = await self.messages.attempt(attempt_id)
        if attempt is None or attempt.state != "sending":
            return None
        message = await self.messages.get(attempt.message_id, lock=True)
        code = failure.code if isinstance(failure, GatewayRefused) else None
        attempt.finished_at, attempt.error_code, attempt.error = now(), code, failure.reason
        if isinstance(failure, GatewayOutcomeUnknown):
            attempt.state = "unknown"
            self._unknown(message, failure.reason)
            return None
        attempt.state = "refused" if code else "unavailable"
        await self.messages.flush()
        wait = await self._wait(message, failure)
        if wait is None:
            self._failed(message, code or "unavailable", failure.reason)
            await self._learn(message, failure)
            return None
        message.status, message.error_code, message.error = "queued", code, failure.reason
        self._tell(message)
        return wait

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

    async def _wait(self, message: Message, failure: GatewayFailure) -> float | None:
        if isinstance(failure, GatewayRefused) and failure.action is Refusal.RETRY_PAIR:
            refusals = await self.messages.pair_refusals(message.conversation_id, failure.code)
            wait = max(pair_wait(refusals), failure.retry_after_s or 0.0)
            await self.messages.pause_pair(message.conversation_id, now() + timedelta(seconds=wait))
            return wait
        return next_wait(await self.messages.attempts(message.id), failure)

    async def _learn(self, message: Message, failure: GatewayFailure) -> None:
        """What a refusal says beyond its message."""
        if stops_campaigns(failure):
            await self.messages.stop_campaigns(message.number_id, now(), failure.reason)
        if is_opt_out(failure):
            await ConsentService(self.work).note(
                (await ContactService(self.work).who(message.contact_id)).id,
                CHANNEL,
                "marketing",
                is_opt_in=False,
                source="provider_error",
                evidence=str(message.id),
            )

    async def _forbidden(
        self, message: Message, conversation: Conversation, number: WhatsAppNumber
    ) -> str | None:
        """Why it may not be sent now; asked again here, as it may have waited."""
        if not number.is_active:
            return "number-inactive"
        category = "service" if message.author == "user" else "utility"
        if message.kind == "template":
            content = message.content
            template = await self.messages.template(
                number.waba_id, content["name"], content["language"]["code"]
            )
            if template is None:
                return "template-not-approved"
            category = template.category
        elif not is_open(conversation.last_inbound_at, now()):
            return "window-closed"
        asked = await ConsentService(self.work).may_send(message.contact_id, CHANNEL, category)
        return None if asked.is_allowed else asked.reason

    async def _address(self, contact_id: UUID) -> str | None:
        contacts = ContactService(self.work)
        contact = await contacts.who(contact_id)
        if contact.phone is not None:
            return contact.phone
        known = {i.kind: i.value for i in await contacts.identities_of(contact)}
        return known.get("wa_id") or known.get("bsuid")

    def _failed(self, message: Message, code: str, why: str | None) -> None:
        message.status, message.failed_at = "failed", now()
        message.error_code, message.error = code, why
        self._tell(message)

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


def credentials_of(work: UnitOfWork, number: WhatsAppNumber) -> MessagingCredentials:
    """A number's own token, opened. Raises SecretUnreadable."""
    row = {"tenant_id": work.tenant.id, "id": number.id}
    token = work.runtime.vault.decrypt(number.token, *TOKEN.bound_to(row))
    return MessagingCredentials(token, number.phone_number_id)


async def tenants_undecided(runtime: Runtime) -> list[UUID]:
    """Tenants with a message whose sending stayed unknown; at most 200."""
    async with runtime.database.system_driver() as driver:
        found = await driver.fetch(TENANTS_UNDECIDED, now() - UNDECIDED_AFTER)
    return [row["tenant_id"] for row in found]
