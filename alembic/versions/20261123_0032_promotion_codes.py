"""Promotions by generated codes, and promotions that are archived."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls

revision = "0032"
down_revision = "0038"
branch_labels = None
depends_on = None

# What a discount hangs on: every column but the counters, which each redemption moves.
_BEFORE = """name, kind, value, code, scope, target_ids, buy_quantity, get_quantity,
  min_subtotal_cents, max_discount_cents, starts_at, ends_at, weekdays, hour_from, hour_to,
  usage_limit, per_customer_limit, budget_cents, priority, combinable, is_active, deleted_at"""
_CODE = "promotion_id, batch_id, label, code, usage_limit, revoked_at"


def _watch(table: str, columns: str) -> None:
    op.execute(
        f"CREATE CONSTRAINT TRIGGER price_version AFTER INSERT OR UPDATE OF {columns} OR DELETE "
        f"ON {table} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION bump_price_version()"
    )


def upgrade() -> None:
    op.add_column(
        "promotions",
        sa.Column("by_codes", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("promotions", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("promotions_by_codes_check"), "promotions", "NOT (by_codes AND code IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("promotions_archived_check"),
        "promotions",
        "NOT (is_active AND archived_at IS NOT NULL)",
    )
    _unique_code("deleted_at IS NULL AND archived_at IS NULL")
    op.execute("DROP TRIGGER price_version ON promotions")
    _watch("promotions", f"{_BEFORE}, by_codes, archived_at")
    op.create_index(
        "promotion_redemptions_tenant_id_code_idx",
        "promotion_redemptions",
        ["tenant_id", "code", "id"],
        unique=False,
        postgresql_where=sa.text("code IS NOT NULL"),
    )
    _codes()


def _unique_code(where: str) -> None:
    op.drop_index("promotions_tenant_id_code_key", table_name="promotions")
    op.create_index(
        "promotions_tenant_id_code_key",
        "promotions",
        ["tenant_id", "code"],
        unique=True,
        postgresql_where=sa.text(where),
    )


def _codes() -> None:
    op.create_table(
        "promotion_codes",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("promotion_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("usage_limit", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("used_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("code = upper(code)", name=op.f("promotion_codes_code_upper_check")),
        sa.CheckConstraint(
            "used_count >= 0 AND used_count <= usage_limit",
            name=op.f("promotion_codes_usage_limit_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "promotion_id"],
            ["promotions.tenant_id", "promotions.id"],
            name=op.f("promotion_codes_tenant_id_promotion_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("promotion_codes_pkey")),
        sa.UniqueConstraint("tenant_id", "code", name=op.f("promotion_codes_tenant_id_code_key")),
    )
    op.create_index(
        "promotion_codes_tenant_id_promotion_id_idx",
        "promotion_codes",
        ["tenant_id", "promotion_id", "id"],
        unique=False,
    )
    for statement in enable_tenant_rls("promotion_codes"):
        op.execute(statement)
    _watch("promotion_codes", _CODE)


def downgrade() -> None:
    op.drop_table("promotion_codes")
    op.drop_index("promotion_redemptions_tenant_id_code_idx", table_name="promotion_redemptions")
    op.execute("DROP TRIGGER price_version ON promotions")
    _watch("promotions", _BEFORE)
    op.execute("UPDATE promotions SET code = NULL, is_active = false WHERE by_codes")
    op.execute("UPDATE promotions SET deleted_at = now() WHERE archived_at IS NOT NULL")
    _unique_code("deleted_at IS NULL")
    op.drop_constraint(op.f("promotions_archived_check"), "promotions")
    op.drop_constraint(op.f("promotions_by_codes_check"), "promotions")
    op.drop_column("promotions", "archived_at")
    op.drop_column("promotions", "by_codes")
