-- A cart becomes one order at most, whatever the keys of its checkouts are.
-- Callers: app/commerce/checkout/repository.py, place_orders in checkout_3.sql.

-- As in checkout_3.sql; ``earlier`` is the number of the order that this cart became before, and
-- then nothing else is written.
DROP FUNCTION write_order(jsonb);
CREATE FUNCTION write_order(o jsonb, OUT number bigint, OUT is_blocked boolean, OUT taken bigint,
  OUT scarce text, OUT earlier bigint)
LANGUAGE plpgsql AS $$
DECLARE
  order_id uuid := (o->>'id')::uuid;
  store uuid := (o->>'store_id')::uuid;
  phones text[] := (o->>'phones')::text[];
  items uuid[] := (o->>'stock_items')::uuid[];
  contact uuid;
  known_phone text;
  is_new boolean := false;
BEGIN
  IF o ? 'uses' THEN
    PERFORM FROM promotions p
    WHERE p.id IN (SELECT (u->>'promotion_id')::uuid FROM jsonb_array_elements(o->'uses') u)
    ORDER BY p.id FOR NO KEY UPDATE;
    UPDATE promotions p SET used_count = used_count + 1,
      spent_cents = spent_cents + u.amount_cents + u.shipping_cents
    FROM jsonb_to_recordset(o->'uses')
      AS u(promotion_id uuid, amount_cents bigint, shipping_cents bigint)
    WHERE p.id = u.promotion_id;
  END IF;

  -- A number known with or without its ninth digit is the same person's.
  WITH counter AS (
    INSERT INTO order_counters AS c (id, last_number) VALUES (order_id, 1)
    ON CONFLICT (tenant_id) DO UPDATE SET last_number = c.last_number + 1
    RETURNING c.last_number
  )
  SELECT counter.last_number, k.id, k.phone, k.is_blocked
  INTO number, contact, known_phone, is_blocked
  FROM counter LEFT JOIN LATERAL (
    -- Two forms at most; of an array the planner expects ten, and reads every contact instead.
    SELECT c.id, c.phone, c.is_blocked FROM contacts c WHERE c.phone IN (phones[1], phones[2])
    ORDER BY array_position(phones, c.phone) LIMIT 1
  ) k ON true;
  -- The counter is held to the end: whoever had this cart before has committed or gone.
  IF o ? 'cart_id' THEN
    SELECT p.number INTO earlier FROM orders p WHERE p.cart_id = (o->>'cart_id')::uuid;
  END IF;
  IF is_blocked OR earlier IS NOT NULL THEN
    RETURN;
  ELSIF contact IS NULL THEN
    is_new := true;
    INSERT INTO contacts AS c (id, name, phone, email, source, last_order_at)
    VALUES ((o->>'contact_id')::uuid, o->>'customer_name', phones[1], o->>'customer_email',
      o->>'source', now())
    ON CONFLICT (tenant_id, phone) DO UPDATE SET last_order_at = now()
    RETURNING c.id, c.phone, c.is_blocked INTO contact, known_phone, is_blocked;
  ELSE
    -- Whoever knows a number may order with it, but not rename the person it belongs to.
    UPDATE contacts c SET last_order_at = now() WHERE c.id = contact;
    -- Apart, because naming a column in SET has what is computed from it computed again.
    IF o->>'customer_email' IS NOT NULL THEN
      UPDATE contacts c SET email = o->>'customer_email' WHERE c.id = contact AND c.email IS NULL;
    END IF;
  END IF;

  WITH placed AS (
    INSERT INTO orders (id, number, store_id, contact_id, customer_name, customer_phone,
      fulfilment, scheduled_for, promised_at, subtotal_cents, discount_cents, shipping_cents,
      shipping_discount_cents, total_cents, currency, note, source, cart_id)
    VALUES (order_id, number, store, contact, o->>'customer_name', known_phone, o->>'fulfilment',
      (o->>'scheduled_for')::timestamptz, (o->>'promised_at')::timestamptz,
      (o->>'subtotal_cents')::bigint, (o->>'discount_cents')::bigint,
      (o->>'shipping_cents')::bigint, (o->>'shipping_discount_cents')::bigint,
      (o->>'total_cents')::bigint, o->>'currency', o->>'note', o->>'source',
      (o->>'cart_id')::uuid)
  ), lines AS (
    INSERT INTO order_items (id, order_id, position, product_id, variant_id, name, variant_name,
      unit_price_cents, quantity, discount_cents, total_cents, modifiers, note)
    SELECT l.id, order_id, l.position, l.product_id, l.variant_id, l.name, l.variant_name,
      l.unit_price_cents, l.quantity, l.discount_cents,
      l.unit_price_cents * l.quantity - l.discount_cents, l.modifiers, l.note
    FROM jsonb_to_recordset(o->'lines') AS l(id uuid, position bigint, product_id uuid,
      variant_id uuid, name text, variant_name text, unit_price_cents bigint, quantity bigint,
      discount_cents bigint, modifiers jsonb, note text)
  ), paid AS (
    INSERT INTO payments (id, order_id, method, amount_cents, change_for_cents)
    VALUES (order_id, order_id, o->>'payment_method', (o->>'total_cents')::bigint,
      (o->>'change_for_cents')::bigint)
  ), carried AS (
    INSERT INTO deliveries (id, order_id, postal_code, address, distance_meters, fee_cents,
      minutes, rule_id)
    SELECT order_id, order_id, o->>'postal_code', o->'address', (o->>'distance_meters')::bigint,
      (o->>'shipping_cents')::bigint, (o->>'minutes')::bigint, (o->>'rule_id')::uuid
    WHERE o ? 'address'
  ), remembered AS (
    INSERT INTO customer_addresses (id, contact_id, postal_code, address)
    SELECT order_id, contact, o->>'postal_code', o->'address'
    WHERE o ? 'address' AND (is_new OR NOT EXISTS (SELECT FROM customer_addresses a
      WHERE a.contact_id = contact AND a.address = o->'address'))
  )
  INSERT INTO order_status_changes (id, order_id, after, actor_kind, actor_name)
  VALUES (order_id, order_id, 'pending', o->>'actor_kind', o->>'actor_name');

  IF o ? 'uses' THEN
    INSERT INTO promotion_redemptions (id, promotion_id, order_id, contact_id, name, code,
      amount_cents, shipping_cents)
    SELECT u.id, u.promotion_id, order_id, contact, u.name, u.code, u.amount_cents,
      u.shipping_cents
    FROM jsonb_to_recordset(o->'uses') AS u(id uuid, promotion_id uuid, name text, code text,
      amount_cents bigint, shipping_cents bigint);
  END IF;

  taken := 0;
  IF items IS NOT NULL THEN
    WITH locked AS MATERIALIZED (
      SELECT l.id, d.quantity, d.movement_id
      FROM unnest(items, (o->>'stock_quantities')::bigint[], (o->>'stock_movements')::uuid[])
        AS d(item_id, quantity, movement_id)
      JOIN stock_levels l ON l.item_id = d.item_id
      -- The list again: it makes the planner look the items up, not read the store's all.
      WHERE l.store_id = store AND l.item_id = ANY (items) AND l.on_hand >= d.quantity
      ORDER BY l.item_id FOR NO KEY UPDATE OF l
    ), sold AS (
      UPDATE stock_levels l SET on_hand = l.on_hand - k.quantity FROM locked k WHERE l.id = k.id
      RETURNING l.id, l.item_id, l.item_kind, l.on_hand, l.low_at, k.quantity, k.movement_id
    ), moved AS (
      INSERT INTO stock_movements (id, store_id, item_kind, item_id, kind, quantity, order_id,
        actor_name)
      SELECT s.movement_id, store, s.item_kind, s.item_id, 'sale', -s.quantity, order_id,
        o->>'actor_name' FROM sold s
    )
    SELECT count(*), (json_agg(s) FILTER (WHERE s.on_hand = 0
        OR (s.on_hand <= s.low_at AND s.on_hand + s.quantity > s.low_at)))::text
    INTO taken, scarce FROM sold s;
  END IF;
