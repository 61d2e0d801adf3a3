"""What providers sent us, as it came; and which tenant's Work has applied it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, Model, TenantModel

PENDING, DONE, DEAD, UNCLAIMED = "pending", "done", "dead", "unclaimed"


class InboxMessage(Model):
    """A system table: a delivery is kept before anybody knows whose it is."""

    __tablename__ = "inbox_messages"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'done', 'dead', 'unclaimed')", name="state"),
        CheckConstraint("(tenant_id IS NULL) = (state = 'unclaimed')", name="claimed"),
        Index("inbox_messages_state_id_idx", "state", "id"),
        UniqueConstraint("provider", "event_id"),
    )

    provider: Mapped[str]
    event_id: Mapped[str]
    """The provider's own id of the notice: the same one is kept once."""
    type: Mapped[str]
    tenant_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), index=True
    )
    headers: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """The exact bytes that were signed."""
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None]
    processed_at: Mapped[datetime | None]


class InboxReceipt(TenantModel):
    """Commits with the effects of the message whose id it has: a second delivery finds it."""

    __tablename__ = "inbox_receipts"
