"""A notice's way to its people: given once per event and person, sent once per channel.

The event, its notices, their deliveries and the jobs that send them commit together, and a
person's notice is unique per event: whatever job runs twice, the second run adds nothing. A
delivery found ``sending`` was cut between the carrier and us; it is kept as ``unknown`` and never
sent again, since the notice itself waits in the application anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.contracts.gateways.email import Email, EmailGateway
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    MessageGateway,
    MessagingCredentials,
)
from app.contracts.gateways.push import PushGateway
from app.contracts.notices import NoticeChannel, Wording
from app.core.backoff import retry_wait
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.connections.service import ConnectionService
from app.kernel.identity import Identity
from app.kernel.notifications import rules
from app.kernel.notifications.models import Notice, NoticeDelivery
from app.kernel.notifications.repository import (
    NoticeDeliveryRepository,
    NoticeRepository,
    PreferenceRepository,
)
from app.kernel.notifications.service import TOPIC, ReachService, may_hear, web_push_key
from app.kernel.users.service import UserService
from app.kernel.work import Work

DELIVER = "kernel.notifications.deliver"
_AT_ONCE = 500
_CUT = "a delivery ended without an answer"


class Unreachable(Exception):
    """There is no way to this person by this channel (any more); the message says why."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery that is ours to make now; ``send`` is called with no transaction open."""

    id: UUID
    send: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Told:
    """What everybody is told alike."""

    event_id: UUID
    kind: str
    words: Wording


