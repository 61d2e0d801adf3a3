"""The life of a file: states, visibility, images' sizes, and the plan's limit on bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MB = 1_000_000
STORAGE = {"free": 500 * _MB, "starter": 2000 * _MB, "pro": 10_000 * _MB, "team": 50_000 * _MB}
"""Bytes that a plan's files may take; a plan that is absent has no limit."""

_ADD_LIMIT = """
UPDATE {table} SET limits = limits || jsonb_build_object('storage_bytes', CAST(:bytes AS bigint))
WHERE {column} = :code
"""
# What is stored already counts from the start; the counter is a tenant's row, written as its owner.
_COUNT = """
INSERT INTO usage_counters (tenant_id, id, metric, period, used)
SELECT tenant_id, gen_random_uuid(), 'storage_bytes', 'total', sum(stored_bytes)
FROM files GROUP BY tenant_id
"""


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    for column in (
        sa.Column("state", sa.Text(), server_default="stored", nullable=False),
        sa.Column("visibility", sa.Text(), server_default="public", nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("touched_at", instant, server_default=sa.text("now()"), nullable=False),
    ):
        op.add_column("files", column)
    op.execute("UPDATE files SET stored_bytes = size_bytes")
    op.create_check_constraint(
        op.f("files_state_check"), "files", "state IN ('uploading', 'stored', 'erasing')"
    )
    op.create_check_constraint(
        op.f("files_visibility_check"), "files", "visibility IN ('public', 'private')"
    )
    op.create_index("files_tenant_id_touched_at_idx", "files", ["tenant_id", "touched_at"])
    op.execute(_COUNT)
    for code, size in STORAGE.items():
        for table, column in (("plans", "code"), ("tenants", "plan_code")):
            statement = sa.text(_ADD_LIMIT.format(table=table, column=column))
            op.execute(statement.bindparams(bytes=size, code=code))


def downgrade() -> None:
    for table in ("plans", "tenants"):
        op.execute(f"UPDATE {table} SET limits = limits - 'storage_bytes'")  # noqa: S608 - two names
    op.execute("DELETE FROM usage_counters WHERE metric = 'storage_bytes'")
    op.drop_index("files_tenant_id_touched_at_idx", "files")
    for column in ("touched_at", "height", "width", "stored_bytes", "visibility", "state"):
        op.drop_column("files", column)
