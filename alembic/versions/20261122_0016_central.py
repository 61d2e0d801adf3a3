"""The central console: what is agreed beside a plan, impersonation, its marks in the trail."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _impersonations() -> None:
    op.create_table(
        "impersonations",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("by_tenant_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("by_session_id", sa.Uuid(), nullable=False),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["user_sessions.tenant_id", "user_sessions.id"],
            name=op.f("impersonations_tenant_id_session_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("impersonations_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "session_id", name=op.f("impersonations_tenant_id_session_id_key")
        ),
    )
    for statement in enable_tenant_rls("impersonations"):
        op.execute(statement)


def _functions(name: str) -> str:
    return (Path(__file__).parents[1] / name).read_text()


def _finish_work_1() -> str:
    """The function as revision 0006 has it."""
    text = _functions("checkout_1.sql")
    start = text.index("CREATE FUNCTION finish_work")
    return text[start : text.index("END $$;", start) + len("END $$;")]


def upgrade() -> None:
    empty = sa.text("'{}'")
    for name in ("module_overrides", "limit_overrides"):
        op.add_column(
            "tenants", sa.Column(name, postgresql.JSONB(), server_default=empty, nullable=False)
        )
    op.add_column(
        "tenants",
        sa.Column(
            "first_access_test", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    op.add_column("audit_entries", sa.Column("impersonator_id", sa.Uuid(), nullable=True))
    op.add_column("audit_entries", sa.Column("impersonator_name", sa.Text(), nullable=True))
    op.execute(_functions("finish_work_2.sql"))
    _impersonations()


def downgrade() -> None:
    op.drop_table("impersonations")
    op.execute(_finish_work_1().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    for name in ("impersonator_name", "impersonator_id"):
        op.drop_column("audit_entries", name)
    for name in ("first_access_test", "limit_overrides", "module_overrides"):
        op.drop_column("tenants", name)
