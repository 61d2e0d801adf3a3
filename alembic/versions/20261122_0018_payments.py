"""Payments: what was received and flagged, refunds, how the tenant is paid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.core.ddl import enable_tenant_rls, one_of

revision = "0018"
down_revision = "0019"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_FLAGS = ("short", "over", "late", "currency")


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=moment, nullable=False),
    ]


def _belongs(column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{target}.tenant_id", f"{target}.id"],
        name=op.f(f"payment_refunds_tenant_id_{column}_fkey"),
        ondelete="CASCADE",
    )


def _payments() -> None:
    op.add_column(
        "payments",
        sa.Column("received_cents", sa.BigInteger(), server_default="0", nullable=False),
    )
    for name in ("flag", "provider_ref", "error"):
        op.add_column("payments", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("paid_at", _INSTANT, nullable=True))
    op.create_check_constraint(
        op.f("payments_received_check"),
        "payments",
        f"received_cents >= 0 AND (flag IS NULL OR {one_of('flag', _FLAGS)})",
    )
    op.execute(
        "UPDATE payments SET received_cents = amount_cents, paid_at = created_at"
        " WHERE status IN ('paid', 'refunded')"
    )


def upgrade() -> None:
    _payments()
    op.create_table(
        "payment_refunds",
        *_tenant_columns(),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("tries", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("settled_at", _INSTANT, nullable=True),
        sa.CheckConstraint("amount_cents > 0", name=op.f("payment_refunds_amount_cents_check")),
        sa.CheckConstraint(
            one_of("status", ("pending", "done", "failed")),
            name=op.f("payment_refunds_status_check"),
        ),
        _belongs("payment_id", "payments"),
        _belongs("order_id", "orders"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("payment_refunds_pkey")),
    )
    for column in ("order_id", "payment_id"):
        name = f"payment_refunds_tenant_id_{column}_idx"
        op.create_index(name, "payment_refunds", ["tenant_id", column])
    op.create_table(
        "payment_settings",
        *_tenant_columns(),
        sa.Column("pix_key", sa.Text(), nullable=True),
        sa.Column("pix_key_type", sa.Text(), nullable=True),
        sa.Column("merchant_name", sa.Text(), nullable=True),
        sa.Column("merchant_city", sa.Text(), nullable=True),
        sa.Column("unpaid_minutes", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            one_of("pix_key_type", ("cpf", "cnpj", "phone", "email", "evp")),
            name=op.f("payment_settings_pix_key_type_check"),
        ),
        sa.CheckConstraint(
            "(pix_key IS NULL) = (pix_key_type IS NULL) AND (pix_key IS NULL OR"
            " (merchant_name IS NOT NULL AND merchant_city IS NOT NULL))",
            name=op.f("payment_settings_pix_check"),
        ),
        sa.CheckConstraint(
            "unpaid_minutes BETWEEN 5 AND 10080",
            name=op.f("payment_settings_unpaid_minutes_check"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("payment_settings_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("payment_settings_pkey")),
        sa.UniqueConstraint("tenant_id", name=op.f("payment_settings_tenant_id_key")),
    )
    for table in ("payment_refunds", "payment_settings"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("payment_settings")
    op.drop_table("payment_refunds")
    for name in ("paid_at", "error", "provider_ref", "flag", "received_cents"):
        op.drop_column("payments", name)