class NoticeDeliveryService:
    """For the jobs and the test button; people use ``NoticeService``."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.notices = NoticeRepository(work.session)
        self.deliveries = NoticeDeliveryRepository(work.session)
        self.preferences = PreferenceRepository(work.session)
        self.reach = ReachService(work)

    async def fan_out(self, event: dict[str, Any]) -> None:
        """Give an event's notice to everybody who may hear of it; a second run gives none."""
        kind = self.work.runtime.notices.get(event["type"])
        if kind is None:
            return
        fact = kind.event.model_validate(event["data"])
        meant = kind.only(fact) if kind.only is not None else None
        if meant is not None and not meant:
            return
        words = kind.words(fact)
        told = _Told(UUID(event["event_id"]), kind.event.name, words)
        people = [
            person
            for person in await self.notices.people()
            if (meant is None or person.id in meant)
            and may_hear(self.work, kind, person.role, person.group_grants)
        ]
        for start in range(0, len(people), _AT_ONCE):
            some = people[start : start + _AT_ONCE]
            chosen = await self.preferences.chosen((p.id for p in some), told.kind)
            wanted = {
                person.id: {
                    channel
                    for channel in NoticeChannel
                    if rules.is_on(kind, channel, chosen.get(person.id, {}))
                }
                for person in some
            }
            await self._give(told, wanted)

    async def test(self, who: Identity) -> Notice:
        """Tell the member herself something by every channel that is ready."""
        words = Wording("Teste de aviso", "Se você está lendo isto, os avisos chegam até aqui.")
        told = _Told(new_id(), rules.TEST_KIND, words)
        [notice_id] = await self._give(told, {who.user_id: set(NoticeChannel)})
        return await self.notices.get(notice_id)

    async def take(self, delivery_id: UUID) -> Outgoing | None:
        """Claim a delivery; None when it was made already, or there is nobody to make it to."""
        row = await self.deliveries.find(delivery_id, lock=True)
        if row is None:
            return None
        if row.state == "sending":
            row.state, row.error, row.next_at = "unknown", _CUT, None
            return None
        if row.state != "pending":
            return None
        notice = await self.notices.get(row.notice_id)
        try:
            send = await self._way(row, notice)
        except Unreachable as reason:
            row.state, row.error, row.next_at = "failed", str(reason), None
            return None
        row.state, row.attempts, row.next_at = "sending", row.attempts + 1, None
        return Outgoing(row.id, send)

    async def sent(self, delivery_id: UUID) -> None:
        """The carrier took it."""
        row = await self.deliveries.get(delivery_id, lock=True)
        row.state, row.error, row.sent_at = "sent", None, now()
        if row.channel == NoticeChannel.PUSH:
            device = await self.reach.devices.find(row.target_id)
            if device is not None:
                device.last_sent_at = row.sent_at

    async def ended(self, delivery_id: UUID, failure: GatewayFailure) -> float | None:
        """It did not: seconds until it should be tried again, None when never.

        A browser's subscription that its service calls dead is forgotten.
        """
        row = await self.deliveries.get(delivery_id, lock=True)
        row.error = str(failure)[:500]
        if isinstance(failure, GatewayOutcomeUnknown):
            row.state = "unknown"
            return None
        wait = _wait(row, failure)
        if wait is None:
            row.state = "failed"
            await self._forget_dead(row, failure)
        else:
            row.state, row.next_at = "pending", now() + timedelta(seconds=wait)
        return wait

    async def _give(self, told: _Told, wanted: dict[UUID, set[NoticeChannel]]) -> Iterable[UUID]:
        """Notices, live rows, deliveries and their jobs; the ids of the notices that are new."""
        rows: list[dict[str, Any]] = [
            {
                "id": new_id(),
                "user_id": user_id,
                "event_id": told.event_id,
                "kind": told.kind,
                "title": told.words.title,
                "body": told.words.body,
                "link": told.words.link,
                "is_listed": NoticeChannel.IN_APP in channels,
            }
            for user_id, channels in wanted.items()
            if channels
        ]
        new = await self.notices.add_once(rows)
        given = [row for row in rows if row["id"] in new]
        for row in given:
            if row["is_listed"]:
                shown = {name: row[name] for name in ("kind", "title", "body", "link")}
                shown["notice_id"] = row["id"]
                self.work.show(row["user_id"], TOPIC, "platform.notice_given", shown)
        await self._send_out([(row["id"], row["user_id"], wanted[row["user_id"]]) for row in given])
        return new

    async def _send_out(self, given: list[tuple[UUID, UUID, set[NoticeChannel]]]) -> None:
        users = [user_id for _, user_id, _ in given]
        devices = await self.reach.devices.ids_of(users)
        linked = await self.reach.telegram.linked(users)
        if linked and not await self.reach.has_bot():
            linked = set()
        has_mail = self.reach.has_mail()
        rows = []
        for notice_id, user_id, channels in given:
            targets = {
                NoticeChannel.PUSH: devices.get(user_id, []),
                NoticeChannel.TELEGRAM: [user_id] if user_id in linked else [],
                NoticeChannel.EMAIL: [user_id] if has_mail else [],
            }
            rows += [
                {"id": new_id(), "notice_id": notice_id, "channel": way, "target_id": target}
                for way, found in targets.items()
                if way in channels
                for target in found
            ]
        await self.deliveries.add_all(rows)
        for row in rows:
            self.work.enqueue(DELIVER, {"delivery_id": row["id"]})

    async def _way(self, row: NoticeDelivery, notice: Notice) -> Callable[[], Awaitable[None]]:
        """How to send it now. Raises Unreachable."""
        person = await UserService(self.work).get(notice.user_id)
        if not person.is_active:
            raise Unreachable("the member is not active")
        match row.channel:
            case NoticeChannel.PUSH:
                return await self._by_push(row, notice)
            case NoticeChannel.TELEGRAM:
                return await self._by_telegram(row, notice)
        return self._by_email(row, notice, person.email)

    async def _by_push(self, row: NoticeDelivery, notice: Notice) -> Callable[[], Awaitable[None]]:
        device = await self.reach.devices.find(row.target_id)
        # Somebody else may have logged in on that browser meanwhile: not hers to read.
        if device is None or device.user_id != notice.user_id:
            raise Unreachable("the device is no longer subscribed")
        target, runtime = await self.reach.target(device), self.work.runtime
        kind = runtime.notices.get(notice.kind)
        message = rules.push_message(
            notice.id,
            notice.event_id,
            notice.kind,
            notice.title,
            notice.body,
            notice.link,
            ttl_s=kind.ttl_s if kind else 3600,
            is_urgent=kind is None or kind.is_urgent,
        )
        gateway = self.work.port(PushGateway)

        async def send() -> None:
            await gateway.send(target, message, await web_push_key(runtime))

        return send

    async def _by_telegram(
        self, row: NoticeDelivery, notice: Notice
    ) -> Callable[[], Awaitable[None]]:
        account = await ConnectionService(self.work).credentials("telegram")
        link = await self.reach.telegram.of(notice.user_id)
        if account is None or link is None:
            raise Unreachable("no bot or no linked chat")
        gateway = self.work.port(MessageGateway, "telegram")
        credentials, chat = MessagingCredentials(account["bot_token"]), link.chat_id
        text, reference = rules.plain_text(notice.title, notice.body), str(row.id)

        async def send() -> None:
            await gateway.send_text(
                credentials=credentials, to=chat, text=text, reference=reference
            )

        return send

    def _by_email(
        self, row: NoticeDelivery, notice: Notice, address: str
    ) -> Callable[[], Awaitable[None]]:
        if not self.reach.has_mail():
            raise Unreachable("this installation sends no e-mail")
        gateway, pages = self.work.port(EmailGateway), self.work.runtime.settings.frontend_url
        text = rules.letter_text(notice.body, notice.link, pages)
        letter = Email(address, notice.title, text, f"notice:{row.id}")

        async def send() -> None:
            await gateway.send(letter)

        return send

    async def _forget_dead(self, row: NoticeDelivery, failure: GatewayFailure) -> None:
        if row.channel != NoticeChannel.PUSH or not isinstance(failure, GatewayRefused):
            return
        device = await self.reach.devices.find(row.target_id)
        if device is not None and failure.scope == "recipient":
            await self.reach.devices.delete(device)
            self.work.record(
                "push_subscription.dropped", "push_subscription", device.id, reason=failure.code
            )


def _wait(row: NoticeDelivery, failure: GatewayFailure) -> float | None:
    if not isinstance(failure, GatewayRefused):
        return retry_wait(row.attempts, None)
    return retry_wait(row.attempts, failure.retry_after_s) if failure.retryable else None
