"""What the tenant's people were told, by which way it went, and where they can be reached.

``notices`` and its deliveries are the ledger: one notice per event and person, one delivery per
notice and way, whatever runs twice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.ddl import one_of
from app.core.model import Model, TenantModel, unique_within_tenant, within_tenant

STATES = ("pending", "sending", "sent", "failed", "unknown")
SENT_OUT = ("push", "telegram", "email")
CHANNELS = ("in_app", *SENT_OUT)


class Notice(TenantModel):
    __tablename__ = "notices"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        unique_within_tenant("event_id", "user_id"),
        Index("notices_tenant_id_user_id_id_idx", "tenant_id", "user_id", "id"),
        Index(
            "notices_unread_idx",
            "tenant_id",
            "user_id",
            postgresql_where=text("read_at IS NULL AND is_listed"),
        ),
    )

    user_id: Mapped[UUID]
    event_id: Mapped[UUID]
    """Of the event's telling: the same over every run of its job."""
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    link: Mapped[str | None]
    is_listed: Mapped[bool] = mapped_column(server_default=text("true"))
    """False: the person does not want this kind in the application, only by other ways."""
    read_at: Mapped[datetime | None]


class NoticeDelivery(TenantModel):
    __tablename__ = "notice_deliveries"
    __table_args__ = (
        within_tenant("notice_id", "notices", ondelete="CASCADE"),
        unique_within_tenant("notice_id", "channel", "target_id"),
        Index("notice_deliveries_tenant_id_state_idx", "tenant_id", "state", "id"),
        Index("notice_deliveries_tenant_id_channel_idx", "tenant_id", "channel", "id"),
        CheckConstraint(one_of("channel", SENT_OUT), name="channel"),
        CheckConstraint(one_of("state", STATES), name="state"),
    )

    notice_id: Mapped[UUID]
    channel: Mapped[str]
    target_id: Mapped[UUID]
    """The device of a push; else the person. No reference: devices come and go."""
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[datetime | None]
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]


class NoticePreference(TenantModel):
    """A choice that differs from, or repeats, the kind's default; absent means the default."""

    __tablename__ = "notice_preferences"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        unique_within_tenant("user_id", "kind", "channel"),
        CheckConstraint(one_of("channel", CHANNELS), name="channel"),
    )

    user_id: Mapped[UUID]
    kind: Mapped[str]
    channel: Mapped[str]
    is_on: Mapped[bool]


class PushSubscription(TenantModel):
    """A browser that asked to be woken. Whoever subscribed last has it: one person per browser."""

    __tablename__ = "push_subscriptions"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        unique_within_tenant("endpoint_hash"),
        Index("push_subscriptions_tenant_id_user_id_idx", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID]
    endpoint_hash: Mapped[bytes]
    sealed: Mapped[str]
    """``core.crypto`` envelope of the endpoint and its keys: who has them can wake the device."""
    service: Mapped[str]
    """Host of the push service."""
    label: Mapped[str]
    last_sent_at: Mapped[datetime | None]


class TelegramLink(TenantModel):
    """The chat in which a person talks to the shop's bot."""

    __tablename__ = "telegram_links"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        unique_within_tenant("user_id"),
    )

    user_id: Mapped[UUID]
    chat_id: Mapped[str]


class PlatformKey(Model):
    """A key pair that the platform made for itself, once, for all processes."""

    __tablename__ = "platform_keys"

    name: Mapped[str] = mapped_column(unique=True)
    public: Mapped[str]
    sealed: Mapped[str]
    """``core.crypto`` envelope of the private half."""


DEVICE = Sealed(
    # By its endpoint: the row's id is not known before the upsert that seals it.
    "push_subscriptions", "sealed", ("push_subscriptions:{tenant_id}:{endpoint_hash!r}",)
)  # fmt: skip
PLATFORM_KEY = Sealed("platform_keys", "sealed", ("platform_keys:{name}",))
SEALED = (DEVICE, PLATFORM_KEY)
