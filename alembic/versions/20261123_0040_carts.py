"""A cart becomes one order at most: the belt beside the key of a checkout."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.util import await_only

revision = "0040"
down_revision = "0034"
branch_labels = None
depends_on = None

_KEY = "orders_tenant_id_cart_id_key"


def upgrade() -> None:
    op.add_column("orders", sa.Column("cart_id", sa.Uuid()))
    op.create_index(
        _KEY,
        "orders",
        ["tenant_id", "cart_id"],
        unique=True,
        postgresql_where=sa.text("cart_id IS NOT NULL"),
    )
    functions = (Path(__file__).parents[1] / "checkout_4.sql").read_text()
    # Many statements with $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))


def downgrade() -> None:
    """The column goes; the functions of 0025 come back with ``checkout_3.sql``."""
    before = (Path(__file__).parents[1] / "checkout_3.sql").read_text()
    functions = before[: before.index("-- Each order under the scope")]
    driver = op.get_bind().connection.driver_connection
    await_only(driver.execute("DROP FUNCTION write_order(jsonb);" + functions))
    op.drop_index(_KEY, "orders")
    op.drop_column("orders", "cart_id")
