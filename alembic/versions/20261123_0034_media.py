"""Media of conversations: why one did not come, uploads to send, runs of the clean-up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_TABLES = ("message_uploads", "message_upload_copies", "media_cleanups")
_INSTANT = sa.DateTime(timezone=True)


def _tenant_row() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
    ]


def _uploads() -> None:
    op.create_table(
        "message_uploads",
        *_tenant_row(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stored_file_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("original_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "kind = ANY ('{image,video,audio,document,sticker}'::text[])",
            name=op.f("message_uploads_kind_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("message_uploads_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_uploads_pkey")),
    )
    op.create_table(
        "message_upload_copies",
        *_tenant_row(),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_media_id", sa.Text(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "upload_id"],
            ["message_uploads.tenant_id", "message_uploads.id"],
            name=op.f("message_upload_copies_tenant_id_upload_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "number_id"],
            ["whatsapp_numbers.tenant_id", "whatsapp_numbers.id"],
            name=op.f("message_upload_copies_tenant_id_number_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("message_upload_copies_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "upload_id",
            "number_id",
            name=op.f("message_upload_copies_tenant_id_upload_id_number_id_key"),
        ),
    )
    op.create_index(
        "message_upload_copies_tenant_id_number_id_idx",
        "message_upload_copies",
        ["tenant_id", "number_id"],
    )


def _media(states: str) -> None:
    op.drop_constraint(op.f("message_media_state_check"), "message_media", type_="check")
    op.create_check_constraint(
        op.f("message_media_state_check"), "message_media", f"state = ANY ('{{{states}}}'::text[])"
    )


def upgrade() -> None:
    _uploads()
    op.create_table(
        "media_cleanups",
        *_tenant_row(),
        sa.Column("is_dry_run", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("media_cleanups_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("media_cleanups_pkey")),
    )
    for table in _TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    _media("pending,ready,failed,too_large,expired,invalid")
    # An instant long ago: what waits since before has no job, and the clean-up queues it.
    op.add_column(
        "message_media",
        sa.Column("tried_at", _INSTANT, server_default=sa.text("'epoch'"), nullable=False),
    )
    op.alter_column("message_media", "tried_at", server_default=sa.text("now()"))
    op.add_column("message_media", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("message_media", sa.Column("upload_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("message_media_tenant_id_upload_id_fkey"),
        "message_media",
        "message_uploads",
        ["tenant_id", "upload_id"],
        ["tenant_id", "id"],
        deferrable=True,
        initially="IMMEDIATE",
    )
    op.create_index(
        "message_media_tenant_id_upload_id_idx", "message_media", ["tenant_id", "upload_id"]
    )


def downgrade() -> None:
    op.execute("UPDATE message_media SET state = 'failed' WHERE state IN ('too_large', 'invalid')")
    op.execute("UPDATE message_media SET state = 'pending' WHERE state = 'ready'")
    op.drop_index("message_media_tenant_id_upload_id_idx", "message_media")
    op.drop_constraint("message_media_tenant_id_upload_id_fkey", "message_media")
    for column in ("upload_id", "reason", "tried_at"):
        op.drop_column("message_media", column)
    _media("pending,stored,failed,expired")
    for table in reversed(_TABLES):
        op.drop_table(table)
