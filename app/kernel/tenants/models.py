"""The tenants table: a system table that tenants themselves cannot read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Json, Model
from app.kernel.tenants.rules import effective_limits, effective_modules


class Tenant(Model):
    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'suspended')", name="status"),
        CheckConstraint(
            "subscription_status IN ('trialing','active','past_due','canceled','unpaid')",
            name="subscription_status",
        ),
        CheckConstraint("slug ~ '^[a-z0-9](-?[a-z0-9])*$'", name="slug"),
    )

    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active")
    subscription_status: Mapped[str] = mapped_column(server_default="trialing")
    trial_ends_at: Mapped[datetime | None]
    """A trialing tenant has no modules from this instant on; null: the trial has no end."""
    modules: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    limits: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    plan_code: Mapped[str | None] = mapped_column(ForeignKey("plans.code"), index=True)
    """The plan last applied: modules and limits are a copy of its own from that moment."""
    module_overrides: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """Modules switched on (true) or off (false) beside the plan; they outlast its changes."""
    limit_overrides: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """The tenant's own limits in place of the plan's; null: without limit."""
    first_access_test: Mapped[bool] = mapped_column(server_default=text("false"))
    hosts: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    timezone: Mapped[str] = mapped_column(server_default="America/Sao_Paulo")
    currency: Mapped[str] = mapped_column(server_default="BRL")
    locale: Mapped[str] = mapped_column(server_default="pt-BR")
    is_super_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    onboarding: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    """What the owner answered while setting the tenant up."""
    onboarding_completed_at: Mapped[datetime | None]

    @property
    def effective_modules(self) -> list[str]:
        return effective_modules(self.modules, self.module_overrides)

    @property
    def effective_limits(self) -> dict[str, int]:
        return effective_limits(self.limits, self.limit_overrides)
