"""Schedules of tenants, and what became of each of their ticks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=moment, nullable=False),
    ]


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "schedules",
        *_tenant_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("entrypoint", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("misfire", sa.Text(), server_default="latest", nullable=False),
        sa.Column("overlap", sa.Text(), server_default="skip", nullable=False),
        sa.Column("catchup_window_hours", sa.BigInteger(), server_default="24", nullable=False),
        sa.Column("max_catchup", sa.BigInteger(), server_default="10", nullable=False),
        sa.Column("jitter_seconds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("decided_until", instant, nullable=False),
        sa.Column("next_at", instant, nullable=True),
        sa.Column("last_tick_at", instant, nullable=True),
        sa.Column("last_outcome", sa.Text(), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "misfire IN ('skip', 'latest', 'all')", name=op.f("schedules_misfire_check")
        ),
        sa.CheckConstraint("overlap IN ('skip', 'allow')", name=op.f("schedules_overlap_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("schedules_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("schedules_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("schedules_tenant_id_name_key")),
    )
    op.create_index(
        "schedules_next_at_idx", "schedules", ["next_at"], postgresql_where=sa.text("is_enabled")
    )
    op.create_table(
        "schedule_runs",
        *_tenant_columns(),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("tick", instant, nullable=False),
        sa.Column("trigger", sa.Text(), server_default="cron", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("blocked_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", instant, nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'skipped', 'lost')",
            name=op.f("schedule_runs_state_check"),
        ),
        sa.CheckConstraint(
            "trigger IN ('cron', 'manual')", name=op.f("schedule_runs_trigger_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "schedule_id"],
            ["schedules.tenant_id", "schedules.id"],
            name=op.f("schedule_runs_tenant_id_schedule_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("schedule_runs_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "schedule_id",
            "tick",
            name=op.f("schedule_runs_tenant_id_schedule_id_tick_key"),
        ),
    )
    for table in ("schedules", "schedule_runs"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("schedule_runs")
    op.drop_table("schedules")
