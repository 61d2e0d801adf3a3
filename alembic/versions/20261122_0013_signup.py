"""Letters, password resets and invitations; when a trial ends and how far the onboarding is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=moment, nullable=False),
    ]


def upgrade() -> None:
    op.add_column("tenants", sa.Column("trial_ends_at", INSTANT, nullable=True))
    op.add_column("tenants", sa.Column("onboarding_completed_at", INSTANT, nullable=True))
    op.add_column(
        "tenants",
        sa.Column("onboarding", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_index("users_email_idx", "users", ["email"])
    _letters()
    _password_resets()
    _invitations()
    for table in ("letters", "password_resets", "invitations"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def _letters() -> None:
    op.create_table(
        "letters",
        *_tenant_columns(),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'sent', 'failed', 'unknown')",
            name=op.f("letters_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("letters_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("letters_pkey")),
        sa.UniqueConstraint("tenant_id", "reference", name=op.f("letters_tenant_id_reference_key")),
    )


def _password_resets() -> None:
    op.create_table(
        "password_resets",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("password_resets_tenant_id_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("password_resets_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("password_resets_tenant_id_token_hash_key")
        ),
    )
    op.create_index(
        "password_resets_tenant_id_user_id_idx", "password_resets", ["tenant_id", "user_id"]
    )


def _invitations() -> None:
    op.create_table(
        "invitations",
        *_tenant_columns(),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "role IN ('owner', 'admin', 'manager', 'agent', 'viewer')",
            name=op.f("invitations_role_check"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'accepted', 'revoked')", name=op.f("invitations_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("invitations_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("invitations_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "token_hash", name=op.f("invitations_tenant_id_token_hash_key")
        ),
    )
    op.create_index(
        "invitations_pending_idx",
        "invitations",
        ["tenant_id", "email"],
        unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    for table in ("invitations", "password_resets", "letters"):
        op.drop_table(table)
    op.drop_index("users_email_idx", "users")
    for column in ("onboarding", "onboarding_completed_at", "trial_ends_at"):
        op.drop_column("tenants", column)
