"""Insights: sums of closed days and months, and a log of what changed in them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.util import await_only

from app.core.ddl import enable_tenant_rls

revision = "0023"
down_revision = "0018"
branch_labels = None
depends_on = None

_PARTS = (
    "order_items", "payments", "deliveries", "order_status_changes", "promotion_redemptions",
)  # fmt: skip
_TABLES = ("insight_cells", "insight_progress", "insight_changes")


def _of_store(name: str, *more: sa.schema.SchemaItem, id_default: str | None = None) -> None:
    op.create_table(
        name,
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column(
            "id",
            sa.Uuid(),
            server_default=sa.text(id_default) if id_default else None,
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(
            ["tenant_id", "store_id"],
            ["stores.tenant_id", "stores.id"],
            name=op.f(f"{name}_tenant_id_store_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"{name}_pkey")),
    )
    for statement in enable_tenant_rls(name):
        op.execute(statement)


def _column(name: str, kind: sa.types.TypeEngine[object]) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    _of_store(
        "insight_cells",
        _column("grain", sa.Text()),
        _column("day", sa.Date()),
        _column("kind", sa.Text()),
        _column("key", sa.Text()),
        _column("label", sa.Text()),
        _column("orders", sa.BigInteger()),
        _column("quantity", sa.BigInteger()),
        _column("amount_cents", sa.BigInteger()),
        sa.CheckConstraint("grain IN ('day', 'month')", name=op.f("insight_cells_grain_check")),
        sa.UniqueConstraint(
            "tenant_id", "store_id", "grain", "kind", "day", "key",
            name=op.f("insight_cells_tenant_id_store_id_grain_kind_day_key_key"),
        ),
    )  # fmt: skip
    _of_store(
        "insight_progress",
        _column("timezone", sa.Text()),
        _column("rolled_until", sa.Date()),
        sa.UniqueConstraint(
            "tenant_id", "store_id", name=op.f("insight_progress_tenant_id_store_id_key")
        ),
    )
    _of_store(
        "insight_changes",
        _column("order_id", sa.Uuid()),
        _column("contact_id", sa.Uuid()),
        _column("placed_at", sa.DateTime(timezone=True)),
        _column("xact", sa.BigInteger()),
        id_default="gen_random_uuid()",
    )
    op.create_index(
        "insight_changes_tenant_id_order_id_idx", "insight_changes", ["tenant_id", "order_id"]
    )
    functions = (Path(__file__).parents[1] / "insights_1.sql").read_text()
    await_only(op.get_bind().connection.driver_connection.execute(functions))
    for table in _PARTS:
        # None on INSERT: whatever joins an order later comes with a change of the order's own row,
        # and a condition would be parsed anew by every checkout.
        op.execute(
            f"CREATE TRIGGER insight_change AFTER UPDATE OR DELETE ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION note_order_part_change()"
        )


def downgrade() -> None:
    for table in _PARTS:
        op.execute(f"DROP TRIGGER insight_change ON {table}")
    for name in ("insight_delete", "insight_update", "insight_insert"):
        op.execute(f"DROP TRIGGER {name} ON orders")
    op.execute("DROP FUNCTION note_order_part_change()")
    op.execute("DROP FUNCTION note_order_change()")
    op.execute("DROP FUNCTION note_insight_change(uuid, uuid, uuid, uuid, timestamptz)")
    for table in reversed(_TABLES):
        op.drop_table(table)
