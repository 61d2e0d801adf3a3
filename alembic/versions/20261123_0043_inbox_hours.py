"""Attendance hours of the inbox: who writes while it is closed is told so, and clocks may pause."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0043"
down_revision = "0045"
branch_labels = None
depends_on = None

_TABLE = "inbox_hours"
_ORPHANS = ("assignment_settings", "imports")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("away_told_at", sa.DateTime(timezone=True)))
    op.create_table(
        _TABLE,
        sa.Column("number_id", sa.Uuid()),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("hours", postgresql.JSONB(), nullable=False),
        sa.Column("exceptions", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("is_away_told", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("away_text", sa.Text()),
        sa.Column("clocks_pause", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "number_id"],
            ["whatsapp_numbers.tenant_id", "whatsapp_numbers.id"],
            name=op.f("inbox_hours_tenant_id_number_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("inbox_hours_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("inbox_hours_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "number_id",
            name=op.f("inbox_hours_tenant_id_number_id_key"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    for statement in enable_tenant_rls(_TABLE):
        op.execute(statement)
    # Rows whose other reference is empty outlived their tenant.
    for table in _ORPHANS:
        rows, tenants = (
            sa.table(table, sa.column("tenant_id")),
            sa.table("tenants", sa.column("id")),
        )
        op.execute(sa.delete(rows).where(rows.c.tenant_id.not_in(sa.select(tenants.c.id))))
        op.create_foreign_key(
            op.f(f"{table}_tenant_id_fkey"),
            table,
            "tenants",
            ["tenant_id"],
            ["id"],
            ondelete="CASCADE",
        )


def downgrade() -> None:
    for table in _ORPHANS:
        op.drop_constraint(op.f(f"{table}_tenant_id_fkey"), table)
    op.drop_table(_TABLE)
    op.drop_column("conversations", "away_told_at")
