"""Queries over notices, their deliveries, and how people are reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.database import raw
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.notifications.models import (
    Notice,
    NoticeDelivery,
    NoticePreference,
    PlatformKey,
    PushSubscription,
    TelegramLink,
)
from app.kernel.notifications.problems import NoticeDeviceNotFound, NoticeNotFound

_PEOPLE = """
SELECT u.id, u.role,
  (SELECT coalesce(array_agg(DISTINCT x), '{}') FROM group_members m
     JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id, unnest(g.grants) AS x
    WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id) AS grants
FROM users u WHERE u.is_active
"""


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    role: str
    group_grants: frozenset[str]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A delivery with what its notice is about."""

    id: UUID
    notice_id: UUID
    user_id: UUID
    kind: str
    channel: str
    state: str
    attempts: int
    next_at: datetime | None
    error: str | None
    sent_at: datetime | None
    created_at: datetime


class NoticeRepository(Repository[Notice]):
    model = Notice
    missing = NoticeNotFound

    async def people(self) -> list[Person]:
        """Every active member, with what groups grant."""
        rows = await (await self.raw()).fetch(_PEOPLE)
        return [Person(r["id"], r["role"], frozenset(r["grants"])) for r in rows]

    async def add_once(self, rows: list[dict[str, Any]]) -> set[UUID]:
        """Insert what is not there yet; the ids of the new ones."""
        if not rows:
            return set()
        added = await self.session.scalars(
            insert(Notice)
            .values(rows)
            .on_conflict_do_nothing(index_elements=["tenant_id", "event_id", "user_id"])
            .returning(Notice.id)
        )
        return set(added)

    async def own(self, user_id: UUID, page: PageRequest, *, unread: bool) -> Page[Notice]:
        statement = self.query().where(Notice.user_id == user_id, Notice.is_listed)
        if unread:
            statement = statement.where(Notice.read_at.is_(None))
        return await self.page(statement, page)

    async def of(self, user_id: UUID, notice_id: UUID) -> Notice:
        """One's own. Raises NoticeNotFound."""
        row = await self.find(notice_id, lock=True)
        if row is None or row.user_id != user_id or not row.is_listed:
            raise NoticeNotFound()
        return row

    async def unread(self, user_id: UUID) -> int:
        statement = select(func.count()).select_from(Notice).where(*_unread(user_id))
        return await self.session.scalar(statement) or 0

    async def read_all(self, user_id: UUID, at: datetime) -> int:
        found = await self.session.scalars(
            update(Notice).where(*_unread(user_id)).values(read_at=at).returning(Notice.id)
        )
        return len(found.all())


