"""The foundation: tenants, identity, machinery, and the first line of commerce."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import await_only

from app.core.ddl import CREATE_ROLE, GRANT_ROLE, SCOPE_FUNCTION, enable_tenant_rls

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "audit_entries",
    "stock_movements",
    "order_status_changes",
    "stream_events",
)
"""Rows that nobody may change afterwards, not even by mistake."""

TENANT_TABLES = (
    "categories",
    "connections",
    "contacts",
    "customer_addresses",
    "deliveries",
    "files",
    "group_members",
    "groups",
    "idempotency_records",
    "modifier_groups",
    "modifiers",
    "notifications",
    "order_counters",
    "order_items",
    "orders",
    "payments",
    "product_modifier_groups",
    "products",
    "promotion_redemptions",
    "promotions",
    "shipping_rules",
    "stock_levels",
    "store_products",
    "stores",
    "user_sessions",
    "users",
    "variants",
)


CLAIM_IDEMPOTENCY = """
CREATE FUNCTION claim_idempotency(wanted text)
RETURNS TABLE (fingerprint bytea, status bigint, media_type text, body bytea)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- Volatile: the second statement has a snapshot of its own, taken after the wait, so a twin
  -- sees what the first one committed.
  PERFORM pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text || ':' || wanted, 21));
  RETURN QUERY SELECT r.fingerprint, r.status, r.media_type, r.body
    FROM idempotency_records r WHERE r.key = wanted;
