"""The version of all that prices and permits a cart."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant


class PriceVersion(TenantModel):
    """Raised by triggers on every table that a cart's price hangs on; no row: nothing changed yet.

    A process may remember prices as long as this has not moved, and asks in the same statement
    that writes an order: what it remembered is then as true as what it would have read.
    """

    __tablename__ = "price_versions"
    __table_args__ = (unique_within_tenant(), {"postgresql_with": {"fillfactor": 50}})

    version: Mapped[int] = mapped_column(server_default="1")
