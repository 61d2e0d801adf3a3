"""Files of chats are found by those who may read chats, not by everybody who may read files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("seen_with", sa.Text()))
    op.execute(
        "UPDATE files f SET seen_with = 'conversations.messages:read' "
        "WHERE f.visibility = 'private' AND ("
        "EXISTS (SELECT FROM message_media m "
        "WHERE m.tenant_id = f.tenant_id AND m.stored_file_id = f.id) "
        "OR EXISTS (SELECT FROM message_uploads u "
        "WHERE u.tenant_id = f.tenant_id AND u.stored_file_id = f.id))"
    )


def downgrade() -> None:
    op.drop_column("files", "seen_with")
