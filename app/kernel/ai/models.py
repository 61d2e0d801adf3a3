"""The ledger of calls to language models, what a month may cost, and answers worth keeping."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant

RESERVED, ANSWERED, CACHED = "reserved", "answered", "cached"
FAILED, UNANSWERED, LOST = "failed", "unanswered", "lost"
STATES = (RESERVED, ANSWERED, CACHED, FAILED, UNANSWERED, LOST)


class AiBudget(TenantModel):
    """One row a tenant at most; without one there is no limit of its own."""

    __tablename__ = "ai_budgets"
    __table_args__ = (
        unique_within_tenant(),
        CheckConstraint("monthly_micro_usd >= 0", name="monthly_micro_usd"),
    )

    monthly_micro_usd: Mapped[int]


class AiMonth(TenantModel):
    """What a month cost so far, and what calls under way may still cost. All in micro-USD."""

    __tablename__ = "ai_months"
    __table_args__ = (
        unique_within_tenant("month"),
        CheckConstraint("spent_micro_usd >= 0 AND reserved_micro_usd >= 0", name="amounts"),
    )

    month: Mapped[str]
    """``YYYY-MM`` in the tenant's timezone."""
    spent_micro_usd: Mapped[int] = mapped_column(server_default="0")
    reserved_micro_usd: Mapped[int] = mapped_column(server_default="0")
    platform_micro_usd: Mapped[int] = mapped_column(server_default="0")
    """Of both, what the platform's own keys pay."""


class AiCall(TenantModel):
    """One attempt at one vendor: first a reservation, then what became of it."""

    __tablename__ = "ai_calls"
    __table_args__ = (
        CheckConstraint(one_of("state", STATES), name="state"),
        Index("ai_calls_tenant_id_month_idx", "tenant_id", "month"),
        Index(
            "ai_calls_tenant_id_expires_at_idx",
            "tenant_id",
            "expires_at",
            postgresql_where=text("state = 'reserved'"),
        ),
    )

    month: Mapped[str]
    feature: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    on_platform: Mapped[bool]
    """The platform's key pays, not the tenant's."""
    state: Mapped[str]
    reserved_micro_usd: Mapped[int] = mapped_column(server_default="0")
    expires_at: Mapped[datetime]
    """From then on a call that is still ``reserved`` is lost: its process died."""
    input_tokens: Mapped[int] = mapped_column(server_default="0")
    output_tokens: Mapped[int] = mapped_column(server_default="0")
    cache_read_tokens: Mapped[int] = mapped_column(server_default="0")
    cache_write_tokens: Mapped[int] = mapped_column(server_default="0")
    reasoning_tokens: Mapped[int] = mapped_column(server_default="0")
    cost_micro_usd: Mapped[int | None]
    """Null: not known, as nobody publishes this model's price."""
    is_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    """The vendor did not tell the tokens; they were judged by the length of the texts."""
    failure: Mapped[str | None]
    duration_ms: Mapped[int | None]
    ended_at: Mapped[datetime | None]


class AiResult(TenantModel):
    """An answer kept for who asks the very same again."""

    __tablename__ = "ai_results"
    __table_args__ = (
        unique_within_tenant("key"),
        Index("ai_results_tenant_id_expires_at_idx", "tenant_id", "expires_at"),
    )

    key: Mapped[str]
    """SHA-256 of everything the answer depends on."""
    text: Mapped[str]
    model: Mapped[str]
    expires_at: Mapped[datetime]
