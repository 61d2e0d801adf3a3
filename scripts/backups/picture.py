"""What a database holds, as counts and hashes: taken at a backup, compared after its restore.

Rows are hashed as text under fixed settings and the hashes are added up, so neither the order of
the rows nor the size of a table matters. MD5 finds damage, it does not keep out forgers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel

from app.core.database import RawConnection
from app.core.ddl import TENANT_ROLE

Progress = Callable[[int], object]

_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",  # a login that does not see every row gets an error, not fewer rows
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}

TABLES = """
SELECT c.oid::regclass::text AS shown, n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname
"""
_SEQUENCES = """
SELECT schemaname || '.' || sequencename AS name, coalesce(last_value, 0) AS reached
FROM pg_sequences ORDER BY 1
"""
_HALF = "('x' || substr(md5(whole_row_::text), {start}, 16))::bit(64)::bigint::numeric"
_CONTENT = (
    "SELECT count(*) AS rows, coalesce(sum({one}), 0)::text || ':' || coalesce(sum({two}), 0)::text"
    " AS content FROM {table} AS whole_row_"
)

# Everything a restore could lose without losing a row; names of owners are left out, as the login
# of the new database may be another one.
_STRUCTURE = """
WITH mine AS (
  SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
), member AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), things AS (
  SELECT 'table' AS kind, c.oid::regclass::text AS name, concat_ws(' ', c.relkind,
    c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions) AS text
  FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S')
    AND c.relnamespace IN (SELECT oid FROM mine)
    AND c.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
  UNION ALL
  SELECT 'column', concat(a.attrelid::regclass, '.', a.attname),
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
      a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    AND c.relnamespace IN (SELECT oid FROM mine)
  UNION ALL
  SELECT 'policy', concat(p.polrelid::regclass, '.', p.polname),
    concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[],
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy p
  UNION ALL
  SELECT 'trigger', concat(t.tgrelid::regclass, '.', t.tgname),
    concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM pg_trigger t WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'constraint', concat(conrelid::regclass, '.', conname),
    concat_ws(' ', pg_get_constraintdef(oid), convalidated)
  FROM pg_constraint WHERE conrelid <> 0 AND connamespace IN (SELECT oid FROM mine)
  UNION ALL
  SELECT 'index', i.indexrelid::regclass::text,
    concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace IN (SELECT oid FROM mine)
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
  FROM pg_proc p WHERE p.prokind IN ('f', 'p') AND p.pronamespace IN (SELECT oid FROM mine)
    AND p.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
  UNION ALL
  SELECT 'type', t.oid::regtype::text, concat_ws(' ', t.typtype, (SELECT
    string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t WHERE t.typtype IN ('e', 'd') AND t.typnamespace IN (SELECT oid FROM mine)
  UNION ALL
  SELECT 'extension', extname, '' FROM pg_extension WHERE extname <> 'plpgsql'
  UNION ALL
  SELECT 'grant on', o.name, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type)
  FROM (
    SELECT oid::regclass::text AS name, relacl AS acl FROM pg_class
    UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc
    UNION ALL SELECT concat(attrelid::regclass, '.', attname), attacl FROM pg_attribute
  ) o, aclexplode(o.acl) a
  WHERE o.acl IS NOT NULL AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = $1)
  GROUP BY o.name
)
SELECT kind || ' ' || name AS name, md5(string_agg(text, chr(10) ORDER BY text)) AS text
FROM things GROUP BY 1 ORDER BY 1
"""


class Table(BaseModel):
    """The rows of one table."""

    rows: int
    content: str
    """The sums of both halves of the rows' MD5."""


class Picture(BaseModel):
    """What one database holds at one moment."""

    tables: dict[str, Table]
    sequences: dict[str, int]
    """At least how far each has counted: sequences stand outside every snapshot."""
    structure: dict[str, str]
    """By name, a hash of the definition of each table, column, policy, trigger, function, ..."""

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


async def prepare(connection: RawConnection) -> None:
    """Have rows written as text the same way on every server, and wait as long as it takes."""
    for name, value in _SETTINGS.items():
        await connection.execute("SELECT set_config($1, $2, false)", name, value)


async def take(connection: RawConnection, progress: Progress = lambda _: None) -> Picture:
    """The picture, within the caller's transaction; ``progress`` hears of each table done."""
    sequences = {row["name"]: row["reached"] for row in await connection.fetch(_SEQUENCES)}
    defined = await connection.fetch(_STRUCTURE, TENANT_ROLE)
    one, two = _HALF.format(start=1), _HALF.format(start=17)
    tables: dict[str, Table] = {}
    for found in await connection.fetch(TABLES):
        row = await connection.fetchrow(_CONTENT.format(one=one, two=two, table=found["shown"]))
        assert row is not None, "an aggregate answers one row"  # noqa: S101
        name = f"{found['nspname']}.{found['relname']}"
        tables[name] = Table(rows=row["rows"], content=row["content"])
        progress(1)
    return Picture(
        tables=tables,
        sequences=sequences,
        structure={row["name"]: row["text"] for row in defined},
    )


def differences(expected: Picture, found: Picture) -> list[str]:
    """What is not as it was, one sentence each; nothing when the copy is faithful."""
    told = [*_of_tables(expected, found), *_missing("", expected.structure, found.structure)]
    told += [
        f"{name} is there, but was not in the backup"
        for name in sorted(found.structure.keys() - expected.structure.keys())
    ]
    told += [
        f"{name} differs from its definition in the backup"
        for name, text in expected.structure.items()
        if found.structure.get(name, text) != text
    ]
    told += _missing("sequence ", expected.sequences, found.sequences)
    told += [
        f"sequence {name} stands at {found.sequences[name]}, before {reached} of the backup"
        for name, reached in expected.sequences.items()
        if found.sequences.get(name, reached) < reached
    ]
    return told


def _missing(what: str, expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    return [f"{what}{name} is missing" for name in expected if name not in found]


def _of_tables(expected: Picture, found: Picture) -> list[str]:
    told = []
    for name, table in expected.tables.items():
        other = found.tables.get(name)
        if other is None:
            continue  # told with the structure
        if other.rows != table.rows:
            told.append(f"{name} has {other.rows:,} rows instead of {table.rows:,}")
        elif other.content != table.content:
            told.append(f"{name} has its {table.rows:,} rows, but not with the same content")
    return told
