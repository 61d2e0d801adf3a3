"""Files uploaded to be sent, the vendor's copies of them, and runs of the clean-up."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

KINDS = ("image", "video", "audio", "document", "sticker")


class MessageUpload(TenantModel):
    """A file that somebody uploaded to be sent, once or often, from any number."""

    __tablename__ = "message_uploads"
    __table_args__ = (CheckConstraint(one_of("kind", KINDS), name="kind"),)

    kind: Mapped[str]
    stored_file_id: Mapped[UUID]
    media_type: Mapped[str]
    """As the vendor is told."""
    original_name: Mapped[str]
    size_bytes: Mapped[int]
    uploaded_by: Mapped[UUID | None]


class UploadCopy(TenantModel):
    """An upload as a number has it at the vendor, who forgets it after thirty days."""

    __tablename__ = "message_upload_copies"
    __table_args__ = (
        unique_within_tenant("upload_id", "number_id"),
        within_tenant("upload_id", "message_uploads", ondelete="CASCADE"),
        within_tenant("number_id", "whatsapp_numbers", ondelete="CASCADE"),
        Index("message_upload_copies_tenant_id_number_id_idx", "tenant_id", "number_id"),
    )

    upload_id: Mapped[UUID]
    number_id: Mapped[UUID]
    vendor_media_id: Mapped[str]
    expires_at: Mapped[datetime]


class MediaCleanup(TenantModel):
    """One run of the clean-up, and what it found."""

    __tablename__ = "media_cleanups"

    is_dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB())
    ended_at: Mapped[datetime | None]
