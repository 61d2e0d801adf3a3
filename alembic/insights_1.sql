-- What happens to orders older than six hours is noted for the sums of their day. The sums take
-- a day in seven hours after its end at the earliest, so no transaction of a younger order (none
-- lasts an hour) can touch a day that is summed up; a checkout meets only the WHEN of its trigger.

CREATE FUNCTION note_insight_change(tenant uuid, store uuid, the_order uuid, contact uuid,
  placed timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  me bigint := pg_current_xact_id()::text::bigint;
BEGIN
  -- Rows of other transactions do not count: the job may be about to delete them.
  IF NOT EXISTS (SELECT FROM insight_changes c WHERE c.tenant_id = tenant
      AND c.order_id = the_order AND c.xact = me AND c.store_id = store
      AND c.contact_id = contact AND c.placed_at = placed) THEN
    INSERT INTO insight_changes (tenant_id, store_id, order_id, contact_id, placed_at, xact)
    VALUES (tenant, store, the_order, contact, placed, me);
  END IF;
EXCEPTION WHEN foreign_key_violation THEN NULL; -- the store goes with its tenant
END $$;

CREATE FUNCTION note_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM note_insight_change(OLD.tenant_id, OLD.store_id, OLD.id, OLD.contact_id,
      OLD.placed_at);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM note_insight_change(NEW.tenant_id, NEW.store_id, NEW.id, NEW.contact_id,
      NEW.placed_at);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION note_order_part_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM note_insight_change(o.tenant_id, o.store_id, o.id, o.contact_id, o.placed_at)
  FROM orders o
  WHERE o.tenant_id = coalesce(NEW.tenant_id, OLD.tenant_id)
    AND o.id = coalesce(NEW.order_id, OLD.order_id)
    AND o.placed_at < now() - interval '6 hours';
  RETURN NULL;
END $$;

CREATE TRIGGER insight_insert AFTER INSERT ON orders FOR EACH ROW
  WHEN (NEW.placed_at < now() - interval '6 hours') EXECUTE FUNCTION note_order_change();
CREATE TRIGGER insight_update AFTER UPDATE ON orders FOR EACH ROW
  WHEN ((OLD.placed_at < now() - interval '6 hours' OR NEW.placed_at < now() - interval '6 hours')
    AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION note_order_change();
CREATE TRIGGER insight_delete AFTER DELETE ON orders FOR EACH ROW
  WHEN (OLD.placed_at < now() - interval '6 hours') EXECUTE FUNCTION note_order_change();
