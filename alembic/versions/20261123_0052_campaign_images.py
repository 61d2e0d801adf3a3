"""Campaigns may have an image."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promotions", sa.Column("image_file_id", sa.Uuid()))


def downgrade() -> None:
    op.drop_column("promotions", "image_file_id")
