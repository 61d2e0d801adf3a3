"""WhatsApp numbers, templates, conversations and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0026"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = (
    "canned_replies",
    "conversation_notes",
    "conversations",
    "message_attempts",
    "message_media",
    "message_templates",
    "messages",
    "whatsapp_numbers",
)


_INSTANT = sa.DateTime(timezone=True)


def _tenant_row() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "message_templates",
        *_tenant_row(),
        sa.Column("waba_id", sa.Text(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("parameter_format", sa.Text(), server_default="positional", nullable=False),
        sa.Column("components", postgresql.JSONB(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("quality", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("synced_at", _INSTANT, nullable=True),
        sa.Column("deleted_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "category = ANY ('{marketing,utility,authentication}'::text[])",
            name=op.f("message_templates_category_check"),
        ),
        sa.CheckConstraint(
            "parameter_format = ANY ('{positional,named}'::text[])",
            name=op.f("message_templates_parameter_format_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("message_templates_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_templates_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "waba_id",
            "name",
            "language",
            name=op.f("message_templates_tenant_id_waba_id_name_language_key"),
        ),
    )
    op.create_table(
        "whatsapp_routes",
        sa.Column("phone_number_id", sa.Text(), nullable=False),
        sa.Column("waba_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["tenants.id"],
            name=op.f("whatsapp_routes_owner_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("whatsapp_routes_pkey")),
        sa.UniqueConstraint("phone_number_id", name=op.f("whatsapp_routes_phone_number_id_key")),
    )
    op.create_index(
        op.f("whatsapp_routes_owner_id_idx"), "whatsapp_routes", ["owner_id"], unique=False
    )
    op.create_index(
        op.f("whatsapp_routes_waba_id_idx"), "whatsapp_routes", ["waba_id"], unique=False
    )
    op.create_table(
        "canned_replies",
        *_tenant_row(),
        sa.Column("shortcut", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("department_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "department_id"],
            ["departments.tenant_id", "departments.id"],
            name=op.f("canned_replies_tenant_id_department_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("canned_replies_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("canned_replies_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "shortcut", name=op.f("canned_replies_tenant_id_shortcut_key")
        ),
    )
    op.create_table(
        "whatsapp_numbers",
        *_tenant_row(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("waba_id", sa.Text(), nullable=False),
        sa.Column("phone_number_id", sa.Text(), nullable=False),
        sa.Column("display_phone", sa.Text(), nullable=False),
        sa.Column("verified_name", sa.Text(), nullable=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("app_secret", sa.Text(), nullable=False),
        sa.Column("app_secret_previous", sa.Text(), nullable=True),
        sa.Column("verify_token", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("quality", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("status", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("messaging_limit", sa.BigInteger(), nullable=True),
        sa.Column("per_second", sa.BigInteger(), server_default="80", nullable=False),
        sa.Column("is_coexistent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("default_bot_id", sa.Uuid(), nullable=True),
        sa.Column("department_id", sa.Uuid(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("campaigns_stopped_at", _INSTANT, nullable=True),
        sa.Column("campaigns_stopped_why", sa.Text(), nullable=True),
        sa.Column("last_webhook_at", _INSTANT, nullable=True),
        sa.Column("checked_at", _INSTANT, nullable=True),
        sa.Column("check_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "quality = ANY ('{green,yellow,red,unknown}'::text[])",
            name=op.f("whatsapp_numbers_quality_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "department_id"],
            ["departments.tenant_id", "departments.id"],
            name=op.f("whatsapp_numbers_tenant_id_department_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("whatsapp_numbers_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("whatsapp_numbers_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "phone_number_id",
            name=op.f("whatsapp_numbers_tenant_id_phone_number_id_key"),
        ),
    )
    op.create_index(
        "whatsapp_numbers_tenant_id_waba_id_idx",
        "whatsapp_numbers",
        ["tenant_id", "waba_id"],
        unique=False,
    )
    op.create_table(
        "conversations",
        *_tenant_row(),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("number_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("priority", sa.Text(), server_default="medium", nullable=False),
        sa.Column("department_id", sa.Uuid(), nullable=True),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("assigned_at", _INSTANT, nullable=True),
        sa.Column("labels", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("unread_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_message_at", _INSTANT, nullable=True),
        sa.Column("last_message_text", sa.Text(), nullable=True),
        sa.Column("last_inbound_at", _INSTANT, nullable=True),
        sa.Column("waiting_since", _INSTANT, nullable=True),
        sa.Column("first_reply_at", _INSTANT, nullable=True),
        sa.Column("first_reply_due_at", _INSTANT, nullable=True),
        sa.Column("resolution_due_at", _INSTANT, nullable=True),
        sa.Column("snoozed_until", _INSTANT, nullable=True),
        sa.Column("bot_paused_at", _INSTANT, nullable=True),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "priority = ANY ('{low,medium,high,urgent}'::text[])",
            name=op.f("conversations_priority_check"),
        ),
        sa.CheckConstraint(
            "status = ANY ('{open,pending,closed,archived}'::text[])",
            name=op.f("conversations_status_check"),
        ),
        sa.CheckConstraint("unread_count >= 0", name=op.f("conversations_unread_count_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assignee_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("conversations_tenant_id_assignee_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("conversations_tenant_id_contact_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "department_id"],
            ["departments.tenant_id", "departments.id"],
            name=op.f("conversations_tenant_id_department_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "number_id"],
            ["whatsapp_numbers.tenant_id", "whatsapp_numbers.id"],
            name=op.f("conversations_tenant_id_number_id_fkey"),
            initially="IMMEDIATE",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("conversations_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("conversations_pkey")),
    )
    op.create_index(
        "conversations_live_key",
        "conversations",
        ["tenant_id", "contact_id", "number_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('open', 'pending')"),
    )
    op.create_index(
        "conversations_tenant_id_assignee_id_idx",
        "conversations",
        ["tenant_id", "assignee_id", "status", "last_message_at", "id"],
        unique=False,
    )
    op.create_index(
        "conversations_tenant_id_contact_id_idx",
        "conversations",
        ["tenant_id", "contact_id", "id"],
        unique=False,
    )
    op.create_index(
        "conversations_tenant_id_status_idx",
        "conversations",
        ["tenant_id", "status", "last_message_at", "id"],
        unique=False,
    )
    op.create_table(
        "message_statuses",
        *_tenant_row(),
        sa.Column("number_id", sa.Uuid(), nullable=False),
        sa.Column("wamid", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("provider_at", _INSTANT, nullable=False),
        sa.Column("facts", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "number_id"],
            ["whatsapp_numbers.tenant_id", "whatsapp_numbers.id"],
            name=op.f("message_statuses_tenant_id_number_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_statuses_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "number_id",
            "wamid",
            "status",
            "provider_at",
            name=op.f("message_statuses_tenant_id_number_id_wamid_status_provider_at_key"),
        ),
    )
    op.create_table(
        "conversation_notes",
        *_tenant_row(),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("mentions", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("conversation_notes_tenant_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("conversation_notes_pkey")),
    )
    op.create_index(
        "conversation_notes_tenant_id_conversation_id_idx",
        "conversation_notes",
        ["tenant_id", "conversation_id"],
        unique=False,
    )
    op.create_table(
        "messages",
        *_tenant_row(),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("number_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("content", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("wamid", sa.Text(), nullable=True),
        sa.Column("reply_to", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("provider_at", _INSTANT, nullable=False),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("delivered_at", _INSTANT, nullable=True),
        sa.Column("read_at", _INSTANT, nullable=True),
        sa.Column("played_at", _INSTANT, nullable=True),
        sa.Column("failed_at", _INSTANT, nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("edited_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.Column("reactions", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint(
            "author = ANY ('{contact,user,bot,campaign,system,phone_app}'::text[])",
            name=op.f("messages_author_check"),
        ),
        sa.CheckConstraint(
            "direction = ANY ('{in,out}'::text[])", name=op.f("messages_direction_check")
        ),
        sa.CheckConstraint(
            "status = ANY ('{received,queued,sending,accepted,sent,delivered,read,played,failed,unknown,cancelled}'::text[])",
            name=op.f("messages_status_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("messages_tenant_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("messages_pkey")),
    )
    op.create_index(
        "messages_number_id_wamid_key",
        "messages",
        ["tenant_id", "number_id", "wamid"],
        unique=True,
        postgresql_where=sa.text("wamid IS NOT NULL"),
    )
    op.create_index(
        "messages_tenant_id_conversation_id_idx",
        "messages",
        ["tenant_id", "conversation_id", "provider_at", "id"],
        unique=False,
    )
    op.create_index(
        "messages_unsettled_idx",
        "messages",
        ["tenant_id", "status", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'sending', 'unknown')"),
    )
    op.create_table(
        "message_attempts",
        *_tenant_row(),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default="sending", nullable=False),
        sa.Column("wamid", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "state = ANY ('{sending,accepted,refused,unavailable,unknown}'::text[])",
            name=op.f("message_attempts_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["messages.tenant_id", "messages.id"],
            name=op.f("message_attempts_tenant_id_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_attempts_pkey")),
    )
    op.create_index(
        "message_attempts_tenant_id_message_id_idx",
        "message_attempts",
        ["tenant_id", "message_id"],
        unique=False,
    )
    op.create_table(
        "message_media",
        *_tenant_row(),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_media_id", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("original_name", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("stored_file_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "state = ANY ('{pending,stored,failed,expired}'::text[])",
            name=op.f("message_media_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"],
            ["messages.tenant_id", "messages.id"],
            name=op.f("message_media_tenant_id_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_media_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "message_id", name=op.f("message_media_tenant_id_message_id_key")
        ),
    )
    op.create_index(
        "message_media_pending_idx",
        "message_media",
        ["tenant_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    for table in TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    for statement in enable_tenant_rls("message_statuses", "SELECT, INSERT"):
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "message_media",
        "message_attempts",
        "messages",
        "conversation_notes",
        "message_statuses",
        "conversations",
        "whatsapp_numbers",
        "canned_replies",
        "whatsapp_routes",
        "message_templates",
    ):
        op.drop_table(table)
