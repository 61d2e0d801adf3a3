"""Runs of schedules that wait for one another or are cancelled, and when each last moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_CHECKS = {
    ("schedules", "overlap"): (
        ("skip", "allow"),
        ("skip", "queue_one", "allow", "cancel_previous"),
    ),
    ("schedule_runs", "state"): (
        ("queued", "running", "succeeded", "failed", "skipped", "lost"),
        (
            "waiting",
            "queued",
            "running",
            "cancelling",
            "succeeded",
            "failed",
            "cancelled",
            "skipped",
            "lost",
        ),
    ),
}


def _check(values: int) -> None:
    for (table, column), listed in _CHECKS.items():
        name = op.f(f"{table}_{column}_check")
        members = ", ".join(f"'{value}'" for value in listed[values])
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, f"{column} IN ({members})")


def upgrade() -> None:
    _check(1)
    op.add_column(
        "schedule_runs",
        sa.Column(
            "moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
    )
    op.execute("UPDATE schedule_runs SET ended_at = created_at WHERE state = 'skipped'")
    op.create_index(
        "schedule_runs_open_idx",
        "schedule_runs",
        ["tenant_id", "schedule_id"],
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("schedule_runs_open_idx", "schedule_runs")
    op.drop_column("schedule_runs", "moved_at")
    op.execute("UPDATE schedule_runs SET state = 'lost' WHERE state IN ('waiting', 'cancelling')")
    op.execute("UPDATE schedule_runs SET state = 'skipped' WHERE state = 'cancelled'")
    op.execute("UPDATE schedules SET overlap = 'skip' WHERE overlap NOT IN ('skip', 'allow')")
    _check(0)
