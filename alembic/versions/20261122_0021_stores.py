"""Pre-order slots with room for so many orders; pauses, busy kitchens; answers of maps providers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0021"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = ("preorder_slots", "slot_claims", "map_answers")
_INSTANT = sa.DateTime(timezone=True)
_COLUMNS = (
    sa.Column("preorder_capacity", sa.BigInteger(), nullable=True),
    sa.Column("preorder_delivery_capacity", sa.BigInteger(), nullable=True),
    sa.Column("preorder_pickup_capacity", sa.BigInteger(), nullable=True),
    sa.Column("cutoff_minutes", sa.BigInteger(), server_default="0", nullable=False),
    sa.Column("paused_until", _INSTANT, nullable=True),
    sa.Column("pause_reason", sa.Text(), nullable=True),
    sa.Column("busy_minutes", sa.BigInteger(), server_default="0", nullable=False),
    sa.Column("distance_source", sa.Text(), server_default="straight", nullable=False),
    sa.Column("delivery_payment_methods", sa.ARRAY(sa.Text()), nullable=True),
    sa.Column("pickup_payment_methods", sa.ARRAY(sa.Text()), nullable=True),
)
_CHECKS = {
    "capacity": "preorder_capacity > 0 AND preorder_delivery_capacity > 0"
    " AND preorder_pickup_capacity > 0",
    "minutes": "cutoff_minutes >= 0 AND busy_minutes >= 0",
    "distance_source": "distance_source IN ('straight', 'road')",
}
# Orders that wait for their slot when the counting begins.
_BACKFILL = """
WITH waiting AS (
  SELECT tenant_id, id, store_id, scheduled_for, fulfilment FROM orders
  WHERE scheduled_for >= now() AND status NOT IN ('cancelled', 'rejected')
), slots AS (
  INSERT INTO preorder_slots (tenant_id, id, store_id, starts_at, delivery, pickup)
  SELECT tenant_id, gen_random_uuid(), store_id, scheduled_for,
    count(*) FILTER (WHERE fulfilment = 'delivery'), count(*) FILTER (WHERE fulfilment = 'pickup')
  FROM waiting GROUP BY tenant_id, store_id, scheduled_for
  RETURNING tenant_id, id, store_id, starts_at
)
INSERT INTO slot_claims (tenant_id, id, slot_id, order_id, channel)
SELECT w.tenant_id, w.id, s.id, w.id, w.fulfilment FROM waiting w
JOIN slots s ON s.tenant_id = w.tenant_id AND s.store_id = w.store_id
  AND s.starts_at = w.scheduled_for
"""


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=moment, nullable=False),
    ]


def _owned(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        name=op.f(f"{table}_tenant_id_{column}_fkey"),
        ondelete="CASCADE",
    )


def _keys(table: str, *unique: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{table}_pkey")),
        sa.UniqueConstraint(
            "tenant_id", *unique, name=op.f(f"{table}_tenant_id_{'_'.join(unique)}_key")
        ),
    ]


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("stores", column.copy())
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"stores_{name}_check"), "stores", condition)
    op.create_table(
        "preorder_slots",
        *_tenant_columns(),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", _INSTANT, nullable=False),
        sa.Column("delivery", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pickup", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "delivery >= 0 AND pickup >= 0", name=op.f("preorder_slots_counts_check")
        ),
        _owned("preorder_slots", "store_id", "stores"),
        *_keys("preorder_slots", "store_id", "starts_at"),
    )
    op.create_table(
        "slot_claims",
        *_tenant_columns(),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "channel IN ('delivery', 'pickup')", name=op.f("slot_claims_channel_check")
        ),
        _owned("slot_claims", "slot_id", "preorder_slots"),
        _owned("slot_claims", "order_id", "orders"),
        *_keys("slot_claims", "order_id", "slot_id"),
    )
    op.create_index("slot_claims_tenant_id_slot_id_idx", "slot_claims", ["tenant_id", "slot_id"])
    op.create_table(
        "map_answers",
        *_tenant_columns(),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("meters", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("map_answers_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        *_keys("map_answers", "question"),
    )
    for table in TABLES:
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    op.execute(_BACKFILL)


def downgrade() -> None:
    for table in ("map_answers", "slot_claims", "preorder_slots"):
        op.drop_table(table)
    for name in _CHECKS:
        op.drop_constraint(op.f(f"stores_{name}_check"), "stores", type_="check")
    for column in reversed(_COLUMNS):
        op.drop_column("stores", column.name)
