"""Several connections per provider with their state, and consents under way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INSTANTS = ("checked_at", "token_expires_at", "refresh_until")
_TEXTS = ("status_reason", "account_id", "account_name")


def upgrade() -> None:
    for name in ("purpose", "name"):
        op.add_column("connections", sa.Column(name, sa.Text(), nullable=True))
    op.execute("UPDATE connections SET purpose = provider, name = provider")
    for name in ("purpose", "name"):
        op.alter_column("connections", name, nullable=False)
    op.add_column(
        "connections",
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute("UPDATE connections SET is_default = true")
    op.add_column(
        "connections", sa.Column("status", sa.Text(), server_default="active", nullable=False)
    )
    op.create_check_constraint(
        op.f("connections_status_check"), "connections", "status IN ('active', 'expired', 'error')"
    )
    for name in _INSTANTS:
        op.add_column("connections", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in _TEXTS:
        op.add_column("connections", sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        "connections",
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.drop_constraint("connections_tenant_id_provider_key", "connections")
    op.create_unique_constraint(
        op.f("connections_tenant_id_provider_name_key"),
        "connections",
        ["tenant_id", "provider", "name"],
    )
    op.create_index(
        "connections_tenant_id_purpose_idx",
        "connections",
        ["tenant_id", "purpose"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    _create_states()


def _create_states() -> None:
    op.create_table(
        "oauth_states",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("return_to", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["user_sessions.tenant_id", "user_sessions.id"],
            name=op.f("oauth_states_tenant_id_session_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("oauth_states_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "state_hash", name=op.f("oauth_states_tenant_id_state_hash_key")
        ),
    )
    op.create_index(
        "oauth_states_tenant_id_session_id_idx", "oauth_states", ["tenant_id", "session_id"]
    )
    for statement in enable_tenant_rls("oauth_states"):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("oauth_states")
    op.drop_index("connections_tenant_id_purpose_idx", "connections")
    # One connection per provider is all that the revision before can hold.
    op.execute(
        "DELETE FROM connections c USING connections o WHERE o.tenant_id = c.tenant_id "
        "AND o.provider = c.provider AND o.id < c.id"
    )
    op.drop_constraint("connections_tenant_id_provider_name_key", "connections")
    op.create_unique_constraint(
        "connections_tenant_id_provider_key", "connections", ["tenant_id", "provider"]
    )
    for name in ("purpose", "name", "is_default", "status", "scopes", *_INSTANTS, *_TEXTS):
        op.drop_column("connections", name)