class NoticeDeliveryRepository(Repository[NoticeDelivery]):
    model = NoticeDelivery

    async def add_all(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            await self.session.execute(insert(NoticeDelivery).values(rows))

    async def ledger(
        self, page: PageRequest, *, state: str | None, channel: str | None
    ) -> Page[LedgerRow]:
        """Deliveries of the whole tenant, newest first."""
        one = NoticeDelivery
        statement = (
            select(
                one.id, one.notice_id, Notice.user_id, Notice.kind, one.channel, one.state,
                one.attempts, one.next_at, one.error, one.sent_at, one.created_at,
            )
            .join(Notice, Notice.id == one.notice_id)
            .order_by(one.id.desc())
            .limit(page.limit + 1)
        )  # fmt: skip
        if page.cursor is not None:
            statement = statement.where(one.id < page.cursor)
        if state is not None:
            statement = statement.where(one.state == state)
        if channel is not None:
            statement = statement.where(one.channel == channel)
        rows = [LedgerRow(*row) for row in await self.session.execute(statement)]
        items = rows[: page.limit]
        return Page(items, items[-1].id if len(rows) > page.limit else None)


class PreferenceRepository(Repository[NoticePreference]):
    model = NoticePreference

    async def chosen(
        self, users: Iterable[UUID], kind: str | None = None
    ) -> dict[UUID, dict[tuple[str, str], bool]]:
        """Each person's choices by kind and channel."""
        one = NoticePreference
        statement = select(one.user_id, one.kind, one.channel, one.is_on).where(
            one.user_id.in_(list(users))
        )
        if kind is not None:
            statement = statement.where(one.kind == kind)
        found: dict[UUID, dict[tuple[str, str], bool]] = {}
        for user_id, name, channel, on in await self.session.execute(statement):
            found.setdefault(user_id, {})[name, channel] = on
        return found

    async def replace(self, user_id: UUID, rows: dict[tuple[str, str], bool]) -> None:
        one = NoticePreference
        await self.session.execute(delete(one).where(one.user_id == user_id))
        for (kind, channel), on in sorted(rows.items()):
            # Two tabs that save at once: the later word stands, and neither is refused.
            await self.session.execute(
                insert(one)
                .values(id=new_id(), user_id=user_id, kind=kind, channel=channel, is_on=on)
                .on_conflict_do_update(
                    index_elements=["tenant_id", "user_id", "kind", "channel"],
                    set_={"is_on": on},
                )
            )


class DeviceRepository(Repository[PushSubscription]):
    model = PushSubscription
    missing = NoticeDeviceNotFound

    async def own(self, user_id: UUID) -> Sequence[PushSubscription]:
        one = PushSubscription
        return await self.all(
            self.query().where(one.user_id == user_id).order_by(one.created_at.desc())
        )

    async def of(self, user_id: UUID, device_id: UUID) -> PushSubscription:
        """One's own. Raises NoticeDeviceNotFound."""
        row = await self.find(device_id, lock=True)
        if row is None or row.user_id != user_id:
            raise NoticeDeviceNotFound()
        return row

    async def ids_of(self, users: Iterable[UUID]) -> dict[UUID, list[UUID]]:
        one = PushSubscription
        found: dict[UUID, list[UUID]] = {}
        rows = await self.session.execute(
            select(one.user_id, one.id).where(one.user_id.in_(list(users)))
        )
        for user_id, device_id in rows:
            found.setdefault(user_id, []).append(device_id)
        return found

    async def put(
        self, user_id: UUID, endpoint_hash: bytes, sealed: str, service: str, label: str
    ) -> PushSubscription:
        """The one row of this browser, now this person's."""
        values = {"user_id": user_id, "sealed": sealed, "service": service, "label": label}
        id_ = await self.session.scalar(
            insert(PushSubscription)
            .values(id=new_id(), endpoint_hash=endpoint_hash, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "endpoint_hash"], set_=values)
            .returning(PushSubscription.id)
        )
        assert id_ is not None  # noqa: S101 - an upsert always answers its row
        return await self.get(id_)

    async def cut(self, user_id: UUID, keep: int, spared: UUID) -> None:
        """Forget all but the newest and the one that was just subscribed, however old its row."""
        one = PushSubscription
        others = (one.user_id == user_id, one.id != spared)
        newest = select(one.id).where(*others).order_by(one.id.desc()).limit(keep - 1)
        await self.session.execute(
            delete(one).where(*others, one.id.not_in(newest.scalar_subquery()))
        )


class TelegramRepository(Repository[TelegramLink]):
    model = TelegramLink

    async def of(self, user_id: UUID) -> TelegramLink | None:
        return await self.one_or_none(self.query().where(TelegramLink.user_id == user_id))

    async def linked(self, users: Iterable[UUID]) -> set[UUID]:
        one = TelegramLink
        return set(
            await self.session.scalars(select(one.user_id).where(one.user_id.in_(list(users))))
        )

    async def put(self, user_id: UUID, chat_id: str) -> None:
        await self.session.execute(
            insert(TelegramLink)
            .values(id=new_id(), user_id=user_id, chat_id=chat_id)
            .on_conflict_do_update(
                index_elements=["tenant_id", "user_id"], set_={"chat_id": chat_id}
            )
        )


_KEEP_KEY = """
INSERT INTO platform_keys (id, name, public, sealed) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING
"""


class PlatformKeyRepository(Repository[PlatformKey]):
    """Takes a system session."""

    model = PlatformKey

    async def named(self, name: str) -> PlatformKey | None:
        return await self.one_or_none(self.query().where(PlatformKey.name == name))

    async def keep_first(self, name: str, public: str, sealed: str) -> PlatformKey:
        """The key of this name: this one, or the one that another process made first."""
        await (await raw(self.session)).execute(_KEEP_KEY, new_id(), name, public, sealed)
        found = await self.named(name)
        assert found is not None  # noqa: S101 - inserted above, by us or before us
        return found


def _unread(user_id: UUID) -> tuple[Any, ...]:
    return (Notice.user_id == user_id, Notice.is_listed, Notice.read_at.is_(None))
