"""Contacts in full: identities, tags, consent, segments, merges that can be undone."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import await_only

from app.core.ddl import enable_tenant_rls

revision = "0020"
down_revision = "0023"
branch_labels = None
depends_on = None


GROWING = ("consent_entries",)
TABLES = (
    "contact_attributes", "score_rules", "segments", "tags", "contact_identities",
    "contact_merges", "contact_notes", "contact_tags", "customer_moves",
)  # fmt: skip


def upgrade() -> None:
    for extension in ("pg_trgm", "btree_gin"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.create_table(
        "contact_attributes",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "choices", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('text', 'number', 'boolean', 'date', 'choice')",
            name=op.f("contact_attributes_kind_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("contact_attributes_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contact_attributes_pkey")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("contact_attributes_tenant_id_key_key")),
    )
    op.create_table(
        "score_rules",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("score_rules_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("score_rules_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("score_rules_tenant_id_name_key")),
    )
    op.create_table(
        "segments",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("segments_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("segments_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("segments_tenant_id_name_key")),
    )
    op.create_table(
        "tags",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("tags_tenant_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("tags_pkey")),
        sa.UniqueConstraint("tenant_id", "folded", name=op.f("tags_tenant_id_folded_key")),
    )
    op.create_table(
        "consent_entries",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("is_opt_in", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "category IN ('marketing', 'utility', 'authentication', 'service', 'all')",
            name=op.f("consent_entries_category_check"),
        ),
        sa.CheckConstraint(
            "channel IN ('whatsapp', 'email', 'sms', 'phone', 'telegram')",
            name=op.f("consent_entries_channel_check"),
        ),
        sa.CheckConstraint(
            "source IN ('stop_word', 'start_word', 'button', 'provider_preference', 'provider_error', 'form', 'checkout', 'import', 'staff', 'api')",
            name=op.f("consent_entries_source_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("consent_entries_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("consent_entries_pkey")),
    )
    op.create_index(
        "consent_entries_tenant_id_contact_id_idx",
        "consent_entries",
        ["tenant_id", "contact_id", "decided_at"],
        unique=False,
    )
    op.create_table(
        "contact_identities",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('wa_id', 'bsuid', 'email')", name=op.f("contact_identities_kind_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("contact_identities_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contact_identities_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "kind", "value", name=op.f("contact_identities_tenant_id_kind_value_key")
        ),
    )
    op.create_index(
        "contact_identities_tenant_id_contact_id_idx",
        "contact_identities",
        ["tenant_id", "contact_id"],
        unique=False,
    )
    op.create_table(
        "contact_merges",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("filled", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("was_blocked", sa.Boolean(), nullable=False),
        sa.Column(
            "tag_ids", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "identity_ids",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "double_ids",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("contact_merges_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "merged_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("contact_merges_tenant_id_merged_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contact_merges_pkey")),
    )
    op.create_index(
        "contact_merges_tenant_id_merged_id_idx", "contact_merges", ["tenant_id", "merged_id"]
    )
    op.create_index(
        "contact_merges_tenant_id_contact_id_idx",
        "contact_merges",
        ["tenant_id", "contact_id", "id"],
        unique=False,
    )
    op.create_table(
        "contact_notes",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("contact_notes_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contact_notes_pkey")),
    )
    op.create_index(
        "contact_notes_tenant_id_contact_id_idx",
        "contact_notes",
        ["tenant_id", "contact_id", "id"],
        unique=False,
    )
    op.create_table(
        "contact_tags",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("tag_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "contact_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("contact_tags_tenant_id_contact_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "tag_id"],
            ["tags.tenant_id", "tags.id"],
            name=op.f("contact_tags_tenant_id_tag_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("contact_tags_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "contact_id",
            "tag_id",
            name=op.f("contact_tags_tenant_id_contact_id_tag_id_key"),
        ),
    )
    op.create_index(
        "contact_tags_tenant_id_tag_id_idx", "contact_tags", ["tenant_id", "tag_id"], unique=False
    )
    op.create_table(
        "customer_moves",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('order', 'address', 'redemption')", name=op.f("customer_moves_kind_check")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "merged_id"],
            ["contacts.tenant_id", "contacts.id"],
            name=op.f("customer_moves_tenant_id_merged_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("customer_moves_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "merged_id",
            "kind",
            "row_id",
            name=op.f("customer_moves_tenant_id_merged_id_kind_row_id_key"),
        ),
    )
    op.add_column("contacts", sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("contacts", sa.Column("company", sa.Text(), nullable=True))
    op.add_column("contacts", sa.Column("language", sa.Text(), nullable=True))
    op.add_column("contacts", sa.Column("birth_date", sa.Date(), nullable=True))
    op.add_column("contacts", sa.Column("stage", sa.Text(), nullable=True))
    op.add_column("contacts", sa.Column("stage_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("contacts", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.add_column(
        "contacts",
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "contacts", sa.Column("score", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column(
        "contacts",
        sa.Column("score_adjustment", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column("contacts", sa.Column("merged_into_id", sa.Uuid(), nullable=True))
    op.add_column(
        "contacts",
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed(
                "lower(regexp_replace(NORMALIZE(((((name || ' '::text) || COALESCE(email, ''::text)) || ' '::text) || COALESCE(phone, ''::text)), NFKD), '[\\u0300-\\u036f]'::text, ''::text, 'g'::text))",
                persisted=True,
            ),
            nullable=False,
        ),
    )
    op.create_index(
        "contacts_search_idx",
        "contacts",
        ["tenant_id", "search_text"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
    op.create_index(
        "contacts_tenant_id_merged_into_id_idx",
        "contacts",
        ["tenant_id", "merged_into_id"],
        unique=False,
        postgresql_where=sa.text("merged_into_id IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("contacts_tenant_id_owner_id_fkey"),
        "contacts",
        "users",
        ["tenant_id", "owner_id"],
        ["tenant_id", "id"],
        initially="IMMEDIATE",
        deferrable=True,
    )
    for name, condition in (
        (
            "stage",
            "stage IN ('subscriber', 'lead', 'qualified', 'customer', 'evangelist', 'churned')",
        ),
        ("merged_into_id", "merged_into_id <> id"),
    ):
        op.create_check_constraint(op.f(f"contacts_{name}_check"), "contacts", condition)
    for table in TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    for table in GROWING:
        for statement in enable_tenant_rls(table, "SELECT, INSERT"):
            op.execute(statement)
    functions = (Path(__file__).parents[1] / "contacts_1.sql").read_text()
    # Many statements with $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))


def downgrade() -> None:
    op.execute("DROP TRIGGER settle_merged ON contacts")
    op.execute("DROP FUNCTION settle_merged")
    op.execute("DROP FUNCTION find_contacts")
    for column in (
        "search_text", "merged_into_id", "score_adjustment", "score", "attributes", "owner_id",
        "stage_at", "stage", "birth_date", "language", "company", "last_seen_at",
    ):  # fmt: skip
        op.drop_column("contacts", column)
    for table in (
        "customer_moves", "contact_tags", "contact_notes", "contact_merges", "contact_identities",
        "consent_entries", "tags", "segments", "score_rules", "contact_attributes",
    ):  # fmt: skip
        op.drop_table(table)
