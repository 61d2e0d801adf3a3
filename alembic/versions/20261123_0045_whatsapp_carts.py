"""Carts filled in a chat: what was offered, and the order that each became."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0045"
down_revision = "0042"
branch_labels = None
depends_on = None

_TABLE = "whatsapp_carts"
_STATES = "('{offered,ordered,dropped,refused}'::text[])"


def upgrade() -> None:
    op.add_column("whatsapp_numbers", sa.Column("cart_store", sa.Text()))
    op.create_table(
        _TABLE,
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("offered", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("order_id", sa.Uuid()),
        sa.Column("order_number", sa.BigInteger()),
        sa.Column("has_details", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("answers", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
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
        sa.CheckConstraint(f"state = ANY {_STATES}", name=op.f("whatsapp_carts_state_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "id"],
            ["messages.tenant_id", "messages.id"],
            name=op.f("whatsapp_carts_tenant_id_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("whatsapp_carts_pkey")),
    )
    op.create_index(
        "whatsapp_carts_tenant_id_order_id_idx",
        _TABLE,
        ["tenant_id", "order_id"],
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    for statement in enable_tenant_rls(_TABLE):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table(_TABLE)
    op.drop_column("whatsapp_numbers", "cart_store")
