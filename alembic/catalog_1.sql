-- The catalogue: the search that may use its index and forgives typos.

-- LIKE and <% are not leakproof, so under row level security no index serves them. This runs as
-- the owner, names the caller's tenant at every table itself, and answers ids alone: without a
-- scope it finds nothing. ``words`` come folded as products.search_text is.
--
-- What holds every word, first what begins with them, then where each begins a word; only when
-- nothing does, what resembles them: a typo of four letters or more is forgiven, the nearest
-- first. ``after`` is the last id of the page before, which also says which of the two it was.
-- The words stand in the statement as literals: the planner then knows how many they match.
CREATE FUNCTION find_products(words text[], in_category text DEFAULT '',
  activity boolean DEFAULT NULL, sold_by uuid DEFAULT NULL, after uuid DEFAULT NULL,
  at_most bigint DEFAULT NULL)
RETURNS SETOF uuid LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET pg_trgm.word_similarity_threshold = 0.45 AS $$
DECLARE
  scope uuid := app_tenant_id();
  page text := 'SELECT p.id FROM products p
    JOIN categories k ON k.tenant_id = p.tenant_id AND k.id = p.category_id
    LEFT JOIN store_products o
      ON o.tenant_id = p.tenant_id AND o.store_id = $4 AND o.product_id = p.id
    WHERE p.tenant_id = $1 AND p.deleted_at IS NULL AND k.deleted_at IS NULL
      AND ($2 = '''' OR k.slug = $2 OR k.id::text = $2) AND ($3 IS NULL OR p.is_active = $3)
      AND ($4 IS NULL OR p.is_active AND k.is_active AND coalesce(o.is_available, true))
      AND %1$s AND ($5 IS NULL OR (%2$s, p.id) < (
        SELECT %2$s, p.id FROM products p WHERE p.tenant_id = $1 AND p.id = $5))
    ORDER BY %2$s DESC, p.id DESC LIMIT $6';
  holds text;
  begins text;
  resembles text;
  nearness text;
  was_held boolean;
BEGIN
  SELECT string_agg(w.holds, ' AND '),
    string_agg(w.begins, ' AND '),
    string_agg(CASE WHEN length(w.word) < 4 THEN w.holds
      ELSE format('(%s OR %L <%% p.search_text)', w.holds, w.word) END, ' AND '),
    string_agg(format('(1000 * word_similarity(%L, p.search_text))::int', w.word), ' + ')
  INTO holds, begins, resembles, nearness
  FROM (SELECT u.word, format('p.search_text LIKE %L', '%' || u.safe || '%') AS holds,
      format('(starts_with(p.search_text, %L) OR p.search_text LIKE %L)', u.word,
        '% ' || u.safe || '%') AS begins
    FROM (SELECT word, regexp_replace(word, '([\\%_])', '\\\1', 'g') AS safe
      FROM unnest(words) word) u) w;
  IF scope IS NULL OR holds IS NULL THEN
    RETURN;
  END IF;
  IF after IS NOT NULL THEN
    EXECUTE 'SELECT ' || holds || ' FROM products p WHERE p.tenant_id = $1 AND p.id = $2'
      INTO was_held USING scope, after;
  END IF;
  IF coalesce(was_held, true) THEN
    RETURN QUERY EXECUTE format(page, holds, format(
        '(2 * starts_with(p.search_text, %L)::int + (%s)::int)',
        array_to_string(words, ' '), begins))
      USING scope, in_category, activity, sold_by, after, at_most;
    IF FOUND OR after IS NOT NULL THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY EXECUTE format(page, resembles, '(' || nearness || ')')
    USING scope, in_category, activity, sold_by, after, at_most;
END $$;
REVOKE EXECUTE ON FUNCTION find_products FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_products TO app_tenant;