END $$
"""


def upgrade() -> None:
    for statement in (CREATE_ROLE, GRANT_ROLE, SCOPE_FUNCTION):
        op.execute(statement)

    op.create_table(
        "job_deliveries",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("entrypoint", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("job_deliveries_pkey")),
        sa.UniqueConstraint("job_id", name=op.f("job_deliveries_job_id_key")),
    )
    op.create_table(
        "postal_areas",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("postal_areas_pkey")),
        sa.UniqueConstraint("prefix", name=op.f("postal_areas_prefix_key")),
    )
    op.create_table(
        "tenants",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("subscription_status", sa.Text(), server_default="trialing", nullable=False),
        sa.Column(
            "modules", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "limits",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "hosts", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("timezone", sa.Text(), server_default="America/Sao_Paulo", nullable=False),
        sa.Column("currency", sa.Text(), server_default="BRL", nullable=False),
        sa.Column("locale", sa.Text(), server_default="pt-BR", nullable=False),
        sa.Column("is_super_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("slug ~ '^[a-z0-9](-?[a-z0-9])*$'", name=op.f("tenants_slug_check")),
        sa.CheckConstraint("status IN ('active', 'suspended')", name=op.f("tenants_status_check")),
        sa.CheckConstraint(
            "subscription_status IN ('trialing','active','past_due','canceled','unpaid')",
            name=op.f("tenants_subscription_status_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
        sa.UniqueConstraint("slug", name=op.f("tenants_slug_key")),
    )
    op.create_table(
        "audit_entries",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("audit_entries_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("audit_entries_pkey")),
    )
    op.create_index(
        "audit_entries_tenant_id_resource_id_idx",
        "audit_entries",
        ["tenant_id", "resource_id"],
        unique=False,
    )
    op.create_table(
        "categories",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("categories_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("categories_pkey")),
    )
    op.create_index(
        "categories_tenant_id_slug_key",
        "categories",
        ["tenant_id", "slug"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "connections",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column(
            "config",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("connections_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("connections_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "provider", name=op.f("connections_tenant_id_provider_key")
        ),
    )
    op.create_table(
        "contacts",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), server_default="storefront", nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("is_blocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "phone ~ '^\\+[1-9][0-9]{6,14}$'", name=op.f("contacts_phone_e164_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("contacts_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contacts_pkey")),
    )
    op.create_index(
        "contacts_tenant_id_external_ref_key",
        "contacts",
        ["tenant_id", "external_ref"],
        unique=True,
        postgresql_where=sa.text("external_ref IS NOT NULL"),
    )
    op.create_index("contacts_tenant_id_phone_key", "contacts", ["tenant_id", "phone"], unique=True)
    op.create_table(
        "files",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("original_name", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("files_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("files_pkey")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("files_tenant_id_key_key")),
    )
    op.create_table(
        "groups",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "grants", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("groups_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("groups_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("groups_tenant_id_name_key")),
    )
    op.create_table(
        "idempotency_records",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("idempotency_records_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("idempotency_records_pkey")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("idempotency_records_tenant_id_key_key")),
    )
    op.create_table(
        "modifier_groups",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("min_choices", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_choices", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("free_quantity", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("free_quantity >= 0", name=op.f("modifier_groups_free_quantity_check")),
        sa.CheckConstraint(
            "min_choices >= 0 AND max_choices >= min_choices",
            name=op.f("modifier_groups_choices_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("modifier_groups_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("modifier_groups_pkey")),
    )
    op.create_table(
        "notifications",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "channel IN ('whatsapp', 'telegram')", name=op.f("notifications_channel_check")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'sent', 'failed', 'unknown')",
            name=op.f("notifications_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("notifications_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("notifications_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "dedupe_key",
            "channel",
            name=op.f("notifications_tenant_id_dedupe_key_channel_key"),
        ),
    )
    op.create_table(
        "order_counters",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("order_counters_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("order_counters_pkey")),
        sa.UniqueConstraint("tenant_id", name=op.f("order_counters_tenant_id_key")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "promotions",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), server_default="all", nullable=False),
        sa.Column(
            "target_ids", sa.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("buy_quantity", sa.BigInteger(), nullable=True),
        sa.Column("get_quantity", sa.BigInteger(), nullable=True),
        sa.Column("min_subtotal_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_discount_cents", sa.BigInteger(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "weekdays", sa.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("hour_from", sa.Text(), nullable=True),
        sa.Column("hour_to", sa.Text(), nullable=True),
        sa.Column("usage_limit", sa.BigInteger(), nullable=True),
        sa.Column("used_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("per_customer_limit", sa.BigInteger(), nullable=True),
        sa.Column("budget_cents", sa.BigInteger(), nullable=True),
        sa.Column("spent_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("combinable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('percent', 'fixed', 'free_shipping', 'buy_x_get_y', 'first_order')",
            name=op.f("promotions_kind_check"),
        ),
        sa.CheckConstraint(
            "scope IN ('all', 'category', 'product', 'store')", name=op.f("promotions_scope_check")
        ),
        sa.CheckConstraint("code = upper(code)", name=op.f("promotions_code_upper_check")),
        sa.CheckConstraint(
            "spent_cents >= 0 AND spent_cents <= budget_cents", name=op.f("promotions_budget_check")
        ),
        sa.CheckConstraint(
            "used_count >= 0 AND used_count <= usage_limit",
            name=op.f("promotions_usage_limit_check"),
        ),
        sa.CheckConstraint("value >= 0", name=op.f("promotions_value_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("promotions_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("promotions_pkey")),
    )
    op.create_index(
        "promotions_tenant_id_code_key",
        "promotions",
        ["tenant_id", "code"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "stores",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("address", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "hours",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column(
            "exceptions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("delivery_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("pickup_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "preorder_enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("preorder_lead_minutes", sa.BigInteger(), server_default="60", nullable=False),
        sa.Column("preorder_slot_minutes", sa.BigInteger(), server_default="30", nullable=False),
        sa.Column("preorder_horizon_days", sa.BigInteger(), server_default="3", nullable=False),
        sa.Column("min_order_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("free_shipping_above_cents", sa.BigInteger(), nullable=True),
        sa.Column("preparation_minutes", sa.BigInteger(), server_default="30", nullable=False),
        sa.Column(
            "payment_methods",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{cash,card_on_delivery,pix}'"),
            nullable=False,
        ),
        sa.Column("logo_file_id", sa.Uuid(), nullable=True),
        sa.Column("banner_file_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("slug ~ '^[a-z0-9](-?[a-z0-9])*$'", name=op.f("stores_slug_check")),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("stores_latitude_check")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("stores_longitude_check")),
        sa.CheckConstraint("min_order_cents >= 0", name=op.f("stores_min_order_cents_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("stores_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("stores_pkey")),
        sa.UniqueConstraint("tenant_id", "slug", name=op.f("stores_tenant_id_slug_key")),
    )
    op.create_table(
        "stream_events",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("stream_events_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("stream_events_pkey")),
    )
    op.create_index(
        "stream_events_tenant_id_seq_idx", "stream_events", ["tenant_id", "seq"], unique=True
    )
    op.create_table(
        "users",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role IN ('owner', 'admin', 'manager', 'agent', 'viewer')",
            name=op.f("users_role_check"),
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("users_email_lower_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("users_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("users_pkey")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("users_tenant_id_email_key")),
    )
    op.create_table(
        "customer_addresses",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("postal_code", sa.Text(), nullable=False),
        sa.Column("address", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("customer_addresses_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("customer_addresses_pkey")),
    )
    op.create_index(
        "customer_addresses_tenant_id_contact_id_idx",
        "customer_addresses",
        ["tenant_id", "contact_id"],
        unique=False,
    )
    op.create_table(
        "group_members",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "group_id"],
            ["groups.tenant_id", "groups.id"],
            name=op.f("group_members_tenant_id_group_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("group_members_tenant_id_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("group_members_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "group_id",
            "user_id",
            name=op.f("group_members_tenant_id_group_id_user_id_key"),
        ),
    )
    op.create_table(
        "modifiers",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_quantity", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "price_cents >= 0 AND max_quantity >= 1", name=op.f("modifiers_amounts_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "group_id"],
            ["modifier_groups.tenant_id", "modifier_groups.id"],
            name=op.f("modifiers_tenant_id_group_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("modifiers_pkey")),
    )
    op.create_index(
        "modifiers_tenant_id_group_id_idx", "modifiers", ["tenant_id", "group_id"], unique=False
    )
    op.create_table(
        "orders",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("customer_phone", sa.Text(), nullable=True),
        sa.Column("fulfilment", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("promised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("subtotal_cents", sa.BigInteger(), nullable=False),
        sa.Column("discount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shipping_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shipping_discount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), server_default="BRL", nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), server_default="storefront", nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column(
            "placed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "fulfilment IN ('delivery', 'pickup')", name=op.f("orders_fulfilment_check")
        ),
        sa.CheckConstraint(
            "source IN ('storefront', 'whatsapp', 'admin', 'import')",
            name=op.f("orders_source_check"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'confirmed', 'preparing', 'ready', 'out_for_delivery', 'delivered', 'rejected', 'cancelled')",
            name=op.f("orders_status_check"),
        ),
        sa.CheckConstraint(
            "total_cents = subtotal_cents - discount_cents + shipping_cents - shipping_discount_cents AND total_cents >= 0",
            name=op.f("orders_total_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("orders_tenant_id_contact_id_fkey"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("orders_tenant_id_store_id_fkey"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("orders_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("orders_pkey")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("orders_tenant_id_number_key")),
    )
    op.create_index(
        "orders_tenant_id_contact_id_idx", "orders", ["tenant_id", "contact_id", "id"], unique=False
    )
    op.create_index(
        "orders_tenant_id_external_ref_key", "orders", ["tenant_id", "external_ref"], unique=True
    )
    op.create_index(
        "orders_tenant_id_status_id_idx", "orders", ["tenant_id", "status", "id"], unique=False
    )
    op.create_table(
        "products",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("compare_at_cents", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("for_delivery", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("for_pickup", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "dietary_tags",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "image_file_ids",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed(
                "lower(regexp_replace(NORMALIZE(((name || ' '::text) || COALESCE(sku, ''::text)), NFKD), '[\\u0300-\\u036f]'::text, ''::text, 'g'::text))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "compare_at_cents > price_cents", name=op.f("products_compare_at_cents_check")
        ),
        sa.CheckConstraint("price_cents >= 0", name=op.f("products_price_cents_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "category_id"],
            ["categories.tenant_id", "categories.id"],
            name=op.f("products_tenant_id_category_id_fkey"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("products_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("products_pkey")),
    )
    op.create_index(
        "products_tenant_id_category_id_idx",
        "products",
        ["tenant_id", "category_id", "position"],
        unique=False,
    )
    op.create_index(
        "products_tenant_id_external_ref_key",
        "products",
        ["tenant_id", "external_ref"],
        unique=True,
        postgresql_where=sa.text("external_ref IS NOT NULL"),
    )
    op.create_index(
        "products_tenant_id_slug_key",
        "products",
        ["tenant_id", "slug"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "shipping_rules",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("max_meters", sa.BigInteger(), nullable=True),
        sa.Column("cep_from", sa.Text(), nullable=True),
        sa.Column("cep_to", sa.Text(), nullable=True),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("fee_cents", sa.BigInteger(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind <> 'cep_range' OR (cep_from ~ '^[0-9]{8}$' AND cep_to ~ '^[0-9]{8}$' AND cep_from <= cep_to)",
            name=op.f("shipping_rules_cep_range_check"),
        ),
        sa.CheckConstraint(
            "kind <> 'distance' OR max_meters > 0", name=op.f("shipping_rules_distance_check")
        ),
        sa.CheckConstraint(
            "kind <> 'district' OR district IS NOT NULL", name=op.f("shipping_rules_district_check")
        ),
        sa.CheckConstraint(
            "kind IN ('distance', 'cep_range', 'district', 'flat')",
            name=op.f("shipping_rules_kind_check"),
        ),
        sa.CheckConstraint(
            "fee_cents >= 0 AND minutes >= 0", name=op.f("shipping_rules_amounts_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("shipping_rules_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("shipping_rules_pkey")),
    )
    op.create_index(
        "shipping_rules_tenant_id_store_id_idx",
        "shipping_rules",
        ["tenant_id", "store_id", "position"],
        unique=False,
    )
    op.create_table(
        "stock_levels",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("item_kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("low_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "item_kind IN ('product', 'variant', 'modifier')",
            name=op.f("stock_levels_item_kind_check"),
        ),
        sa.CheckConstraint("on_hand >= 0", name=op.f("stock_levels_on_hand_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("stock_levels_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("stock_levels_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "store_id",
            "item_id",
            name=op.f("stock_levels_tenant_id_store_id_item_id_key"),
        ),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "stock_movements",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("item_kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor_name", sa.Text(), server_default="storefront", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('sale', 'cancellation', 'receipt', 'adjustment', 'loss', 'transfer')",
            name=op.f("stock_movements_kind_check"),
        ),
        sa.CheckConstraint("quantity <> 0", name=op.f("stock_movements_quantity_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("stock_movements_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("stock_movements_pkey")),
    )
    op.create_index(
        "stock_movements_tenant_id_item_id_idx",
        "stock_movements",
        ["tenant_id", "item_id", "store_id"],
        unique=False,
    )
    op.create_index(
        "stock_movements_tenant_id_order_id_idx",
        "stock_movements",
        ["tenant_id", "order_id"],
        unique=False,
    )
    op.create_table(
        "user_sessions",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name=op.f("user_sessions_tenant_id_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("user_sessions_pkey")),
    )
    op.create_index(
        "user_sessions_tenant_id_user_id_idx",
        "user_sessions",
        ["tenant_id", "user_id"],
        unique=False,
    )
    op.create_table(
        "deliveries",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("postal_code", sa.Text(), nullable=False),
        sa.Column("address", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("distance_meters", sa.BigInteger(), nullable=True),
        sa.Column("fee_cents", sa.BigInteger(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("deliveries_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "order_id", name=op.f("deliveries_tenant_id_order_id_key")
        ),
    )
    op.create_table(
        "order_items",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("variant_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("variant_name", sa.Text(), nullable=True),
        sa.Column("unit_price_cents", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("discount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column(
            "modifiers",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("order_items_quantity_check")),
        sa.CheckConstraint(
            "total_cents = unit_price_cents * quantity - discount_cents AND total_cents >= 0",
            name=op.f("order_items_total_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("order_items_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("order_items_pkey")),
    )
    op.create_index(
        "order_items_tenant_id_order_id_idx", "order_items", ["tenant_id", "order_id"], unique=False
    )
    op.create_table(
        "order_status_changes",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("order_status_changes_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("order_status_changes_pkey")),
    )
    op.create_index(
        "order_status_changes_tenant_id_order_id_idx",
        "order_status_changes",
        ["tenant_id", "order_id"],
        unique=False,
    )
    op.create_table(
        "payments",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("change_for_cents", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "method IN ('cash', 'card_on_delivery', 'pix', 'stripe', 'other')",
            name=op.f("payments_method_check"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'authorised', 'paid', 'failed', 'refunded', 'cancelled')",
            name=op.f("payments_status_check"),
        ),
        sa.CheckConstraint("amount_cents >= 0", name=op.f("payments_amount_cents_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("payments_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("payments_pkey")),
    )
    op.create_index(
        "payments_tenant_id_order_id_idx", "payments", ["tenant_id", "order_id"], unique=False
    )
    op.create_table(
        "product_modifier_groups",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "group_id"],
            ["modifier_groups.tenant_id", "modifier_groups.id"],
            name=op.f("product_modifier_groups_tenant_id_group_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "product_id"],
            ["products.tenant_id", "products.id"],
            name=op.f("product_modifier_groups_tenant_id_product_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("product_modifier_groups_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "product_id",
            "group_id",
            name=op.f("product_modifier_groups_tenant_id_product_id_group_id_key"),
        ),
    )
    op.create_table(
        "promotion_redemptions",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("promotion_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("shipping_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "amount_cents >= 0 AND shipping_cents >= 0",
            name=op.f("promotion_redemptions_amounts_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("promotion_redemptions_tenant_id_contact_id_fkey"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("promotion_redemptions_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "promotion_id"],
            ["promotions.tenant_id", "promotions.id"],
            name=op.f("promotion_redemptions_tenant_id_promotion_id_fkey"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("promotion_redemptions_pkey")),
    )
    op.create_index(
        "promotion_redemptions_tenant_id_order_id_idx",
        "promotion_redemptions",
        ["tenant_id", "order_id"],
        unique=False,
    )
    op.create_index(
        "promotion_redemptions_tenant_id_promotion_id_contact_id_idx",
        "promotion_redemptions",
        ["tenant_id", "promotion_id", "contact_id"],
        unique=False,
    )
    op.create_table(
        "store_products",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("is_available", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("price_cents >= 0", name=op.f("store_products_price_cents_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "product_id"],
            ["products.tenant_id", "products.id"],
            name=op.f("store_products_tenant_id_product_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f("store_products_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("store_products_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "store_id",
            "product_id",
            name=op.f("store_products_tenant_id_store_id_product_id_key"),
        ),
    )
    op.create_table(
        "variants",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("price_cents >= 0", name=op.f("variants_price_cents_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "product_id"],
            ["products.tenant_id", "products.id"],
            name=op.f("variants_tenant_id_product_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("variants_pkey")),
    )
    op.create_index(
        "variants_tenant_id_product_id_idx", "variants", ["tenant_id", "product_id"], unique=False
    )

    for table in APPEND_ONLY:
        for statement in enable_tenant_rls(table, "SELECT, INSERT"):
            op.execute(statement)
    for table in TENANT_TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    op.execute("GRANT SELECT ON postal_areas TO app_tenant")
    op.execute(CLAIM_IDEMPOTENCY)
    _install_queue()


def _install_queue() -> None:
    """PgQueuer's tables; a tenant's transaction may enqueue and see nothing but its own row."""
    driver = op.get_bind().connection.driver_connection
    ddl = (Path(__file__).parents[1] / "pgqueuer_1_6.sql").read_text()
    # Many statements with a $$ body: only the driver's simple protocol takes them in one go.
    await_only(driver.execute(ddl))
    op.execute("GRANT INSERT ON pgqueuer, pgqueuer_log TO app_tenant")
    # What the enqueue statement returns and its ON CONFLICT reads; never the payload.
    op.execute(
        "GRANT SELECT (id, entrypoint, priority, dedupe_key, status) ON pgqueuer TO app_tenant"
    )
    op.execute("GRANT USAGE ON SEQUENCE pgqueuer_id_seq TO app_tenant")


def downgrade() -> None:
    raise RuntimeError("The foundation has nothing before it: drop the database instead.")
