"""The catalogue's own word on isolation: scope, policy, grants and keys of every table there is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.core.ddl import TENANT_ROLE
from app.core.model import TenantModel
from app.kernel.work import Runtime
from app.tables import METADATA, SYSTEM_OBJECTS, SYSTEM_TABLES
from tests.architecture.conftest import Owner, scopes_left
from tests.architecture.rows import TENANT_TABLES
from tests.architecture.sources import ROOT

TENANT_NAMES = {table.name for table in TENANT_TABLES}
SCOPE = "(tenant_id = ( SELECT app_tenant_id() AS app_tenant_id))"

APPEND_ONLY = {
    "audit_entries",
    "consent_entries",
    "order_status_changes",
    "stock_movements",
    "stream_events",
}
"""What happened: nobody changes it afterwards. More tables may join, none may leave."""

SYSTEM_GRANTS = {
    "plans": {"SELECT"},
    "postal_areas": {"SELECT"},
    "pgqueuer": {"INSERT"},
    "pgqueuer_log": {"INSERT"},
}
"""All that the tenant role may do outside its own tables; absent means nothing."""

READABLE_OF_QUEUE = {"id", "entrypoint", "priority", "dedupe_key", "status"}
"""What enqueueing without duplicates reads of jobs; never their payload or headers."""

SEQUENCES = {"pgqueuer_id_seq"}

AS_OWNER = {
    "find_contacts": "LIKE may use its index only past row level security; scoped by itself",
    "find_products": "LIKE and <% may use their index only past it; scoped by itself",
    "forget_store": "a tenant only adds to its ledger; what goes is its own store's",
    "keep_whatsapp_route": "routes are a system table; the tenant is the transaction's own",
    "find_messages": "the same",
}
"""Functions that run with the owner's rights, with the reason; each names its tenant itself."""

_TABLES = """
SELECT relname, relrowsecurity FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f')
"""
_GRANTS = """
SELECT c.relname, CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END AS who,
  a.privilege_type AS may, a.is_grantable
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = $1::"char"
  AND a.grantee <> c.relowner
"""
_COLUMN_GRANTS = """
SELECT c.relname, t.attname, a.grantee::regrole::text AS who, a.privilege_type AS may
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
WHERE c.relnamespace = 'public'::regnamespace
"""
_UNIQUE = """
SELECT t.relname, i.relname AS index, x.indisprimary,
  array(SELECT attname FROM unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY k(n, at)
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n
        ORDER BY at)::text[] AS columns
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE t.relnamespace = 'public'::regnamespace AND x.indisunique
"""
_FOREIGN = """
SELECT c.conname, f.relname AS source, t.relname AS target, c.convalidated,
  -- A reference that may be empty takes nobody along.
  c.confdeltype = 'c' AND (SELECT bool_and(attnotnull) FROM pg_attribute
    WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)) AS cascades,
  array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY k(n, at) JOIN pg_attribute a
        ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY at)::text[] AS source_columns,
  array(SELECT attname FROM unnest(c.confkey) WITH ORDINALITY k(n, at) JOIN pg_attribute a
        ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY at)::text[] AS target_columns
FROM pg_constraint c JOIN pg_class f ON f.oid = c.conrelid JOIN pg_class t ON t.oid = c.confrelid
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""
_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
"""


async def test_every_table_is_known_and_scoped(owner_sql: Owner) -> None:
    found = {row["relname"]: row["relrowsecurity"] for row in await owner_sql.fetch(_TABLES)}
    assert set(found) == TENANT_NAMES | SYSTEM_TABLES | SYSTEM_OBJECTS
    assert {name for name, scoped in found.items() if scoped} == TENANT_NAMES
    assert {t.name for t in METADATA.sorted_tables} >= SYSTEM_TABLES
    assert not SYSTEM_TABLES & SYSTEM_OBJECTS


async def test_every_tenant_table_has_exactly_the_policy(owner_sql: Owner) -> None:
    rows = await owner_sql.fetch("SELECT * FROM pg_policies WHERE schemaname = 'public'")
    assert sorted(row["tablename"] for row in rows) == sorted(TENANT_NAMES), "one each"
    for row in rows:
        assert row["roles"] == [TENANT_ROLE], row["tablename"]
        assert (row["cmd"], row["permissive"]) == ("ALL", "PERMISSIVE"), row["tablename"]
        assert row["qual"] == row["with_check"] == SCOPE, row["tablename"]