END $$;

-- As in checkout_3.sql; a cart ordered before is not an ordinary one either.
CREATE OR REPLACE FUNCTION place_order(tenant uuid, known_version bigint, o jsonb, token text,
  told_text text, answer_key text, answer_fingerprint bytea, answer_status bigint,
  answer_media_type text, answer_text text, OUT outcome text, OUT number bigint)
LANGUAGE plpgsql AS $$
DECLARE
  written record;
  is_answered boolean;
  version_now bigint;
BEGIN
  -- Conditions, because plpgsql evaluates those without a statement of their own. The lock is
  -- that of claim_idempotency; what follows it has a snapshot taken after the wait.
  IF set_config('app.tenant_id', tenant::text, true) IS NULL
      OR pg_advisory_xact_lock(hashtextextended(tenant::text || ':' || answer_key, 21)) IS NULL THEN
    RETURN;
  END IF;
  SELECT EXISTS (SELECT FROM idempotency_records r WHERE r.key = answer_key),
    coalesce((SELECT v.version FROM price_versions v), 0)
  INTO is_answered, version_now;
  IF is_answered THEN
    outcome := 'answered';
  ELSIF version_now <> known_version THEN
    outcome := 'stale';
  ELSE
    written := write_order(o);
    IF written.is_blocked OR written.scarce IS NOT NULL OR written.earlier IS NOT NULL
        OR written.taken <> coalesce(array_length((o->>'stock_items')::uuid[], 1), 0) THEN
      RAISE EXCEPTION 'this order is not an ordinary one' USING ERRCODE = 'LG001',
        DETAIL = o->>'id';
    END IF;
    IF finish_work(replace(told_text, token, written.number::text)::jsonb, answer_key,
        answer_fingerprint, answer_status, answer_media_type,
        convert_to(replace(answer_text, token, written.number::text), 'UTF8')) IS NULL THEN
      RETURN;
    END IF;
    outcome := 'placed';
    number := written.number;
  END IF;
END $$;
