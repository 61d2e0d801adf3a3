"""Makes one small row of any tenant table, and first the rows it refers to, from the metadata.

A new table needs nothing here unless one of its checks cannot be guessed from its column types:
then ``FITTING`` holds a value for that column.
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import BigInteger, Boolean, Date, DateTime, Float, LargeBinary, Text, Uuid

from app.core.ids import new_id
from app.tables import METADATA, SYSTEM_TABLES
from tests.architecture.conftest import Owner

TENANT_TABLES = [table for table in METADATA.sorted_tables if table.name not in SYSTEM_TABLES]
"""Every table under row level security, referred ones before those that refer to them."""

FITTING: dict[tuple[str, str], Any] = {
    ("shipping_rules", "kind"): "flat",
    ("conversations", "status"): "closed",  # of live ones there is one
    ("order_items", "total_cents"): 1,
    ("orders", "total_cents"): 1,
}

_number = itertools.count(1)
_ALLOWED = re.compile(r"(\w+) (?:IN \(|= ANY \('\{)([^)}]+)")


def references(table: Table) -> list[ForeignKeyConstraint]:
    """The foreign keys of ``table`` to other tenant tables."""
    return [
        key
        for key in sorted(table.foreign_key_constraints, key=lambda k: sorted(k.column_keys))
        if key.referred_table.name not in SYSTEM_TABLES
    ]


def own_column(key: ForeignKeyConstraint) -> str:
    """The column of a composite key that is not the tenant."""
    (column,) = (name for name in key.column_keys if name != "tenant_id")
    return column


def is_child_once(table: Table, key: ForeignKeyConstraint) -> bool:
    """Whether another key than this one allows a parent, or the tenant, a single row here."""
    others = {own_column(other) for other in references(table)} - {own_column(key)}
    keys = [
        {column.name for column in c.columns} - {"tenant_id"}
        for c in table.constraints
        if isinstance(c, UniqueConstraint)
    ]
    return any(names <= others for names in keys)


def row_of(table: Table, parents: dict[str, UUID]) -> dict[str, Any]:
    """Values for a fresh row: required columns, and every reference to a row in ``parents``."""
    values: dict[str, Any] = {"id": new_id()}
    for column in table.columns:
        if column.name in ("tenant_id", "id") or column.identity is not None:
            continue
        is_required = not column.nullable and column.server_default is None
        if is_required or (table.name, column.name) in FITTING:
            values[column.name] = _value(table, column)
    for key in references(table):
        values[own_column(key)] = parents[key.referred_table.name]
    return values


def ancestry(table: Table) -> list[Table]:
    """``table`` after everything that a row of it needs to exist."""
    above = {table.name} | {
        parent.name for key in references(table) for parent in ancestry(key.referred_table)
    }
    return [one for one in TENANT_TABLES if one.name in above]


def insert(table: Table, values: dict[str, Any]) -> str:
    """The statement for the driver; the values go as its arguments, in their order."""
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'  # noqa: S608 - our names


def _value(table: Table, column: Column[Any]) -> Any:
    if (table.name, column.name) in FITTING:
        return FITTING[table.name, column.name]
    number = next(_number)
    kinds: list[tuple[type, Any]] = [
        (Uuid, new_id()),
        (Boolean, False),
        (BigInteger, number if _is_unique(table, column.name) else 1),
        (Float, 0.0),
        (DateTime, datetime(2026, 1, 1, tzinfo=UTC)),
        (Date, date(2026, 1, 1)),
        (LargeBinary, b"x%d" % number),
        (ARRAY, []),
        (JSONB, "{}"),
        (Text, _allowed(table, column.name) or str(number)),  # the same in capitals
    ]
    for kind, value in kinds:
        if isinstance(column.type, kind):
            return value
    raise LookupError(f"{table.name}.{column.name}: no value for {column.type}, add one to FITTING")


def _is_unique(table: Table, column: str) -> bool:
    constraints = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
    return any(column in constraint.columns for constraint in constraints)


def _allowed(table: Table, column: str) -> str | None:
    """The first value that a ``one_of`` check names."""
    for check in table.constraints:
        if isinstance(check, CheckConstraint):
            found = _ALLOWED.match(str(check.sqltext))
            if found and found.group(1) == column:
                return found.group(2).split(",")[0].strip().strip("'")
    return None


_CONTENT = " UNION ALL ".join(
    f"SELECT '{table.name}' AS name, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) "  # noqa: S608
    f'FROM "{table.name}" t WHERE tenant_id = $1'
    for table in TENANT_TABLES
)
_REST = """
SELECT 'tenant' AS name, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)
FROM tenants t WHERE id = $1
UNION ALL
SELECT 'jobs', count(*), coalesce(sum(hashtextextended(j::text, 0)), 0)
FROM pgqueuer j WHERE position($1::text in encode(payload, 'escape')) > 0
"""


async def content(owner_sql: Owner, tenant_id: UUID) -> dict[str, tuple[int, int]]:
    """Rows and checksum of everything a tenant has."""
    rows = await owner_sql.fetch(f"{_CONTENT} UNION ALL {_REST}", tenant_id)
    return {row[0]: (row[1], row[2]) for row in rows}
