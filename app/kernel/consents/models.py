"""The ledger of what contacts agreed to hear of; it only grows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped

from app.core.ddl import one_of
from app.core.model import TenantModel, within_tenant

CHANNELS = ("whatsapp", "email", "sms", "phone", "telegram")
CATEGORIES = ("marketing", "utility", "authentication", "service")
SOURCES = (
    "stop_word", "start_word", "button", "provider_preference", "provider_error", "form",
    "checkout", "import", "staff", "api",
)  # fmt: skip


class ConsentEntry(TenantModel):
    """One decision of a contact, with where it came from."""

    __tablename__ = "consent_entries"
    __table_args__ = (
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        Index("consent_entries_tenant_id_contact_id_idx", "tenant_id", "contact_id", "decided_at"),
        CheckConstraint(one_of("channel", CHANNELS), name="channel"),
        CheckConstraint(one_of("category", (*CATEGORIES, "all")), name="category"),
        CheckConstraint(one_of("source", SOURCES), name="source"),
    )

    contact_id: Mapped[UUID]
    channel: Mapped[str]
    category: Mapped[str]
    is_opt_in: Mapped[bool]
    source: Mapped[str]
    evidence: Mapped[str | None]
    """What proves it: the words, the form's address, the provider's message id."""
    decided_at: Mapped[datetime]
    actor_name: Mapped[str]
