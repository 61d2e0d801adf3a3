"""The plans table: a system table that tenants may read, as it is their price list."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, Model


class Plan(Model):
    __tablename__ = "plans"
    __table_args__ = (
        CheckConstraint("code ~ '^[a-z0-9](-?[a-z0-9])*$'", name="code"),
        CheckConstraint("price_cents >= 0", name="price_cents"),
        CheckConstraint("interval IN ('month', 'year')", name="interval"),
        Index("plans_stripe_price_ids_idx", "stripe_price_ids", postgresql_using="gin"),
    )

    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price_cents: Mapped[int]
    """Per ``interval``."""
    currency: Mapped[str] = mapped_column(server_default="BRL")
    interval: Mapped[str] = mapped_column(server_default="month")
    modules: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    limits: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """By name of ``kernel.limits.LIMITS``; a name that is absent has no limit."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    position: Mapped[int] = mapped_column(server_default="0")
    stripe_price_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """The first is sold; all are recognised: a subscription keeps the price it began with."""
