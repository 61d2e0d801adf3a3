-- Searching contacts: a page of what many match is read off the key, newest first, until it is
-- full; what few match is found in the index of their letters. Which of the two, the planner
-- knows by the literals, the limit among them.
CREATE OR REPLACE FUNCTION find_contacts(patterns text[], before uuid DEFAULT NULL,
  at_most bigint DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  scope uuid := app_tenant_id();
  wanted text;
  bound text;
  few text;
BEGIN
  SELECT string_agg(format('c.search_text LIKE %L', p), ' AND ') INTO wanted FROM unnest(patterns) p;
  IF scope IS NULL OR wanted IS NULL THEN
    RETURN;
  END IF;
  wanted := format('c.tenant_id = %L AND %s', scope, wanted);
  bound := CASE WHEN before IS NULL THEN '' ELSE format(' AND %%s < %L', before) END;
  few := CASE WHEN at_most IS NULL THEN '' ELSE format(' LIMIT %s', at_most) END;
  -- A match on a merged contact is a match on who stays; merged ones are few.
  RETURN QUERY EXECUTE
    '(SELECT c.id FROM contacts c WHERE c.merged_into_id IS NULL AND ' || wanted
    || format(bound, 'c.id') || ' ORDER BY c.id DESC' || few
    || ') UNION (SELECT c.merged_into_id FROM contacts c WHERE c.merged_into_id IS NOT NULL AND '
    || wanted || format(bound, 'c.merged_into_id') || ') ORDER BY 1 DESC' || few;
END $$;
