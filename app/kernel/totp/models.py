"""The second factor: one secret per user, sealed, and what remains of the recovery codes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.model import TenantModel, unique_within_tenant, within_tenant


class TotpFactor(TenantModel):
    __tablename__ = "totp_factors"
    __table_args__ = (
        unique_within_tenant("user_id"),
        within_tenant("user_id", "users", ondelete="CASCADE"),
    )

    user_id: Mapped[UUID]
    secret: Mapped[str]
    """Sealed by the vault."""
    confirmed_at: Mapped[datetime | None]
    """Until then it is only offered: the login does not ask for it."""
    last_step: Mapped[int] = mapped_column(server_default=text("0"))
    """The newest time step that was accepted; it and all before are spent (RFC 6238 §5.2)."""
    recovery_hashes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """SHA-256 of the recovery codes that were not used yet."""


FACTOR_SECRET = Sealed("totp_factors", "secret", ("{tenant_id}:totp_factors:{id}",))
SEALED = (FACTOR_SECRET,)
