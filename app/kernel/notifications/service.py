"""What a member does with notices: reads them, says which are wanted, and where to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from app.contracts.gateways.push import PushKey, PushTarget
from app.contracts.notices import AnyNoticeKind, NoticeChannel
from app.core.clock import now
from app.core.crypto import token_hash
from app.core.guard import UrlRefused
from app.core.pagination import Page, PageRequest
from app.kernel.access import ALWAYS_ON, effective_grants
from app.kernel.connections.service import ConnectionService
from app.kernel.identity import Identity
from app.kernel.notifications import rules
from app.kernel.notifications.models import (
    DEVICE,
    PLATFORM_KEY,
    Notice,
    PlatformKey,
    PushSubscription,
)
from app.kernel.notifications.problems import (
    PushEndpointRefused,
    TelegramNotConnected,
    TelegramNotLinked,
    UnknownNoticeKind,
)
from app.kernel.notifications.repository import (
    DeviceRepository,
    LedgerRow,
    NoticeDeliveryRepository,
    NoticeRepository,
    PlatformKeyRepository,
    PreferenceRepository,
    TelegramRepository,
)
from app.kernel.notifications.schemas import DeviceCreate, PreferencesPut
from app.kernel.work import Runtime, UnitOfWork, Work, system_work

TOPIC = "notices"
"""Realtime topic on which each member hears of her own."""
_WEB_PUSH = "web_push"


@dataclass(frozen=True, slots=True)
class ChannelView:
    channel: NoticeChannel
    is_ready: bool


@dataclass(frozen=True, slots=True)
class KindView:
    kind: str
    label: str
    channels: dict[NoticeChannel, bool]


@dataclass(frozen=True, slots=True)
class PreferencesView:
    channels: list[ChannelView]
    kinds: list[KindView]


class NoticeService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.notices = NoticeRepository(work.session)
        self.deliveries = NoticeDeliveryRepository(work.session)

    async def own(self, who: Identity, page: PageRequest, *, unread: bool) -> Page[Notice]:
        """One's notices, newest first."""
        return await self.notices.own(who.user_id, page, unread=unread)

    async def unread(self, who: Identity) -> int:
        return await self.notices.unread(who.user_id)

    async def read(self, who: Identity, notice_id: UUID) -> Notice:
        """Mark one as read; again changes nothing. Raises NoticeNotFound."""
        row = await self.notices.of(who.user_id, notice_id)
        if row.read_at is None:
            row.read_at = now()
            self._tell_read(who, [notice_id])
        return row

    async def read_all(self, who: Identity) -> int:
        """Mark everything as read; how many were not."""
        changed = await self.notices.read_all(who.user_id, now())
        if changed:
            self._tell_read(who, None)
        return changed

    async def ledger(
        self, page: PageRequest, *, state: str | None, channel: str | None
    ) -> Page[LedgerRow]:
        """What was sent out to the tenant's people and how it ended, newest first."""
        return await self.deliveries.ledger(page, state=state, channel=channel)

    def _tell_read(self, who: Identity, ids: list[UUID] | None) -> None:
        # The same person's other tabs take the badge away; None: all.
        self.work.show(who.user_id, TOPIC, "platform.notices_read", {"notice_ids": ids})


