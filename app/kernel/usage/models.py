"""How much of a limited thing a tenant has used, per period."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant


class UsageCounter(TenantModel):
    __tablename__ = "usage_counters"
    __table_args__ = (
        unique_within_tenant("metric", "period"),
        CheckConstraint("used >= 0", name="used"),
    )

    metric: Mapped[str]
    period: Mapped[str]
    """``YYYY-MM`` in the tenant's timezone, or ``total``."""
    used: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
