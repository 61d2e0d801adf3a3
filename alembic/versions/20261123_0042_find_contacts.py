"""Contacts are found by an index, whatever the planner thinks of a pattern.

Now and then it read all of them in parallel for a word that many share.
"""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

_FUNCTION = "FUNCTION find_contacts(text[], uuid, bigint)"


def upgrade() -> None:
    op.execute(f"ALTER {_FUNCTION} SET enable_seqscan = off")
    op.execute(f"ALTER {_FUNCTION} SET max_parallel_workers_per_gather = 0")


def downgrade() -> None:
    op.execute(f"ALTER {_FUNCTION} RESET enable_seqscan")
    op.execute(f"ALTER {_FUNCTION} RESET max_parallel_workers_per_gather")
