"""One-trip checkout: versions of what prices a cart, and the statements as functions."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.util import await_only

from app.core.ddl import enable_tenant_rls

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PRICED = {
    "stores": "",
    "categories": "",
    "products": "",
    "variants": "",
    "modifier_groups": "",
    "modifiers": "",
    "product_modifier_groups": "",
    "store_products": "",
    "shipping_rules": "",
    # Every column but the counters, which each redemption moves.
    "promotions": """ OF name, kind, value, code, scope, target_ids, buy_quantity, get_quantity,
      min_subtotal_cents, max_discount_cents, starts_at, ends_at, weekdays, hour_from, hour_to,
      usage_limit, per_customer_limit, budget_cents, priority, combinable, is_active, deleted_at""",
    # Whether an item is tracked; how many are left is asked when they are taken.
    "stock_levels": " OF store_id, item_kind, item_id",
}
"""What prices or permits a cart, and which columns of it do."""


def upgrade() -> None:
    op.create_table(
        "price_versions",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("price_versions_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("price_versions_pkey")),
        sa.UniqueConstraint("tenant_id", name=op.f("price_versions_tenant_id_key")),
        postgresql_with={"fillfactor": 50},
    )
    for statement in enable_tenant_rls("price_versions", "SELECT, INSERT, UPDATE"):
        op.execute(statement)
    functions = (Path(__file__).parents[1] / "checkout_1.sql").read_text()
    # Many statements with $$ bodies: only the driver's simple protocol takes them in one go.
    await_only(op.get_bind().connection.driver_connection.execute(functions))
    # No NOTIFY inside the transactions that enqueue (see kernel/jobs/service.py).
    op.execute("DROP TRIGGER tg_pgqueuer_changed ON pgqueuer")
    op.execute(
        "CREATE TRIGGER tg_pgqueuer_changed AFTER TRUNCATE ON pgqueuer "
        "EXECUTE FUNCTION fn_pgqueuer_changed()"
    )
    for table, columns in PRICED.items():
        op.execute(
            f"CREATE CONSTRAINT TRIGGER price_version AFTER INSERT OR UPDATE{columns} OR DELETE "
            f"ON {table} DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION bump_price_version()"
        )
    op.execute(
        "CREATE TRIGGER price_version AFTER INSERT OR UPDATE OR DELETE ON postal_areas "
        "FOR EACH STATEMENT EXECUTE FUNCTION bump_every_price_version()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER tg_pgqueuer_changed ON pgqueuer")
    op.execute(
        "CREATE TRIGGER tg_pgqueuer_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE "
        "ON pgqueuer EXECUTE FUNCTION fn_pgqueuer_changed()"
    )
    op.execute("DROP TRIGGER price_version ON postal_areas")
    for table in PRICED:
        op.execute(f"DROP TRIGGER price_version ON {table}")
    for function in (
        "place_order",
        "write_order",
        "finish_work",
        "bump_every_price_version",
        "bump_price_version",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("price_versions")
