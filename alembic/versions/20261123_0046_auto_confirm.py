"""Stores may have their orders confirmed by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stores", sa.Column("auto_confirm_minutes", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("stores", "auto_confirm_minutes")
