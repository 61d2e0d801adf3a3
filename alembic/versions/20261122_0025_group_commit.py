"""Several checkouts in one statement, each under its own tenant's scope."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

revision = "0025"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    functions = (Path(__file__).parents[1] / "checkout_3.sql").read_text()
    # Many statements with $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))


def downgrade() -> None:
    # place_order stays as it is: the older caller reads nothing of what was added to it.
    op.execute("DROP FUNCTION place_orders")
