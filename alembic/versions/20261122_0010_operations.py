"""An index by age for pruning the live stream."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "stream_events_created_at_idx", "stream_events", ["created_at"], postgresql_using="brin"
    )


def downgrade() -> None:
    op.drop_index("stream_events_created_at_idx", "stream_events")
