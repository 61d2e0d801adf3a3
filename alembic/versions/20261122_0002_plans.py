"""Plans with the documented limits, the tenant's plan, and usage counters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls
from app.core.ids import new_id

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ALL = ["commerce", "conversations"]
PLANS: tuple[tuple[str, str, int, list[str], dict[str, int]], ...] = (
    ("free", "Grátis", 0, ["commerce"], {"users": 1, "stores": 1, "documents": 10, "workflows": 5}),
    ("starter", "Starter", 4900, ALL, {"users": 3, "stores": 1, "documents": 50, "workflows": 5}),
    ("pro", "Pro", 14900, ALL, {"users": 10, "stores": 3, "documents": 200, "workflows": 20}),
    ("team", "Team", 39900, ALL, {"stores": 10, "documents": 500, "workflows": 50}),
    ("enterprise", "Enterprise", 99900, ALL, {}),
)
"""Code, name, cents per month, modules, limits; a limit that is absent is none."""


def upgrade() -> None:
    plans = op.create_table(
        "plans",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), server_default="BRL", nullable=False),
        sa.Column("interval", sa.Text(), server_default="month", nullable=False),
        sa.Column(
            "modules", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("limits", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("code ~ '^[a-z0-9](-?[a-z0-9])*$'", name=op.f("plans_code_check")),
        sa.CheckConstraint("price_cents >= 0", name=op.f("plans_price_cents_check")),
        sa.CheckConstraint("interval IN ('month', 'year')", name=op.f("plans_interval_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("plans_pkey")),
        sa.UniqueConstraint("code", name=op.f("plans_code_key")),
    )
    op.bulk_insert(
        plans,
        [
            {
                "id": new_id(),
                "code": code,
                "name": name,
                "price_cents": cents,
                "modules": modules,
                "limits": limits,
                "position": 10 * (at + 1),
            }
            for at, (code, name, cents, modules, limits) in enumerate(PLANS)
        ],
    )
    op.execute("GRANT SELECT ON plans TO app_tenant")

    op.add_column("tenants", sa.Column("plan_code", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("tenants_plan_code_fkey"), "tenants", "plans", ["plan_code"], ["code"]
    )
    op.create_index(op.f("tenants_plan_code_idx"), "tenants", ["plan_code"])

    op.create_table(
        "usage_counters",
        sa.Column(
            "tenant_id", sa.Uuid(), server_default=sa.text("app_tenant_id()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("used >= 0", name=op.f("usage_counters_used_check")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("usage_counters_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("usage_counters_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "metric",
            "period",
            name=op.f("usage_counters_tenant_id_metric_period_key"),
        ),
    )
    for statement in enable_tenant_rls("usage_counters", "SELECT, INSERT, UPDATE"):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("usage_counters")
    op.drop_column("tenants", "plan_code")
    op.drop_table("plans")
