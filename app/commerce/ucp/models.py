"""Whether software agents may order from a tenant, and the checkouts they have begun."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant

OPEN, COMPLETED, CANCELED = STATES = ("open", "completed", "canceled")


class UcpSettings(TenantModel):
    """No row: the channel was never switched on."""

    __tablename__ = "ucp_settings"
    __table_args__ = (
        unique_within_tenant(),
        within_tenant("store_id", "stores", ondelete="CASCADE"),
    )

    is_enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    store_id: Mapped[UUID]
    """Delivers, unless the buyer names another one."""
    storefront_url: Mapped[str]
    """Where a buyer goes on by hand."""
    terms_url: Mapped[str | None]
    privacy_url: Mapped[str | None]


class UcpSession(TenantModel):
    """A checkout of an agent; its id is the ``cart_id`` of the one order it may become.

    Whoever knows the id may act on it, so it is random through and through, not a UUIDv7.
    """

    __tablename__ = "ucp_sessions"
    __table_args__ = (CheckConstraint(one_of("state", STATES), name="state"),)

    platform: Mapped[str]
    """The profile by which the agent names itself; nobody else is shown the session."""
    state: Mapped[str] = mapped_column(server_default=OPEN)
    asked: Mapped[Json]
    """What the agent wants, as ``Wanted`` writes it."""
    revision: Mapped[int] = mapped_column(server_default="1")
    """Counts what was asked."""
    told_cents: Mapped[int | None]
    """The total that the agent was shown last."""
    expires_at: Mapped[datetime]
    order_id: Mapped[UUID | None]
    answer: Mapped[Json | None]
    """How it ended, as it was and will be answered."""
