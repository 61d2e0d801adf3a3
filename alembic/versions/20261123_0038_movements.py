"""Movements go with their tenant and store by triggers: a sale has three keys less to look up."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0031"
branch_labels = None
depends_on = None

_KEY = "stock_movements_tenant_id_store_id_fkey"
_TABLES = ("audit_entries", "idempotency_records", "orders", "stream_events")


def _forget(tables: tuple[str, ...]) -> str:
    deletes = "".join(f"  DELETE FROM {table} WHERE tenant_id = OLD.id;\n" for table in tables)  # noqa: S608
    return (
        "CREATE OR REPLACE FUNCTION forget_tenant() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        f"BEGIN\n{deletes}  RETURN NULL;\nEND $$"
    )


# With its owner's rights: the tenant's role only adds to the ledger.
_STORE = """
CREATE FUNCTION forget_store() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM stock_movements
  WHERE tenant_id = coalesce(app_tenant_id(), OLD.tenant_id) AND store_id = OLD.id;
  RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.drop_constraint(_KEY, "stock_movements", type_="foreignkey")
    op.execute(_forget((*_TABLES, "stock_movements")))
    op.execute(_STORE)
    op.execute("REVOKE ALL ON FUNCTION forget_store() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER forget_store AFTER DELETE ON stores "
        "FOR EACH ROW EXECUTE FUNCTION forget_store()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_store ON stores")
    op.execute("DROP FUNCTION forget_store")
    op.execute(_forget(_TABLES))
    op.create_foreign_key(
        _KEY,
        "stock_movements",
        "stores",
        ["tenant_id", "store_id"],
        ["tenant_id", "id"],
        ondelete="CASCADE",
    )