async def test_scope_function_is_planned_once_and_owned_by_nobody_special(
    owner_sql: Owner,
) -> None:
    rows = await owner_sql.fetch(
        "SELECT proname, prosecdef, provolatile FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace"
    )
    found = {row["proname"]: row for row in rows}
    assert found["app_tenant_id"]["provolatile"] == b"s", "a volatile one runs for every row"
    as_owner = {name for name, row in found.items() if row["prosecdef"]}
    assert as_owner == set(AS_OWNER), "runs as the owner"


async def test_what_runs_as_the_owner_is_bound_to_the_tenant_and_to_its_names(
    owner_sql: Owner,
) -> None:
    rows = await owner_sql.fetch(
        "SELECT proname, prosrc, proconfig, proacl::text AS may FROM pg_proc "
        "WHERE proname = ANY ($1)",
        list(AS_OWNER),
    )
    for row in rows:
        assert "app_tenant_id()" in row["prosrc"], row["proname"]
        assert "search_path=public, pg_temp" in row["proconfig"], row["proname"]
        grantees = {entry.split("=")[0] for entry in row["may"].strip("{}").split(",")}
        assert "" not in grantees, f"{row['proname']}: everybody may run it"
    transaction = owner_sql.transaction()
    await transaction.start()
    await owner_sql.execute(f"SET LOCAL ROLE {TENANT_ROLE}")
    for call in ("find_contacts(ARRAY['%'])", "find_products(ARRAY['a'])"):
        assert await owner_sql.fetch(f"SELECT {call}") == [], "no scope, no rows"
    await transaction.rollback()


async def test_nothing_reads_past_row_level_security(owner_sql: Owner) -> None:
    views = await owner_sql.fetch(
        "SELECT relname, relkind, reloptions FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')"
    )
    for row in views:
        assert row["relkind"] == b"v", f"{row['relname']} would hold rows of all tenants"
        assert "security_invoker=true" in (row["reloptions"] or ()), row["relname"]


async def test_tenant_role_is_powerless(owner_sql: Owner) -> None:
    role = await owner_sql.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", TENANT_ROLE)
    assert role is not None
    flags = ("rolsuper", "rolbypassrls", "rolcanlogin", "rolcreatedb", "rolcreaterole")
    assert not any(role[flag] for flag in (*flags, "rolreplication"))
    owned = "SELECT count(*) FROM pg_class WHERE relowner = $1::regrole"
    assert await owner_sql.fetchval(owned, TENANT_ROLE) == 0
    member = "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole"
    assert await owner_sql.fetchval(member, TENANT_ROLE) == 0, "it inherits from nobody"
    creates = "SELECT has_schema_privilege($1, 'public', 'CREATE')"
    assert not await owner_sql.fetchval(creates, TENANT_ROLE)
    assert await owner_sql.fetchval("SELECT count(*) FROM pg_default_acl") == 0


async def test_grants_are_exactly_these(owner_sql: Owner) -> None:
    found: dict[str, set[str]] = {}
    for row in await owner_sql.fetch(_GRANTS, b"r"):
        assert row["who"] == TENANT_ROLE, f"{row['who']} may {row['may']} {row['relname']}"
        assert not row["is_grantable"], row["relname"]
        found.setdefault(row["relname"], set()).add(row["may"])
    for table in TENANT_NAMES:
        assert {"SELECT", "INSERT"} <= found[table], table
        assert found[table] <= {"SELECT", "INSERT", "UPDATE", "DELETE"}, table
    for table in APPEND_ONLY:
        assert found[table] == {"SELECT", "INSERT"}, f"{table} may only grow"
    others = {name: may for name, may in found.items() if name not in TENANT_NAMES}
    assert others == SYSTEM_GRANTS


async def test_sequences_and_columns_are_granted_for_enqueueing_alone(owner_sql: Owner) -> None:
    sequences = {(row["relname"], row["may"]) for row in await owner_sql.fetch(_GRANTS, b"S")}
    assert sequences == {(name, "USAGE") for name in SEQUENCES}
    columns = {tuple(row) for row in await owner_sql.fetch(_COLUMN_GRANTS)}
    assert columns == {("pgqueuer", name, TENANT_ROLE, "SELECT") for name in READABLE_OF_QUEUE}


