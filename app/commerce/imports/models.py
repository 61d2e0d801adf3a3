"""An import: its files, how they are read, how far it is, and every row that was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

KINDS = ("products", "customers", "orders")
STATUSES = ("ready", "queued", "running", "done", "failed", "cancelled")
ROLES = ("file", "items", "payments")


class DataImport(TenantModel):
    """``rows_read`` is created + updated + unchanged + skipped + failed once it is done."""

    __tablename__ = "imports"
    __table_args__ = (
        within_tenant("store_id", "stores", ondelete="CASCADE"),
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
    )

    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="ready")
    store_id: Mapped[UUID | None]
    """Products: whose prices they are, None for everybody's. Orders: whose orders."""
    preview: Mapped[dict[str, Any]] = mapped_column(JSONB())
    reason: Mapped[str | None]
    """Why it failed."""
    rows_read: Mapped[int] = mapped_column(server_default=text("0"))
    rows_total: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows to apply: what could be read and is said for the first time."""
    rows_done: Mapped[int] = mapped_column(server_default=text("0"))
    """How many of them are applied; moves in the transaction that writes them."""
    created: Mapped[int] = mapped_column(server_default=text("0"))
    updated: Mapped[int] = mapped_column(server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(server_default=text("0"))
    skipped: Mapped[int] = mapped_column(server_default=text("0"))
    """Said before in the same file, word for word."""
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ImportFile(TenantModel):
    """One table of an import; removed with its content when the import ends."""

    __tablename__ = "import_files"
    __table_args__ = (
        within_tenant("import_id", "imports", ondelete="CASCADE"),
        unique_within_tenant("import_id", "role"),
        CheckConstraint(one_of("role", ROLES), name="role"),
    )

    import_id: Mapped[UUID]
    role: Mapped[str]
    name: Mapped[str]
    encoding: Mapped[str]
    delimiter: Mapped[str]
    columns: Mapped[list[str]] = mapped_column(ARRAY(TEXT()))
    mapping: Mapped[dict[str, Any]] = mapped_column(JSONB())
    content: Mapped[bytes] = mapped_column(LargeBinary(), deferred=True)


class ImportFailure(TenantModel):
    """A row that was not imported, and why."""

    __tablename__ = "import_failures"
    __table_args__ = (
        within_tenant("import_id", "imports", ondelete="CASCADE"),
        Index("import_failures_tenant_id_import_id_line_idx", "tenant_id", "import_id", "line"),
    )

    import_id: Mapped[UUID]
    file: Mapped[str]
    """Empty: the main one."""
    line: Mapped[int]
    key: Mapped[str]
    reason: Mapped[str]
