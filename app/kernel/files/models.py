"""Uploaded files: named by their content's hash, typed by their bytes.

A row is there before its bytes and leaves after them, so no bytes are ever without a row: what a
crash leaves behind is a row in ``uploading`` or ``erasing``, which the clean-up finds.

A reference to a file is a column named ``*_file_id`` (UUID) or ``*_file_ids`` (an array), or a
foreign key; ``repository.references`` finds them all, and who sets one checks the ids with
``FileService.held``. A row with ``deleted_at`` set holds nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant

STATES = ("uploading", "stored", "erasing")
VISIBILITIES = ("public", "private")


class StoredFile(TenantModel):
    __tablename__ = "files"
    __table_args__ = (
        unique_within_tenant("key"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint(one_of("visibility", VISIBILITIES), name="visibility"),
        Index("files_tenant_id_touched_at_idx", "tenant_id", "touched_at"),
    )

    key: Mapped[str]
    """``t/{tenant}/{sha256}.{ext}``, the path under the storage's root; ``p/`` when private."""
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    """Of the bytes as they are stored, which for an image are not the bytes that were sent."""
    original_name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="stored")
    visibility: Mapped[str] = mapped_column(server_default="public")
    stored_bytes: Mapped[int] = mapped_column(server_default="0")
    """With its thumbnails: what counts against the plan until it is being erased."""
    seen_with: Mapped[str | None]
    """The ``module.action`` without which nobody finds it among the files; None: any of them."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    touched_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When somebody last sent this content, or its erasing began."""

    @property
    def is_public(self) -> bool:
        return self.visibility == "public"

    @property
    def is_image(self) -> bool:
        """Whether it was made anew by ``images``, thumbnails and all."""
        return self.width is not None
