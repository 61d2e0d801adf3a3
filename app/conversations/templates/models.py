"""Message templates as the vendor knows them: what may be sent outside the customer's day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant

CATEGORIES = ("marketing", "utility", "authentication")
FORMATS = ("positional", "named")


class MessageTemplate(TenantModel):
    __tablename__ = "message_templates"
    __table_args__ = (
        unique_within_tenant("waba_id", "name", "language"),
        CheckConstraint(one_of("category", CATEGORIES), name="category"),
        CheckConstraint(one_of("parameter_format", FORMATS), name="parameter_format"),
    )

    waba_id: Mapped[str]
    vendor_id: Mapped[str | None]
    name: Mapped[str]
    language: Mapped[str]
    category: Mapped[str]
    parameter_format: Mapped[str] = mapped_column(server_default="positional")
    components: Mapped[list[dict[str, Any]]] = mapped_column(JSONB())
    """In the vendor's shape."""
    status: Mapped[str] = mapped_column(server_default="pending")
    """The vendor's own word in lower case; only ``approved`` ones are sent."""
    reason: Mapped[str | None]
    quality: Mapped[str] = mapped_column(server_default="unknown")
    synced_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """Gone at the vendor; the row stays for what refers to it."""
