"""What merging two contacts changed, so that it can be undone."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Uuid

from app.core.model import Json, TenantModel, within_tenant


class ContactMerge(TenantModel):
    __tablename__ = "contact_merges"
    __table_args__ = (
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        within_tenant("merged_id", "contacts", ondelete="CASCADE"),
        Index("contact_merges_tenant_id_contact_id_idx", "tenant_id", "contact_id", "id"),
        Index("contact_merges_tenant_id_merged_id_idx", "tenant_id", "merged_id"),
    )

    contact_id: Mapped[UUID]
    """Who stays."""
    merged_id: Mapped[UUID]
    """Who is merged into them."""
    reason: Mapped[str]
    filled: Mapped[Json]
    """By field of who stays: what it was, and what it became."""
    was_blocked: Mapped[bool]
    """Whether the merged one was blocked by itself."""
    tag_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default=text("'{}'"))
    """Tags that who stays received."""
    identity_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default=text("'{}'"))
    double_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default=text("'{}'"))
    """Contacts that had been merged into the merged one before."""
    actor_name: Mapped[str]
    undone_at: Mapped[datetime | None]
