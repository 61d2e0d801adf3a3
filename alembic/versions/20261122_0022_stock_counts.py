"""Counts of a store's stock (stock-takes) and their lines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls, one_of

revision = "0022"
down_revision = "0026"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=moment, nullable=False),
    ]


def _keys(table: str, column: str, target: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{table}_pkey")),
        sa.ForeignKeyConstraint(
            ["tenant_id", column],
            [f"{target}.tenant_id", f"{target}.id"],
            name=op.f(f"{table}_tenant_id_{column}_fkey"),
            ondelete="CASCADE",
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "stock_counts",
        *_tenant_columns(),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            one_of("status", ("open", "closed", "cancelled")),
            name=op.f("stock_counts_status_check"),
        ),
        *_keys("stock_counts", "store_id", "stores"),
    )
    op.create_index(
        "stock_counts_tenant_id_store_id_key",
        "stock_counts",
        ["tenant_id", "store_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "stock_counts_tenant_id_store_id_idx", "stock_counts", ["tenant_id", "store_id", "id"]
    )
    op.create_table(
        "stock_count_lines",
        *_tenant_columns(),
        sa.Column("count_id", sa.Uuid(), nullable=False),
        sa.Column("item_kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("opened_on_hand", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=True),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.Column("counted_at", _INSTANT, nullable=True),
        sa.Column("counted_by", sa.Text(), nullable=True),
        sa.Column("applied", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            one_of("item_kind", ("product", "variant", "modifier")),
            name=op.f("stock_count_lines_item_kind_check"),
        ),
        sa.CheckConstraint(
            "counted >= 0 AND (counted IS NULL) = (expected IS NULL)",
            name=op.f("stock_count_lines_counted_check"),
        ),
        *_keys("stock_count_lines", "count_id", "stock_counts"),
        sa.UniqueConstraint(
            "tenant_id",
            "count_id",
            "item_id",
            name=op.f("stock_count_lines_tenant_id_count_id_item_id_key"),
        ),
    )
    op.create_index(
        "stock_count_lines_tenant_id_count_id_idx",
        "stock_count_lines",
        ["tenant_id", "count_id", "id"],
    )
    for table in ("stock_counts", "stock_count_lines"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("stock_count_lines")
    op.drop_table("stock_counts")
