"""Messages that we owe somebody: the intent is a row before any vendor is called."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant

STATES = ("pending", "queued", "sending", "sent", "failed", "unknown")


class Notification(TenantModel):
    __tablename__ = "notifications"
    __table_args__ = (
        # One message per fact and channel, however often its job is delivered.
        unique_within_tenant("dedupe_key", "channel"),
        Index("notifications_tenant_id_order_id_idx", "tenant_id", "order_id"),
        Index("notifications_tenant_id_state_idx", "tenant_id", "state", "id"),
        Index("notifications_tenant_id_channel_idx", "tenant_id", "channel", "id"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint(one_of("channel", ("whatsapp", "telegram")), name="channel"),
    )

    channel: Mapped[str]
    dedupe_key: Mapped[str]
    order_id: Mapped[UUID | None]
    recipient: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    provider_message_id: Mapped[str | None]
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    message_id: Mapped[UUID | None]
    """Of the inbox, which owes and sends it; its status is how this ended."""


class OrderMessageSetting(TenantModel):
    """The tenant's own words for one thing that happens to orders; without a row, ours."""

    __tablename__ = "order_message_settings"
    __table_args__ = (unique_within_tenant("fact"),)

    fact: Mapped[str]
    """``placed``, or the status an order moved to."""
    is_on: Mapped[bool] = mapped_column(server_default=text("true"))
    text: Mapped[str | None]
    template_name: Mapped[str | None]
    """What goes out when the customer did not write in the last 24 hours."""
    template_language: Mapped[str | None]
    template_values: Mapped[list[str]] = mapped_column(server_default="{}")
    """Names of the variables that fill the template's body, in order."""
