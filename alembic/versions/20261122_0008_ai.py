"""AI: the ledger of calls, months and their budget, kept answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("ai_budgets", "ai_months", "ai_calls", "ai_results")


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    op.create_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=moment, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f(f"{name}_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{name}_pkey")),
    )


def _amount(name: str, *, nullable: bool = False) -> sa.Column[int]:
    zero = None if nullable else "0"
    return sa.Column(name, sa.BigInteger(), server_default=zero, nullable=nullable)


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    _table(
        "ai_budgets",
        sa.Column("monthly_micro_usd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "monthly_micro_usd >= 0", name=op.f("ai_budgets_monthly_micro_usd_check")
        ),
        sa.UniqueConstraint("tenant_id", name=op.f("ai_budgets_tenant_id_key")),
    )
    _table(
        "ai_months",
        sa.Column("month", sa.Text(), nullable=False),
        _amount("spent_micro_usd"),
        _amount("reserved_micro_usd"),
        _amount("platform_micro_usd"),
        sa.CheckConstraint(
            "spent_micro_usd >= 0 AND reserved_micro_usd >= 0", name=op.f("ai_months_amounts_check")
        ),
        sa.UniqueConstraint("tenant_id", "month", name=op.f("ai_months_tenant_id_month_key")),
    )
    _table(
        "ai_calls",
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("on_platform", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        _amount("reserved_micro_usd"),
        sa.Column("expires_at", instant, nullable=False),
        _amount("input_tokens"),
        _amount("output_tokens"),
        _amount("cache_read_tokens"),
        _amount("cache_write_tokens"),
        _amount("reasoning_tokens"),
        _amount("cost_micro_usd", nullable=True),
        sa.Column("is_estimated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", instant, nullable=True),
        sa.CheckConstraint(
            "state IN ('reserved', 'answered', 'cached', 'failed', 'unanswered', 'lost')",
            name=op.f("ai_calls_state_check"),
        ),
    )
    op.create_index("ai_calls_tenant_id_month_idx", "ai_calls", ["tenant_id", "month"])
    op.create_index(
        "ai_calls_tenant_id_expires_at_idx",
        "ai_calls",
        ["tenant_id", "expires_at"],
        postgresql_where=sa.text("state = 'reserved'"),
    )
    _table(
        "ai_results",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("ai_results_tenant_id_key_key")),
    )
    op.create_index(
        "ai_results_tenant_id_expires_at_idx", "ai_results", ["tenant_id", "expires_at"]
    )
    for table in _TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
