-- The search of people: which records a text may mean. Functions: streams/hub/finding.py.

-- name: records_by_id
-- These ids as the records that they are now: of a merged record the one that it was merged into.
SELECT DISTINCT coalesce(merged_into, id)::text AS id FROM entity WHERE id = ANY(%(ids)s::uuid[]);

-- name: find_by_number
-- Records whose number is this, begins so, or has these digits at its end; `rank`: 0 the number itself, 1 its digits, 2 its beginning.
SELECT id::text, min(rank) AS rank FROM (
    (SELECT id, CASE WHEN find_number = lower(%(number)s) THEN 0 ELSE 2 END AS rank FROM unnest(%(kinds)s::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT id, find_number FROM entity WHERE entity = k.kind AND find_number >= lower(%(number)s) AND find_number < lower(%(number)s) || chr(1114111)
        ORDER BY find_number, id LIMIT %(limit)s) d)
    UNION ALL
    (SELECT id, 1 FROM entity WHERE find_digits = %(digits)s LIMIT %(limit)s)) matches
GROUP BY id ORDER BY rank, id LIMIT 10 * %(limit)s;

-- name: find_by_name
-- Records whose name is this, begins so or has this part; `rank` 0, 3 or 4. A word that many names have is found among the first 5,000 customers: see
-- customers_named. `version > 0` is not in the index of names: without it Postgres reads that whole index for a word of which it expects many.
WITH common AS (
    SELECT id FROM (SELECT id, find_name FROM entity WHERE entity = 'customer' AND find_name IS NOT NULL ORDER BY find_name, id LIMIT 5000) e
    WHERE find_name LIKE %(like)s LIMIT 3 * %(limit)s)
SELECT id::text, min(rank) AS rank FROM (
    (SELECT id, CASE WHEN find_name = %(text)s THEN 0 ELSE 3 END AS rank FROM unnest(%(kinds)s::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT id, find_name FROM entity WHERE entity = k.kind AND find_name >= %(text)s AND find_name < %(text)s || chr(1114111)
        ORDER BY find_name, id LIMIT %(limit)s) d)
    UNION ALL
    SELECT id, 4 FROM common
    UNION ALL
    (SELECT id, 4 FROM entity WHERE (SELECT count(*) FROM common) < 3 * %(limit)s AND version > 0
     AND (%(like)s::text IS NOT NULL AND %(pairs)s::text[] IS NULL AND find_name LIKE %(like)s
          OR %(pairs)s::text[] IS NOT NULL AND find_pairs @> %(pairs)s AND position(%(text)s IN find_name) > 0)
     LIMIT 3 * %(limit)s)) matches
GROUP BY id ORDER BY rank, id LIMIT 10 * %(limit)s;

-- name: find_by_email
SELECT id::text, CASE WHEN find_email = lower(%(text)s) THEN 0 ELSE 2 END AS rank FROM entity
WHERE find_email >= lower(%(text)s) AND find_email < lower(%(text)s) || chr(1114111) ORDER BY find_email, id LIMIT %(limit)s;

-- name: find_by_phone
SELECT id::text, 1 AS rank FROM entity WHERE find_phone = %(digits)s ORDER BY id LIMIT %(limit)s;

-- name: find_by_tax_id
SELECT id::text, 0 AS rank FROM entity WHERE find_tax_id = upper(%(text)s) ORDER BY id LIMIT %(limit)s;

-- name: found_records
-- What is shown of these records. An aggregate's id stands for itself: most are the id of a record, too.
SELECT e.id::text AS id, e.entity, e.aggregate_id::text AS aggregate_id, e.deleted, e.version,
       CASE WHEN e.entity IN ('customer', 'contact', 'product', 'opportunity') THEN coalesce(e.record->>'name', nullif(concat_ws(' ', e.record->>'first_name', e.record->>'last_name'), '')) END AS name,
       coalesce(e.record->>'number', e.record->>'serial_number', e.record->>'sku', e.record->>'order_number', e.record->>'opportunity_number') AS number,
       c.id::text AS customer_id, c.record->>'name' AS customer, coalesce(e.record->>'stage', e.record->>'status') AS state, e.record->>'currency' AS currency,
       coalesce(e.record->'gross_amount', e.record->'amount', e.record->'ordered_gross_amount')::bigint AS amount, e.updated_us, e.record->>'billing_city' AS city
FROM entity e LEFT JOIN entity n ON n.id = (e.record->>'customer_id')::uuid AND n.id <> e.id LEFT JOIN entity c ON c.id = coalesce(n.merged_into, n.id)
WHERE e.id = ANY(%(ids)s::uuid[]) AND e.merged_into IS NULL AND e.version > 0;

-- name: browse_named
-- Records of an entity by name, those after (name, id).
SELECT id::text, find_name AS place FROM entity WHERE entity = %(entity)s AND find_name IS NOT NULL AND (find_name, id) > (%(after)s, %(after_id)s::uuid)
ORDER BY find_name, id LIMIT %(limit)s;

-- name: browse_numbered
-- Records of an entity by number, the highest first, those before (number, id).
SELECT id::text, find_number AS place FROM entity WHERE entity = %(entity)s AND find_number IS NOT NULL AND (find_number, id) < (%(after)s, %(after_id)s::uuid)
ORDER BY find_number DESC, id DESC LIMIT %(limit)s;

-- name: entity_counts
-- About how many live records of each entity there are, by the statistics of Postgres: counting would read the whole table.
SELECT value AS entity, (share * (SELECT reltuples FROM pg_class WHERE oid = 'entity'::regclass))::bigint AS count
FROM pg_stats, unnest(most_common_vals::text::text[], most_common_freqs) AS common (value, share)
WHERE schemaname = current_schema AND tablename = 'entity' AND attname = 'entity';

-- name: find_intent
SELECT id, rule, state, aggregate_id::text AS aggregate_id FROM intent WHERE id = %(number)s;

-- name: find_dead_letter
SELECT id, topic, partition, position, state, reason FROM dead_letter
WHERE id = %(number)s OR topic = %(topic)s AND partition = %(partition)s AND position = %(position)s;
