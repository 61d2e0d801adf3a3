"""Notices to a tenant's own people: the ledger, their choices and devices; the platform's keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (
    "notices",
    "notice_deliveries",
    "notice_preferences",
    "push_subscriptions",
    "telegram_links",
)
_INSTANT = sa.DateTime(timezone=True)


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=moment, nullable=False),
    ]


def _keys(table: str, column: str, target: str, *unique: str) -> list[sa.Constraint]:
    """Primary key, the owning row's reference, and what there is once."""
    return [
        sa.ForeignKeyConstraint(
            ["tenant_id", column],
            [f"{target}.tenant_id", f"{target}.id"],
            name=op.f(f"{table}_tenant_id_{column}_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{table}_pkey")),
        sa.UniqueConstraint(
            "tenant_id", *unique, name=op.f(f"{table}_tenant_id_{'_'.join(unique)}_key")
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "notices",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("is_listed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("read_at", _INSTANT, nullable=True),
        *_keys("notices", "user_id", "users", "event_id", "user_id"),
    )
    op.create_index("notices_tenant_id_user_id_id_idx", "notices", ["tenant_id", "user_id", "id"])
    op.create_index(
        "notices_unread_idx",
        "notices",
        ["tenant_id", "user_id"],
        postgresql_where=sa.text("read_at IS NULL AND is_listed"),
    )
    op.create_table(
        "notice_deliveries",
        *_tenant_columns(),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_at", _INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "channel IN ('push', 'telegram', 'email')", name=op.f("notice_deliveries_channel_check")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'sent', 'failed', 'unknown')",
            name=op.f("notice_deliveries_state_check"),
        ),
        *_keys("notice_deliveries", "notice_id", "notices", "notice_id", "channel", "target_id"),
    )
    op.create_table(
        "notice_preferences",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "channel IN ('in_app', 'push', 'telegram', 'email')",
            name=op.f("notice_preferences_channel_check"),
        ),
        *_keys("notice_preferences", "user_id", "users", "user_id", "kind", "channel"),
    )
    op.create_table(
        "push_subscriptions",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("last_sent_at", _INSTANT, nullable=True),
        *_keys("push_subscriptions", "user_id", "users", "endpoint_hash"),
    )
    op.create_index(
        "push_subscriptions_tenant_id_user_id_idx", "push_subscriptions", ["tenant_id", "user_id"]
    )
    op.create_table(
        "telegram_links",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=False),
        *_keys("telegram_links", "user_id", "users", "user_id"),
    )
    for table in TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    op.create_table(
        "platform_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("platform_keys_pkey")),
        sa.UniqueConstraint("name", name=op.f("platform_keys_name_key")),
    )


def downgrade() -> None:
    op.drop_table("platform_keys")
    for table in reversed(TABLES):
        op.drop_table(table)
