"""The catalogue in full: a search that forgives typos, weekly hours, pauses, media, SKUs."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import await_only

revision = "0030"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("categories", "products"):
        op.add_column(
            table,
            sa.Column(
                "windows",
                postgresql.JSONB(astext_type=sa.Text()),
                server_default=sa.text("'[]'"),
                nullable=False,
            ),
        )
        op.add_column(
            table,
            sa.Column("is_paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        )
        op.add_column(table, sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "products",
        sa.Column(
            "video_file_ids",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column(
        "products",
        sa.Column(
            "media_alts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    _free_skus()
    for table in ("products", "variants"):
        op.create_index(
            f"{table}_tenant_id_sku_key",
            table,
            ["tenant_id", "sku"],
            unique=True,
            postgresql_where=sa.text("sku IS NOT NULL AND deleted_at IS NULL"),
        )
    op.create_index(
        "products_search_idx",
        "products",
        ["tenant_id", "search_text"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    functions = (Path(__file__).parents[1] / "catalog_1.sql").read_text()
    # Many statements with $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))


def _free_skus() -> None:
    """Variants go with their product; of a SKU that several have, the oldest keeps it as it is."""
    op.execute(
        "UPDATE variants v SET deleted_at = p.deleted_at FROM products p "
        "WHERE p.tenant_id = v.tenant_id AND p.id = v.product_id AND v.deleted_at IS NULL "
        "AND p.deleted_at IS NOT NULL"
    )
    for table in ("products", "variants"):
        op.execute(
            f"UPDATE {table} x SET sku = left(x.sku, 55) || '-' || right(x.id::text, 8) "  # noqa: S608
            f"WHERE x.deleted_at IS NULL AND EXISTS (SELECT FROM {table} o "
            "WHERE o.tenant_id = x.tenant_id AND o.sku = x.sku AND o.deleted_at IS NULL "
            "AND o.id < x.id)"
        )
    # An index may not be made while a trigger of the table waits for the commit.
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")


def downgrade() -> None:
    for table in ("products", "variants"):
        op.drop_index(f"{table}_tenant_id_sku_key", table)
    op.execute("DROP FUNCTION find_products")
    op.drop_index("products_search_idx", "products")
    op.drop_column("products", "media_alts")
    op.drop_column("products", "video_file_ids")
    for table in ("categories", "products"):
        for column in ("paused_until", "is_paused", "windows"):
            op.drop_column(table, column)
