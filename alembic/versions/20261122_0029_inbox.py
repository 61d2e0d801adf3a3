"""The inbox at work: assignment, clocks, pauses of a pair, undecided sends, search."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.util import await_only

from app.core.ddl import enable_tenant_rls, one_of

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_INSTANTS = {
    "conversations": ("first_reply_told_at", "resolution_told_at", "sends_resume_at"),
    "messages": ("needs_decision_at",),
}
_SEARCH_TEXT = (
    "lower(regexp_replace(NORMALIZE(COALESCE(text, ''::text), NFKD), "
    "'[\\u0300-\\u036f]'::text, ''::text, 'g'::text))"
)
_TABLES = ("assignment_settings", "agent_turns", "order_message_settings")


def upgrade() -> None:
    for table, columns in _INSTANTS.items():
        for column in columns:
            op.add_column(table, sa.Column(column, _INSTANT, nullable=True))
    op.add_column(
        "messages",
        sa.Column(
            "search_text", sa.Text(), sa.Computed(_SEARCH_TEXT, persisted=True), nullable=False
        ),
    )
    op.create_index(
        "messages_search_idx",
        "messages",
        ["tenant_id", "search_text"],
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
    op.create_index(
        "conversations_clocks_idx",
        "conversations",
        ["tenant_id", "first_reply_due_at", "resolution_due_at"],
        postgresql_where=sa.text(
            "status IN ('open', 'pending') AND (first_reply_told_at IS NULL "
            "OR resolution_told_at IS NULL)"
        ),
    )
    _settings()
    _turns()
    _order_messages()
    for table in _TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    functions = (Path(__file__).parents[1] / "inbox_1.sql").read_text()
    # $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))


def _base() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
    ]


def _within(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{other}.tenant_id", f"{other}.id"],
        name=op.f(f"{table}_tenant_id_{column}_fkey"),
        ondelete="CASCADE",
    )


def _settings() -> None:
    op.create_table(
        "assignment_settings",
        *_base(),
        sa.Column("department_id", sa.Uuid(), nullable=True),
        sa.Column("strategy", sa.Text(), server_default="manual", nullable=False),
        sa.Column("capacity", sa.BigInteger(), server_default="10", nullable=False),
        sa.Column("first_reply_minutes", sa.BigInteger(), nullable=True),
        sa.Column("resolution_minutes", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            one_of("strategy", ("manual", "round_robin", "least_busy")),
            name=op.f("assignment_settings_strategy_check"),
        ),
        sa.CheckConstraint(
            "capacity BETWEEN 1 AND 1000", name=op.f("assignment_settings_capacity_check")
        ),
        _within("assignment_settings", "department_id", "departments"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("assignment_settings_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "department_id",
            name=op.f("assignment_settings_tenant_id_department_id_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )


def _turns() -> None:
    op.create_table(
        "agent_turns",
        *_base(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("last_assigned_at", _INSTANT, nullable=True),
        _within("agent_turns", "user_id", "users"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("agent_turns_pkey")),
        sa.UniqueConstraint("tenant_id", "user_id", name=op.f("agent_turns_tenant_id_user_id_key")),
    )


def _order_messages() -> None:
    op.create_table(
        "order_message_settings",
        *_base(),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("is_on", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("template_name", sa.Text(), nullable=True),
        sa.Column("template_language", sa.Text(), nullable=True),
        sa.Column("template_values", ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("order_message_settings_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("order_message_settings_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "fact", name=op.f("order_message_settings_tenant_id_fact_key")
        ),
    )
    op.add_column("notifications", sa.Column("message_id", sa.Uuid(), nullable=True))
    _states("pending", "queued", "sending", "sent", "failed", "unknown")


def _states(*states: str) -> None:
    op.drop_constraint(op.f("notifications_state_check"), "notifications")
    op.create_check_constraint(
        op.f("notifications_state_check"), "notifications", one_of("state", states)
    )


def downgrade() -> None:
    op.execute("UPDATE notifications SET state = 'sent' WHERE state = 'queued'")
    _states("pending", "sending", "sent", "failed", "unknown")
    op.drop_column("notifications", "message_id")
    op.execute("DROP FUNCTION find_messages")
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("conversations_clocks_idx", "conversations")
    op.drop_column("messages", "search_text")
    for table, columns in _INSTANTS.items():
        for column in columns:
            op.drop_column(table, column)
