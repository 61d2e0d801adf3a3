-- Messages: the search that may use its index.

-- LIKE is not leakproof, so under row level security no index serves it. This runs as the owner,
-- names the caller's tenant itself, and answers ids alone: without a scope it finds nothing.
-- Each pattern stands in the statement as a literal: the planner then knows how many it matches.
CREATE FUNCTION find_messages(patterns text[], before uuid DEFAULT NULL,
  at_most bigint DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  scope uuid := app_tenant_id();
  wanted text;
BEGIN
  SELECT string_agg(format('m.search_text LIKE %L', p), ' AND ') INTO wanted FROM unnest(patterns) p;
  IF scope IS NULL OR wanted IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT m.id FROM messages m WHERE m.tenant_id = $1 AND ' || wanted ||
    ' AND m.revoked_at IS NULL AND ($2 IS NULL OR m.id < $2) ORDER BY m.id DESC LIMIT $3'
    USING scope, before, at_most;
END $$;
REVOKE EXECUTE ON FUNCTION find_messages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_messages TO app_tenant;
