-- name: quality_turn
-- Whether it is this session's turn to measure: it gets the lock that one worker can hold, and the last measurement is old enough.
SELECT pg_try_advisory_lock(%(lock)s) AS has_lock,
       (SELECT coalesce(max(at) < now() - make_interval(secs => %(every_s)s), true) FROM quality) AS is_due;

-- name: thin_quality
-- Of measurements that are older than a month, the first of each day is kept.
DELETE FROM quality WHERE at < now() - interval '30 days'
AND at NOT IN (SELECT min(at) FROM quality WHERE at < now() - interval '29 days' GROUP BY date_trunc('day', at));

-- name: measure_entity
-- Measure one entity and keep the figures: a row for each field. invalid: the value is none of `values`, does not match its pattern in
-- `forms`, or is out of its `bounds`; `more` has invalid values that the caller counted, `anybody` values that link nothing.
WITH live AS (
    SELECT id, record FROM entity WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0
), counted AS (
    SELECT f.field, count(*) FILTER (WHERE live.record->>f.field <> '') AS complete,
           count(*) FILTER (WHERE f.field = ANY(%(unique)s::text[]) AND live.record->>f.field <> '')
             - count(DISTINCT live.record->>f.field) FILTER (WHERE f.field = ANY(%(unique)s::text[]) AND live.record->>f.field <> '') AS repeated,
           count(*) FILTER (WHERE live.record->>f.field <> '' AND CASE
               WHEN %(values)s::jsonb ? f.field THEN NOT (%(values)s::jsonb->f.field ? (live.record->>f.field))
               WHEN %(forms)s::jsonb ? f.field THEN live.record->>f.field !~ (%(forms)s::jsonb->>f.field)
               WHEN jsonb_typeof(live.record->f.field) = 'number' AND %(bounds)s::jsonb ? f.field
               THEN (live.record->>f.field)::numeric NOT BETWEEN (%(bounds)s::jsonb->f.field->>0)::numeric AND (%(bounds)s::jsonb->f.field->>1)::numeric
               END) + coalesce((%(more)s::jsonb->>f.field)::bigint, 0) AS invalid
    FROM live CROSS JOIN unnest(%(fields)s::text[]) f(field) GROUP BY f.field
), disputed AS (
    SELECT field, count(DISTINCT entity_id) AS n FROM (
        SELECT field, entity_id FROM conflict WHERE entity = %(entity)s AND resolved_at IS NULL AND outcome <> 'decided' AND kind NOT IN ('match_key', 'shared_key')
        UNION ALL  -- a match key is of one field or several: tax_id=de1, email_domain=a.example|name=a
        SELECT CASE split_part(key_field, '=', 1) WHEN 'email_domain' THEN 'email' ELSE split_part(key_field, '=', 1) END, entity_id
        FROM conflict, string_to_table(field, '|') key_field WHERE entity = %(entity)s AND resolved_at IS NULL AND kind IN ('match_key', 'shared_key')
    ) fields GROUP BY field
), orphaned AS (
    SELECT r.field, count(*) AS n FROM live CROSS JOIN unnest(%(refs)s::text[]) r(field)
    WHERE live.record->>r.field IS NOT NULL
      AND NOT EXISTS (SELECT FROM entity p WHERE p.id = (live.record->>r.field)::uuid AND p.version > 0 AND NOT p.deleted)
    GROUP BY r.field
)
INSERT INTO quality (at, entity, field, records, complete, invalid, repeated, disagreeing, orphans, anybody)
SELECT %(at)s, %(entity)s, counted.field, (SELECT count(*) FROM live), counted.complete, counted.invalid, counted.repeated,
       coalesce(disputed.n, 0), coalesce(orphaned.n, 0), coalesce((%(anybody)s::jsonb->>counted.field)::bigint, 0)
FROM counted LEFT JOIN disputed USING (field) LEFT JOIN orphaned USING (field)
RETURNING entity, field, records, complete, invalid, repeated, disagreeing, orphans, anybody;

-- name: quality_history
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, entity, field, records, complete, invalid, repeated,
       disagreeing, orphans, anybody
FROM quality
WHERE (%(entities)s::text[] IS NULL OR entity = ANY(%(entities)s)) AND (%(fields)s::text[] IS NULL OR field = ANY(%(fields)s))
ORDER BY entity, field, at;

-- name: country_values
-- Values that look like a country code, with how many records have each.
SELECT record->>%(field)s AS value, count(*) AS records FROM entity
WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0 AND record->>%(field)s ~ '^[A-Z]{2}$'
GROUP BY 1;

-- name: identifying_values
-- Values of a field with the country of the record, if it has one.
SELECT record->>%(field)s AS value, record->>'billing_country' AS country FROM entity
WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0 AND record->>%(field)s <> '';

-- name: latest_quality
-- The newest figures of each of these entities. The primary key begins with the time, so each look reads a few rows from its end.
SELECT to_char(q.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, q.entity, q.field, q.records, q.complete, q.invalid,
       q.repeated, q.disagreeing, q.orphans, q.anybody
FROM unnest(%(entities)s::text[]) AS e (entity)
CROSS JOIN LATERAL (SELECT l.at FROM quality l WHERE l.entity = e.entity ORDER BY l.at DESC LIMIT 1) newest
JOIN quality q ON q.at = newest.at AND q.entity = e.entity ORDER BY q.entity, q.field;

-- name: quality_trend
-- Of the last measurements the times, at most `points`, and of the days before the first of each: then the figures at these times.
WITH RECURSIVE last AS (
    (SELECT at, 1 AS number FROM quality ORDER BY at DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT q.at FROM quality q WHERE q.at < last.at ORDER BY q.at DESC LIMIT 1), number + 1
    FROM last WHERE last.at IS NOT NULL AND number < %(points)s
), days AS (
    SELECT (SELECT q.at FROM quality q WHERE q.at >= d AND q.at < d + interval '1 day' ORDER BY q.at LIMIT 1) AS at
    FROM generate_series(date_trunc('day', now()) - interval '30 days', date_trunc('day', now()), interval '1 day') AS d
), times AS (SELECT at FROM last UNION SELECT at FROM days)
SELECT to_char(q.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, q.entity, q.field, q.records, q.complete, q.invalid,
       q.repeated, q.disagreeing, q.orphans, q.anybody
FROM times t JOIN quality q ON q.at = t.at
WHERE (%(entity)s::text IS NULL OR q.entity = %(entity)s) AND (%(field)s::text IS NULL OR q.field = %(field)s)
ORDER BY q.entity, q.field, q.at;

-- name: records_of_form
-- A few records whose value of a field does not look as it should.
SELECT id::text AS id, record->>%(field)s AS value FROM entity
WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0
  AND coalesce(record->>%(field)s, '') <> '' AND record->>%(field)s !~ %(form)s LIMIT %(limit)s;

-- name: records_without
-- A few records without a value of a field.
SELECT id::text AS id, NULL::text AS value FROM entity
WHERE entity = %(entity)s AND merged_into IS NULL AND NOT deleted AND version > 0
  AND coalesce(record->>%(field)s, '') = '' LIMIT %(limit)s;
