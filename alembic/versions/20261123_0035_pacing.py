"""Pacing: when a queued message may be tried again, and whom a day's templates reached first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0032"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_OPENED = sa.text("opened_at IS NOT NULL")
_QUEUED = sa.text("status IN ('queued', 'sending')")
_INDEXES = {
    "messages_queue_idx": (["tenant_id", "conversation_id", "id"], _QUEUED),
    "messages_opened_idx": (["tenant_id", "number_id", "opened_at"], _OPENED),
    "messages_opened_contact_idx": (["tenant_id", "contact_id", "opened_at"], _OPENED),
}


def upgrade() -> None:
    for column in ("send_after", "opened_at"):
        op.add_column("messages", sa.Column(column, _INSTANT, nullable=True))
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "messages", columns, postgresql_where=where)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "messages")
    for column in ("send_after", "opened_at"):
        op.drop_column("messages", column)
