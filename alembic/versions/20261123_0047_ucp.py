"""Checkouts of software agents (UCP), and orders that come from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0047"
down_revision = "0052"
branch_labels = None
depends_on = None

_SOURCE = "orders_source_check"


def _row(*columns: sa.Column[object]) -> tuple[sa.Column[object], ...]:
    return (
        *columns,
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
    )


def _sources(*names: str) -> None:
    # Not validated under the lock that adding takes: old orders are read afterwards.
    op.drop_constraint(op.f(_SOURCE), "orders", type_="check")
    among = f"source = ANY ('{{{','.join(names)}}}'::text[])"
    op.execute(f"ALTER TABLE orders ADD CONSTRAINT {_SOURCE} CHECK ({among}) NOT VALID")
    op.execute(f"ALTER TABLE orders VALIDATE CONSTRAINT {_SOURCE}")


def upgrade() -> None:
    op.create_table(
        "ucp_settings",
        *_row(
            sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
            sa.Column("store_id", sa.Uuid(), nullable=False),
            sa.Column("storefront_url", sa.Text(), nullable=False),
            sa.Column("terms_url", sa.Text()),
            sa.Column("privacy_url", sa.Text()),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("ucp_settings_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("ucp_settings_pkey")),
        sa.UniqueConstraint("tenant_id", name=op.f("ucp_settings_tenant_id_key")),
    )
    op.create_table(
        "ucp_sessions",
        *_row(
            sa.Column("platform", sa.Text(), nullable=False),
            sa.Column("state", sa.Text(), server_default="open", nullable=False),
            sa.Column("asked", postgresql.JSONB(), nullable=False),
            sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
            sa.Column("told_cents", sa.BigInteger()),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("order_id", sa.Uuid()),
            sa.Column("answer", postgresql.JSONB()),
        ),
        sa.CheckConstraint(
            "state = ANY ('{open,completed,canceled}'::text[])",
            name=op.f("ucp_sessions_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("ucp_sessions_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("ucp_sessions_pkey")),
    )
    for table in ("ucp_settings", "ucp_sessions"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    _sources("storefront", "whatsapp", "agent", "admin", "import")


def downgrade() -> None:
    op.execute("UPDATE orders SET source = 'storefront' WHERE source = 'agent'")
    _sources("storefront", "whatsapp", "admin", "import")
    op.drop_table("ucp_sessions")
    op.drop_table("ucp_settings")