async def test_tenant_comes_first_in_every_unique_index(owner_sql: Owner) -> None:
    primary = set()
    for row in await owner_sql.fetch(_UNIQUE):
        if row["relname"] not in TENANT_NAMES:
            continue
        assert row["columns"][0] == "tenant_id", f"{row['index']} tells who else has a value"
        if row["indisprimary"]:
            assert row["columns"] == ["tenant_id", "id"], row["index"]
            primary.add(row["relname"])
    assert primary == TENANT_NAMES


async def test_references_carry_their_tenant(owner_sql: Owner) -> None:
    owned: dict[str, set[str]] = {}
    for row in await owner_sql.fetch(_FOREIGN):
        if row["source"] not in TENANT_NAMES:
            continue
        assert row["convalidated"], row["conname"]
        if row["cascades"]:
            owned.setdefault(row["source"], set()).add(row["target"])
        if row["target"] == "tenants":
            assert row["source_columns"] == ["tenant_id"], row["conname"]
            continue
        assert row["target"] in TENANT_NAMES, f"{row['conname']} leaves the tenant"
        at = row["source_columns"].index("tenant_id")
        assert row["target_columns"][at] == "tenant_id", row["conname"]
    trigger = await owner_sql.fetchval(
        "SELECT prosrc FROM pg_proc p JOIN pg_trigger t ON t.tgfoid = p.oid "
        "WHERE t.tgrelid = 'tenants'::regclass AND t.tgname = 'forget_tenant'"
    )
    by_trigger = {
        str(mapper.local_table)
        for mapper in TenantModel.registry.mappers
        if getattr(mapper.class_, "__goes_by_trigger__", False)
    }
    assert by_trigger == set(re.findall(r"DELETE FROM (\w+)", trigger))
    dying = {"tenants"} | by_trigger
    for _ in TENANT_NAMES:
        dying |= {table for table, owners in owned.items() if owners & dying}
    assert dying - {"tenants"} == TENANT_NAMES, "every row goes with its tenant, or its owner"


async def test_columns_suit_row_level_security(owner_sql: Owner) -> None:
    """Comparisons of enum and numeric are not leakproof: they could use no index (DESIGN §6)."""
    for row in await owner_sql.fetch(_COLUMNS):
        name = f"{row['table_name']}.{row['column_name']}"
        if row["table_name"] not in TENANT_NAMES:
            continue
        assert row["data_type"] not in ("USER-DEFINED", "numeric", "real"), name
        assert row["data_type"] != "timestamp without time zone", name
        if row["column_name"].endswith("_cents"):
            assert row["data_type"] == "bigint", name
        if row["column_name"].endswith("_at"):
            assert row["data_type"] in ("timestamp with time zone", "bigint"), name
        if row["column_name"] == "tenant_id":
            assert row["column_default"] == "app_tenant_id()", f"{name}: Postgres fills it"
            assert row["is_nullable"] == "NO", name


async def test_pools_start_in_their_roles_and_without_a_tenant(runtime: Runtime) -> None:
    for engine, role in (
        (runtime.database.tenant_engine, TENANT_ROLE),
        (runtime.database.system_engine, None),
    ):
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            user, login = await driver.fetchrow("SELECT current_user, session_user")
            assert user == (role or login)
        assert not any(await scopes_left(engine))


async def test_owner_may_take_the_role_and_is_then_bound(owner_sql: Owner) -> None:
    transaction = owner_sql.transaction()
    await transaction.start()
    await owner_sql.execute(f"SET LOCAL ROLE {TENANT_ROLE}")
    assert await owner_sql.fetchval("SELECT current_user") == TENANT_ROLE
    assert await owner_sql.fetchval("SELECT count(*) FROM users") == 0
    await transaction.rollback()


def test_migrations_have_one_head() -> None:
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "alembic"))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_models_equal_the_migrated_database(environment: dict[str, str]) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_append_only_tables_exist(table: str) -> None:
    assert table in TENANT_NAMES
