-- As in checkout_1.sql, and who acted in somebody else's name.
-- Everything a Work tells, right before its commit, in one statement: audit lines, jobs, the stored
-- answer, and the rows of the live stream. The advisory lock makes their seq follow commit order
-- within the tenant; being the last to be taken, it is held for the commit alone. Jobs are
-- inserted as PgQueuer 1.6 does it, less the log row that says "queued" and its ten index entries.
CREATE OR REPLACE FUNCTION finish_work(told jsonb, answer_key text DEFAULT NULL,
  answer_fingerprint bytea DEFAULT NULL, answer_status bigint DEFAULT NULL,
  answer_media_type text DEFAULT NULL, answer_body bytea DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH ordered AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 20))
    WHERE told ? 'stream'
  ), streamed AS (
    INSERT INTO stream_events (id, topic, type, data)
    SELECT s.id, s.topic, s.type, s.data FROM ordered,
      jsonb_to_recordset(told->'stream') AS s(id uuid, topic text, type text, data jsonb)
  ), queued AS (
    INSERT INTO pgqueuer (entrypoint, payload, priority, execute_after, dedupe_key, status)
    SELECT j.entrypoint, convert_to(j.payload, 'UTF8'), j.priority,
      now() + make_interval(secs => j.delay), j.dedupe_key, 'queued'
    FROM jsonb_to_recordset(coalesce(told->'jobs', '[]'))
      AS j(entrypoint text, payload text, priority int, delay float, dedupe_key text)
    ON CONFLICT (dedupe_key)
      WHERE status = ANY (ARRAY['queued'::pgqueuer_status, 'picked'::pgqueuer_status])
        AND dedupe_key IS NOT NULL
      DO NOTHING
  ), answered AS (
    INSERT INTO idempotency_records (id, key, fingerprint, status, media_type, body)
    SELECT (told->>'answer_id')::uuid, answer_key, answer_fingerprint, answer_status,
      answer_media_type, answer_body
    WHERE answer_key IS NOT NULL
  )
  INSERT INTO audit_entries (id, action, resource, resource_id, facts, actor_kind, actor_id,
    actor_name, request_id, ip, user_agent, impersonator_id, impersonator_name)
  SELECT a.id, a.action, a.resource, a.resource_id, a.facts, told->>'actor_kind',
    (told->>'actor_id')::uuid, told->>'actor_name', told->>'request_id', told->>'ip',
    told->>'user_agent', (told->>'impersonator_id')::uuid, told->>'impersonator_name'
  FROM jsonb_to_recordset(told->'audit')
    AS a(id uuid, action text, resource text, resource_id uuid, facts jsonb);
END $$;
