-- Contacts: the search that may use its index, and what follows a merged contact.

-- LIKE is not leakproof, so under row level security no index serves it. This runs as the owner,
-- names the caller's tenant itself, and answers ids alone: without a scope it finds nothing.
-- Each pattern stands in the statement as a literal: the planner then knows how many it matches.
-- A match on a merged contact is a match on who stays.
CREATE FUNCTION find_contacts(patterns text[], before uuid DEFAULT NULL,
  at_most bigint DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  scope uuid := app_tenant_id();
  wanted text;
BEGIN
  SELECT string_agg(format('c.search_text LIKE %L', p), ' AND ') INTO wanted FROM unnest(patterns) p;
  IF scope IS NULL OR wanted IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT DISTINCT coalesce(c.merged_into_id, c.id) FROM contacts c WHERE c.tenant_id = $1 AND '
    || wanted || ' AND ($2 IS NULL OR coalesce(c.merged_into_id, c.id) < $2) ORDER BY 1 DESC LIMIT $3'
    USING scope, before, at_most;
END $$;
REVOKE EXECUTE ON FUNCTION find_contacts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_contacts TO app_tenant;

-- What commerce keeps of a merged contact stands with who stays, and returns when that is undone.
-- Deferred to the commit: a checkout with the merged one's telephone touches its contact first and
-- writes the order afterwards. Contacts that are nobody's double never come here.
CREATE FUNCTION settle_merged() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was uuid := OLD.merged_into_id;
  stays uuid := NEW.merged_into_id;
  here uuid := coalesce(NEW.merged_into_id, NEW.id);
  scope text := current_setting('app.tenant_id', true);
  moved bigint := 0;
BEGIN
  -- A statement may place orders of several tenants, and this runs after the last of them.
  PERFORM set_config('app.tenant_id', NEW.tenant_id::text, true);
  IF was IS NOT NULL AND stays IS DISTINCT FROM was THEN
    UPDATE orders SET contact_id = here WHERE tenant_id = NEW.tenant_id AND contact_id = was
      AND id IN (SELECT m.row_id FROM customer_moves m WHERE m.tenant_id = NEW.tenant_id
        AND m.merged_id = NEW.id AND m.kind = 'order');
    GET DIAGNOSTICS moved = ROW_COUNT;
    UPDATE customer_addresses SET contact_id = here
    WHERE tenant_id = NEW.tenant_id AND contact_id = was
      AND id IN (SELECT m.row_id FROM customer_moves m WHERE m.tenant_id = NEW.tenant_id
        AND m.merged_id = NEW.id AND m.kind = 'address');
    UPDATE promotion_redemptions SET contact_id = here
    WHERE tenant_id = NEW.tenant_id AND contact_id = was
      AND id IN (SELECT m.row_id FROM customer_moves m WHERE m.tenant_id = NEW.tenant_id
        AND m.merged_id = NEW.id AND m.kind = 'redemption');
    IF stays IS NULL THEN
      DELETE FROM customer_moves WHERE tenant_id = NEW.tenant_id AND merged_id = NEW.id;
    END IF;
    IF moved > 0 THEN
      UPDATE contacts SET last_order_at = (SELECT max(o.placed_at) FROM orders o
        WHERE o.tenant_id = NEW.tenant_id AND o.contact_id = was)
      WHERE tenant_id = NEW.tenant_id AND id = was;
    END IF;
  END IF;

  IF stays IS NOT NULL THEN
    WITH ours AS (
      UPDATE orders SET contact_id = stays WHERE tenant_id = NEW.tenant_id AND contact_id = NEW.id
      RETURNING id
    ), homes AS (
      UPDATE customer_addresses a SET contact_id = stays
      WHERE a.tenant_id = NEW.tenant_id AND a.contact_id = NEW.id
        AND NOT EXISTS (SELECT FROM customer_addresses k WHERE k.tenant_id = NEW.tenant_id
          AND k.contact_id = stays AND k.postal_code = a.postal_code AND k.address = a.address)
      RETURNING id
    ), uses AS (
      UPDATE promotion_redemptions SET contact_id = stays
      WHERE tenant_id = NEW.tenant_id AND contact_id = NEW.id RETURNING id
    ), rows AS (
      SELECT 'order' AS kind, id FROM ours
      UNION ALL SELECT 'address', id FROM homes
      UNION ALL SELECT 'redemption', id FROM uses
    )
    INSERT INTO customer_moves (tenant_id, id, merged_id, kind, row_id)
    SELECT NEW.tenant_id, gen_random_uuid(), NEW.id, r.kind, r.id FROM rows r
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS moved = ROW_COUNT;
    -- Who stays may be ordering at this moment, which notes the time itself: never wait for it
    -- here, where stock is locked already.
    IF moved > 0 THEN
      UPDATE contacts c SET last_order_at = n.at
      FROM (SELECT max(o.placed_at) AS at FROM orders o
        WHERE o.tenant_id = NEW.tenant_id AND o.contact_id = stays) n
      WHERE c.tenant_id = NEW.tenant_id AND c.id IN (SELECT k.id FROM contacts k
          WHERE k.tenant_id = NEW.tenant_id AND k.id = stays FOR NO KEY UPDATE SKIP LOCKED)
        AND n.at > coalesce(c.last_order_at, '-infinity');
    END IF;
  END IF;
  PERFORM set_config('app.tenant_id', coalesce(scope, ''), true);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settle_merged AFTER UPDATE ON contacts DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.merged_into_id IS NOT NULL OR OLD.merged_into_id IS NOT NULL)
EXECUTE FUNCTION settle_merged();