class ReachService:
    """How a member wants to be told, and where."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.preferences = PreferenceRepository(work.session)
        self.devices = DeviceRepository(work.session)
        self.telegram = TelegramRepository(work.session)

    async def matrix(self, who: Identity) -> PreferencesView:
        """Every kind this member may hear of by every channel, and which channels are ready."""
        chosen = (await self.preferences.chosen([who.user_id])).get(who.user_id, {})
        kinds = [
            KindView(
                name,
                kind.label,
                {channel: rules.is_on(kind, channel, chosen) for channel in NoticeChannel},
            )
            for name, kind in sorted(self._open_to(who).items())
        ]
        return PreferencesView(await self._ready(who), kinds)

    async def choose(self, who: Identity, body: PreferencesPut) -> PreferencesView:
        """Replace all choices. Raises UnknownNoticeKind."""
        known = self._open_to(who)
        unknown = sorted(body.kinds.keys() - known.keys())
        if unknown:
            raise UnknownNoticeKind(unknown=unknown, known=sorted(known))
        chosen = {
            (kind, channel.value): on
            for kind, channels in body.kinds.items()
            for channel, on in channels.items()
        }
        await self.preferences.replace(who.user_id, chosen)
        self.work.record(
            "notice_preferences.put", "user", who.user_id, after=body.model_dump(mode="json")
        )
        return await self.matrix(who)

    async def own_devices(self, who: Identity) -> list[PushSubscription]:
        return list(await self.devices.own(who.user_id))

    async def subscribe(self, who: Identity, body: DeviceCreate) -> PushSubscription:
        """Wake this browser from now on; the same one again only changes its keys and name.

        Raises PushEndpointRefused.
        """
        try:
            self.work.runtime.guard.check(body.endpoint)
            rules.check_keys(body.keys.p256dh, body.keys.auth)
        except (UrlRefused, ValueError) as refused:
            raise PushEndpointRefused(f"Refused: {refused}.") from refused
        digest = token_hash(body.endpoint)
        plain = {"endpoint": body.endpoint, **body.keys.model_dump()}
        sealed = self.work.runtime.vault.encrypt(
            orjson.dumps(plain).decode(), self._context(digest)
        )
        host = urlsplit(body.endpoint).hostname or ""
        row = await self.devices.put(who.user_id, digest, sealed, host, body.label)
        await self.devices.cut(who.user_id, rules.MAX_DEVICES, row.id)
        self.work.record(
            "push_subscription.put", "push_subscription", row.id, service=host, label=body.label
        )
        return row

    async def unsubscribe(self, who: Identity, device_id: UUID) -> None:
        """Leave this browser alone. Raises NoticeDeviceNotFound."""
        row = await self.devices.of(who.user_id, device_id)
        await self.devices.delete(row)
        self.work.record("push_subscription.deleted", "push_subscription", row.id)

    async def link_telegram(self, who: Identity, chat_id: str) -> None:
        """Send to this chat from now on. Raises TelegramNotConnected."""
        if not await self.has_bot():
            raise TelegramNotConnected()
        await self.telegram.put(who.user_id, chat_id)
        self.work.record("telegram_link.put", "user", who.user_id)

    async def unlink_telegram(self, who: Identity) -> None:
        """Send to no chat any more. Raises TelegramNotLinked."""
        row = await self.telegram.of(who.user_id)
        if row is None:
            raise TelegramNotLinked()
        await self.telegram.delete(row)
        self.work.record("telegram_link.deleted", "user", who.user_id)

    async def target(self, device: PushSubscription) -> PushTarget:
        """A device's endpoint and keys. Raises core.crypto.SecretUnreadable."""
        context = self._context(device.endpoint_hash)
        return PushTarget(**orjson.loads(self.work.runtime.vault.decrypt(device.sealed, context)))

    async def has_bot(self) -> bool:
        """Whether the shop has a Telegram bot that is switched on."""
        return await ConnectionService(self.work).credentials("telegram") is not None

    def has_mail(self) -> bool:
        """Whether this installation can send e-mail."""
        return bool(self.work.runtime.settings.smtp_host)

    async def _ready(self, who: Identity) -> list[ChannelView]:
        linked = await self.telegram.of(who.user_id) is not None
        ready = {
            NoticeChannel.IN_APP: True,
            NoticeChannel.PUSH: bool(await self.devices.own(who.user_id)),
            NoticeChannel.TELEGRAM: linked and await self.has_bot(),
            NoticeChannel.EMAIL: self.has_mail(),
        }
        return [ChannelView(channel, ready[channel]) for channel in NoticeChannel]

    def _open_to(self, who: Identity) -> dict[str, AnyNoticeKind]:
        return {
            name: kind
            for name, kind in self.work.runtime.notices.items()
            if may_hear(self.work, kind, who.role, who.group_grants)
        }

    def _context(self, endpoint_hash: bytes) -> str:
        row = {"tenant_id": self.work.tenant.id, "endpoint_hash": endpoint_hash}
        return DEVICE.bound_to(row)[0]


def may_hear(
    work: UnitOfWork, kind: AnyNoticeKind, role: str, group_grants: frozenset[str]
) -> bool:
    """Whether a member with these grants is told of this kind."""
    if kind.is_for_platform and not work.tenant.is_super_admin:
        return False
    on = work.tenant.modules | ALWAYS_ON
    granted = kind.grant in effective_grants(role, group_grants)
    return granted and kind.grant.partition(".")[0] in on


async def web_push_key(runtime: Runtime) -> PushKey:
    """The platform's VAPID pair: the settings' own, or one made once for all processes.

    Raises core.crypto.SecretUnreadable when no key of the ring opens the stored one.
    """
    found = runtime.caches.get(_WEB_PUSH)
    if not isinstance(found, PushKey):
        given = runtime.settings.web_push_private_key.get_secret_value()
        found = rules.push_key_of(given) if given else await _kept_key(runtime)
        runtime.caches[_WEB_PUSH] = found
    return found


async def _kept_key(runtime: Runtime) -> PushKey:
    async with system_work(runtime) as session:
        keys = PlatformKeyRepository(session)
        row: PlatformKey | None = await keys.named(_WEB_PUSH)
        if row is None:
            made = rules.new_push_key()
            sealed = runtime.vault.encrypt(made.private, _key_context())
            row = await keys.keep_first(_WEB_PUSH, made.public, sealed)
    return PushKey(row.public, runtime.vault.decrypt(row.sealed, _key_context()))


def _key_context() -> str:
    return PLATFORM_KEY.bound_to({"name": _WEB_PUSH})[0]
