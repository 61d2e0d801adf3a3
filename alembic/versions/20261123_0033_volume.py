"""Large shops: what is rare has its index, a search reads no more than its page."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.util import await_only

revision = "0033"
down_revision = "0035"
branch_labels = None
depends_on = None

_INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("contacts_tenant_id_blocked_idx", "contacts", ["id"], "is_blocked"),
    (
        "conversations_tenant_id_last_message_at_idx",
        "conversations",
        ["last_message_at", "id"],
        None,
    ),
    ("contacts_tenant_id_stage_idx", "contacts", ["stage", "id"], "stage IS NOT NULL"),
    (
        "orders_scheduled_placed_idx",
        "orders",
        ["placed_at", "id", "scheduled_for"],
        "scheduled_for IS NOT NULL",
    ),
    ("contacts_tenant_id_owner_id_idx", "contacts", ["owner_id", "id"], "owner_id IS NOT NULL"),
    (
        "audit_entries_tenant_id_actor_id_idx",
        "audit_entries",
        ["actor_id", "id"],
        "actor_id IS NOT NULL",
    ),
    (
        "audit_entries_tenant_id_action_idx",
        "audit_entries",
        ["action", "id"],
        "action <> 'commerce.order_placed'",
    ),
    (
        "audit_entries_tenant_id_resource_idx",
        "audit_entries",
        ["resource", "id"],
        "resource <> 'order'",
    ),
    ("stock_movements_tenant_id_kind_idx", "stock_movements", ["kind", "id"], "kind <> 'sale'"),
    ("notifications_tenant_id_state_idx", "notifications", ["state", "id"], None),
    ("notifications_tenant_id_channel_idx", "notifications", ["channel", "id"], None),
    ("notice_deliveries_tenant_id_state_idx", "notice_deliveries", ["state", "id"], None),
    ("notice_deliveries_tenant_id_channel_idx", "notice_deliveries", ["channel", "id"], None),
    (
        "webhook_deliveries_tenant_id_state_idx",
        "webhook_deliveries",
        ["endpoint_id", "state", "id"],
        None,
    ),
    (
        "payments_tenant_id_method_status_idx",
        "payments",
        ["method", "status", "order_id"],
        None,
    ),
    (
        "insight_cells_best_idx",
        "insight_cells",
        ["store_id", "grain", "day", "amount_cents"],
        "kind = 'product'",
    ),
    (
        "insight_cells_product_idx",
        "insight_cells",
        ["store_id", "grain", "key", "day"],
        "kind = 'product'",
    ),
)
_BY_METHOD = "payments_tenant_id_method_order_id_idx"
_OF_ITEM = "stock_movements_tenant_id_item_id_idx"


def _run(file: str, *, only: str = "") -> None:
    text = (Path(__file__).parents[1] / file).read_text()
    if only:
        found = re.search(
            rf"^CREATE FUNCTION {only}\(.*?^END \$\$;", text, re.DOTALL | re.MULTILINE
        )
        assert found is not None  # noqa: S101 - the file is part of the revision
        text = found[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)
    await_only(op.get_bind().connection.driver_connection.execute(text))


def upgrade() -> None:
    for name, table, columns, where in _INDEXES:
        op.create_index(
            name,
            table,
            ["tenant_id", *columns],
            postgresql_where=sa.text(where) if where else None,
        )
    op.drop_index(_BY_METHOD, "payments")
    # In the ledger's own order: of a seldom sold item, a walk would pass all the others' lines.
    op.drop_index(_OF_ITEM, "stock_movements")
    op.create_index(_OF_ITEM, "stock_movements", ["tenant_id", "item_id", "id"])
    _run("contacts_2.sql")


def downgrade() -> None:
    _run("contacts_1.sql", only="find_contacts")
    op.drop_index(_OF_ITEM, "stock_movements")
    op.create_index(_OF_ITEM, "stock_movements", ["tenant_id", "item_id", "store_id"])
    op.create_index(_BY_METHOD, "payments", ["tenant_id", "method", "order_id"])
    for name, table, *_ in reversed(_INDEXES):
        op.drop_index(name, table)
