"""A tenant's accounts at vendors: public configuration in the open, secrets in an envelope."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, TenantModel, unique_within_tenant


class Connection(TenantModel):
    __tablename__ = "connections"
    __table_args__ = (unique_within_tenant("provider"),)

    provider: Mapped[str]
    config: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    secret: Mapped[str]
    """``core.crypto`` envelope; write-only for the API."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
