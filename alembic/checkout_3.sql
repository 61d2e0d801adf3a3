-- Checkouts of one process, written together: one trip and one flush of the log for several.
-- Caller: app/commerce/checkout/group_commit.py.

-- As in checkout_1.sql; the refusal now names the order that it is about.
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
    IF written.is_blocked OR written.scarce IS NOT NULL
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

-- Each order under the scope of its own tenant, one after the other; no number: not placed. The
-- caller sends at most one order of a tenant, tenants in id order, so that no two of these calls
-- wait for each other in a circle. Whatever fails undoes all; one that waits must not make the
-- others wait for long.
CREATE FUNCTION place_orders(tenants uuid[], versions bigint[], documents text[], tokens text[],
  told_texts text[], answer_keys text[], fingerprints bytea[], statuses bigint[],
  media_types text[], answer_texts text[], OUT numbers bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  many bigint := array_length(tenants, 1);
  placed record;
BEGIN
  IF many > 1 AND set_config('lock_timeout', '100ms', true) IS NULL THEN
    RETURN;
  END IF;
  FOR n IN 1 .. many LOOP
    placed := place_order(tenants[n], versions[n], documents[n]::jsonb, tokens[n], told_texts[n],
      answer_keys[n], fingerprints[n], statuses[n], media_types[n], answer_texts[n]);
    numbers[n] := placed.number;
  END LOOP;
END $$;

-- What every order writes has no foreign key to its tenant: it goes with the tenant all the same.
CREATE FUNCTION forget_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM audit_entries WHERE tenant_id = OLD.id;
  DELETE FROM idempotency_records WHERE tenant_id = OLD.id;
  DELETE FROM orders WHERE tenant_id = OLD.id;
  DELETE FROM stream_events WHERE tenant_id = OLD.id;
  RETURN NULL;
END $$;
