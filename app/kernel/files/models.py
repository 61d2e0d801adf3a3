"""Uploaded files: named by their content's hash, typed by their bytes."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from app.core.model import TenantModel, unique_within_tenant


class StoredFile(TenantModel):
    __tablename__ = "files"
    __table_args__ = (unique_within_tenant("key"),)

    key: Mapped[str]
    """``t/{tenant}/{sha256}.{ext}``, the path under the storage's root."""
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    original_name: Mapped[str]
