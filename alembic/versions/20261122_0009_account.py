"""API keys, second factors, departments, presence; an audit trail that not even its owner edits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.ddl import enable_tenant_rls

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)

# Rows go with their tenant and in no other way; the tenant is gone when its cascade comes here.
_IMMUTABLE = """
CREATE FUNCTION audit_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM tenants WHERE id = OLD.tenant_id) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'audit_entries is append-only' USING ERRCODE = 'insufficient_privilege';
END $$
"""


def _tenant_columns() -> list[sa.Column[object]]:
    scope, moment = sa.text("app_tenant_id()"), sa.text("now()")
    return [
        sa.Column("tenant_id", sa.Uuid(), server_default=scope, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=moment, nullable=False),
    ]


def _of(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{parent}.tenant_id", f"{parent}.id"],
        name=op.f(f"{table}_tenant_id_{column}_fkey"),
        ondelete="CASCADE",
    )


def _keys() -> None:
    op.create_table(
        "api_keys",
        *_tenant_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("last_used_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        _of("api_keys", "created_by", "users"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("api_keys_pkey")),
    )
    op.create_index("api_keys_key_hash_idx", "api_keys", ["key_hash"])


def _factors() -> None:
    op.create_table(
        "totp_factors",
        *_tenant_columns(),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("confirmed_at", _INSTANT, nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "recovery_hashes",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        _of("totp_factors", "user_id", "users"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("totp_factors_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "user_id", name=op.f("totp_factors_tenant_id_user_id_key")
        ),
    )


def _departments() -> None:
    op.create_table(
        "departments",
        *_tenant_columns(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("departments_tenant_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("departments_pkey")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("departments_tenant_id_name_key")),
    )
    op.create_table(
        "department_members",
        *_tenant_columns(),
        sa.Column("department_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        _of("department_members", "department_id", "departments"),
        _of("department_members", "user_id", "users"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("department_members_pkey")),
        sa.UniqueConstraint(
            "tenant_id",
            "department_id",
            "user_id",
            name=op.f("department_members_tenant_id_department_id_user_id_key"),
        ),
    )


def upgrade() -> None:
    _keys()
    _factors()
    _departments()
    for table in ("api_keys", "totp_factors", "departments", "department_members"):
        for statement in enable_tenant_rls(table):
            op.execute(statement)
    op.add_column("user_sessions", sa.Column("device", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("phone", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("avatar_file_id", sa.Uuid(), nullable=True))
    op.add_column("users", sa.Column("status", sa.Text(), server_default="offline", nullable=False))
    op.add_column("users", sa.Column("status_at", _INSTANT, nullable=True))
    op.create_check_constraint(
        op.f("users_status_check"), "users", "status IN ('online', 'away', 'offline')"
    )
    op.create_foreign_key(
        op.f("users_tenant_id_avatar_file_id_fkey"),
        "users",
        "files",
        ["tenant_id", "avatar_file_id"],
        ["tenant_id", "id"],
        deferrable=True,
        initially="IMMEDIATE",
    )
    op.execute(_IMMUTABLE)
    op.execute(
        "CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE ON audit_entries "
        "FOR EACH ROW EXECUTE FUNCTION audit_entries_stay()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_entries_stay ON audit_entries")
    op.execute("DROP FUNCTION audit_entries_stay()")
    for column in ("status_at", "status", "avatar_file_id", "phone"):
        op.drop_column("users", column)
    op.drop_column("user_sessions", "device")
    for table in ("department_members", "departments", "totp_factors", "api_keys"):
        op.drop_table(table)
