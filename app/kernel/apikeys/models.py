"""API keys of integrators: the secret is shown once, its hash is kept."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, within_tenant


class ApiKey(TenantModel):
    __tablename__ = "api_keys"
    __table_args__ = (
        within_tenant("created_by", "users", ondelete="CASCADE"),
        # Across tenants on purpose: the key itself says whose it is.
        Index("api_keys_key_hash_idx", "key_hash"),
        Index(
            "api_keys_tenant_id_issued_for_idx",
            "tenant_id",
            "issued_for",
            postgresql_where=text("issued_for IS NOT NULL"),
        ),
    )

    name: Mapped[str]
    prefix: Mapped[str]
    """The first characters of the secret, by which people recognise it."""
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]]
    created_by: Mapped[UUID]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute."""
    revoked_at: Mapped[datetime | None]
    issued_for: Mapped[UUID | None]
    """The credential of a slice that this short-lived key is a token of; people made the others."""
