"""Points of sale that take orders by Open Delivery: credentials, tokens, acknowledgments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("issued_for", sa.Uuid(), nullable=True))
    op.create_index(
        "api_keys_tenant_id_issued_for_idx",
        "api_keys",
        ["tenant_id", "issued_for"],
        postgresql_where=sa.text("issued_for IS NOT NULL"),
    )
    op.create_table(
        "open_delivery_credentials",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("store_ids", sa.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column(
            "events_from",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "created_by"],
            ["users.tenant_id", "users.id"],
            name=op.f("open_delivery_credentials_tenant_id_created_by_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("open_delivery_credentials_pkey")),
    )
    op.create_table(
        "open_delivery_acks",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "credential_id"],
            ["open_delivery_credentials.tenant_id", "open_delivery_credentials.id"],
            name=op.f("open_delivery_acks_tenant_id_credential_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("open_delivery_acks_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "credential_id",
            "event_id",
            name=op.f("open_delivery_acks_tenant_id_credential_id_event_id_key"),
        ),
    )
    for table in ("open_delivery_credentials", "open_delivery_acks"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("open_delivery_acks")
    op.drop_table("open_delivery_credentials")
    op.drop_index("api_keys_tenant_id_issued_for_idx", table_name="api_keys")
    op.execute("DELETE FROM api_keys WHERE issued_for IS NOT NULL")
    op.drop_column("api_keys", "issued_for")
