"""Other prices where a product is delivered or picked up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0046"
branch_labels = None
depends_on = None

_TABLES = ("products", "variants", "store_products")
_COLUMNS = ("delivery_price_cents", "pickup_price_cents")


def upgrade() -> None:
    for table in _TABLES:
        for column in _COLUMNS:
            op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
        op.create_check_constraint(
            op.f(f"{table}_channel_prices_check"),
            table,
            " AND ".join(f"{column} >= 0" for column in _COLUMNS),
        )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_constraint(op.f(f"{table}_channel_prices_check"), table, type_="check")
        for column in _COLUMNS:
            op.drop_column(table, column)
