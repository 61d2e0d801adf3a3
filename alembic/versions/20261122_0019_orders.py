"""Orders in full: instants of each status, edits, notes, and an index for every filter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0019"
down_revision = "0021"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_INSTANTS = (
    "status_at", "confirmed_at", "preparing_at", "ready_at", "dispatched_at", "closed_at",
)  # fmt: skip
_INDEXES = (
    ("orders", "store_id", ["store_id", "id"], None),
    ("orders", "fulfilment", ["fulfilment", "id"], "fulfilment = 'pickup'"),
    ("orders", "placed_at", ["placed_at", "id"], None),
    ("orders", "source", ["source", "id"], "source <> 'storefront'"),
    ("orders", "scheduled_for", ["scheduled_for", "id"], "scheduled_for IS NOT NULL"),
    ("payments", "status_order_id", ["status", "order_id"], "status <> 'pending'"),
    ("payments", "method_order_id", ["method", "order_id"], None),
    ("promotion_redemptions", "promotion_id_order_id", ["promotion_id", "order_id"], None),
    ("notifications", "order_id", ["order_id"], None),
)


def _child_of_order(name: str, *columns: sa.Column[object]) -> None:
    scope = sa.text("app_tenant_id()")
    op.create_table(
        name,
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f(f"{name}_tenant_id_order_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{name}_pkey")),
    )
    op.create_index(f"{name}_tenant_id_order_id_idx", name, ["tenant_id", "order_id"])
    for statement in enable_tenant_rls(name):
        op.execute(statement)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    for name in _INSTANTS:
        op.add_column("orders", sa.Column(name, _INSTANT, nullable=True))
    op.add_column("order_items", sa.Column("list_price_cents", sa.BigInteger(), nullable=True))
    for table, name, columns, where in _INDEXES:
        op.create_index(
            f"{table}_tenant_id_{name}_idx",
            table,
            ["tenant_id", *columns],
            postgresql_where=sa.text(where) if where else None,
        )
    _child_of_order("order_notes", _text("body"), _text("actor_name"))
    _child_of_order(
        "order_edits",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=False),
        sa.Column("after", postgresql.JSONB(), nullable=False),
        sa.Column("difference_cents", sa.BigInteger(), nullable=False),
        _text("reason", nullable=True),
        _text("actor_kind"),
        _text("actor_name"),
    )


def downgrade() -> None:
    op.drop_table("order_edits")
    op.drop_table("order_notes")
    for table, name, _, _ in reversed(_INDEXES):
        op.drop_index(f"{table}_tenant_id_{name}_idx", table_name=table)
    for table, name in (
        ("order_items", "list_price_cents"), 
        *(("orders", name) for name in _INSTANTS),
    ):  # fmt: skip
        op.drop_column(table, name)
