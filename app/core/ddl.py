"""DDL that migrations share: the tenant role, the policy of a tenant table, checked statuses."""

from __future__ import annotations

TENANT_ROLE = "app_tenant"
MIGRATION_LOCK = 7_210_450_331
"""Advisory lock of whoever changes the schema; who copies it whole shares it."""

# The nullif matters: after the first SET LOCAL ends, the setting is '' and not NULL.
SCOPE_FUNCTION = """
CREATE OR REPLACE FUNCTION app_tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$
"""

# Roles belong to the cluster: parallel migrations of two databases meet here.
CREATE_ROLE = f"""
DO $$ BEGIN
  CREATE ROLE {TENANT_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""

GRANT_ROLE = f"""
DO $$ BEGIN
  IF NOT pg_has_role(current_user, '{TENANT_ROLE}', 'SET') THEN
    EXECUTE format('GRANT {TENANT_ROLE} TO %I', current_user);
  END IF;
END $$
"""


def enable_tenant_rls(table: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> list[str]:
    """The statements that put ``table`` under row level security for the tenant role."""
    scope = "tenant_id = (SELECT app_tenant_id())"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_isolation ON {table} TO {TENANT_ROLE} "
        f"USING ({scope}) WITH CHECK ({scope})",
        f"GRANT {grants} ON {table} TO {TENANT_ROLE}",
    ]


def one_of(column: str, values: type[object] | tuple[str, ...]) -> str:
    """A CHECK condition for a status column: text + CHECK, as enums are not leakproof.

    The values are one constant: Postgres parses the conditions anew for each statement that
    inserts, and a list costs it as many expressions as it has members.
    """
    members = [str(v) for v in values]  # type: ignore[union-attr]
    return f"{column} = ANY ('{{{','.join(members)}}}'::text[])"
