"""Find what changes a message; let a Work take back a receipt that it gave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import TENANT_ROLE

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "messages_changes_idx",
        "messages",
        ["tenant_id", "number_id", "reply_to"],
        unique=False,
        postgresql_where=sa.text("kind IN ('reaction', 'edit', 'revoke')"),
    )
    op.execute(f"GRANT DELETE ON inbox_receipts TO {TENANT_ROLE}")


def downgrade() -> None:
    op.execute(f"REVOKE DELETE ON inbox_receipts FROM {TENANT_ROLE}")
    op.drop_index("messages_changes_idx", "messages")
