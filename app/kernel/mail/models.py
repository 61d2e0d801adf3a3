"""Letters that we owe somebody: the intent is a row before the carrier is called."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant

STATES = ("pending", "sending", "sent", "failed", "unknown")


class Letter(TenantModel):
    __tablename__ = "letters"
    __table_args__ = (
        # One letter per reference, however often it is asked for.
        unique_within_tenant("reference"),
        CheckConstraint(one_of("state", STATES), name="state"),
    )

    reference: Mapped[str]
    template: Mapped[str]
    recipient: Mapped[str]
    content: Mapped[str | None]
    """Sealed, as letters carry tokens whose hashes alone are stored; dropped when it has ended."""
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    sent_at: Mapped[datetime | None]


CONTENT = Sealed("letters", "content", ("{tenant_id}:letters:{id}",))
SEALED = (CONTENT,)
