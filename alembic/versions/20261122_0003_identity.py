"""Refresh tokens: the chain of each session, hashed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["user_sessions.tenant_id", "user_sessions.id"],
            name=op.f("refresh_tokens_tenant_id_session_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("refresh_tokens_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("refresh_tokens_tenant_id_token_hash_key")
        ),
    )
    op.create_index(
        "refresh_tokens_tenant_id_session_id_idx", "refresh_tokens", ["tenant_id", "session_id"]
    )
    for statement in enable_tenant_rls("refresh_tokens"):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("refresh_tokens")
