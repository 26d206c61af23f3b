-- Lists of order flows for people. The lists give (id, since); `flow_lines` gives what is shown of each. Functions: streams/hub/flow_lists.py.

-- name: flows_by_time
-- Live flows, those that came into their stage last first, after the one that came into it at `after_us` with the id `after_id`.
SELECT id::text AS record_id, flow_since AS since_us FROM entity
WHERE flow_since IS NOT NULL AND (flow_since, id) < (%(after_us)s::bigint, %(after_id)s::uuid) ORDER BY flow_since DESC, id DESC LIMIT %(limit)s;

-- name: flows_by_stage
-- As flows_by_time, of these stages, each with the moment before which a flow must have come into it. A won deal whose order waits for people is
-- not stuck: with `stuck` it is left out.
SELECT f.id::text AS record_id, f.flow_since AS since_us FROM unnest(%(stages)s::text[], %(before_us)s::bigint[]) AS wanted (stage, before_us)
CROSS JOIN LATERAL (
    SELECT id, flow_since FROM entity e
    WHERE flow_stage = wanted.stage AND flow_since < wanted.before_us AND (flow_since, id) < (%(after_us)s::bigint, %(after_id)s::uuid)
      AND NOT (%(stuck)s AND wanted.stage = 'won'
               AND EXISTS (SELECT FROM intent i WHERE i.subject_id = (e.record->>'opportunity_id')::uuid AND i.state = 'waiting'))
    ORDER BY flow_since DESC, id DESC LIMIT %(limit)s) f
ORDER BY f.flow_since DESC, f.id DESC LIMIT %(limit)s;

-- name: flows_meant
-- As flows_by_stage, of these customers and of these aggregates; with `only` of no other customers. Stages null: all.
WITH matches AS (
    SELECT f.id, f.flow_since FROM unnest(%(customers)s::uuid[]) AS c (id) CROSS JOIN LATERAL (
        SELECT id, flow_since FROM entity e
        WHERE flow_customer = c.id AND (flow_since, id) < (%(after_us)s::bigint, %(after_id)s::uuid)
          AND (%(stages)s::text[] IS NULL OR flow_stage = ANY(%(stages)s) AND flow_since < (%(before_us)s::bigint[])[array_position(%(stages)s::text[], flow_stage)]
               AND NOT (%(stuck)s AND flow_stage = 'won'
                        AND EXISTS (SELECT FROM intent i WHERE i.subject_id = (e.record->>'opportunity_id')::uuid AND i.state = 'waiting')))
          AND (%(only)s::uuid[] IS NULL OR flow_customer = ANY(%(only)s))
        ORDER BY flow_since DESC, id DESC LIMIT %(limit)s) f
    UNION
    SELECT f.id, f.flow_since FROM unnest(%(aggregates)s::uuid[]) AS a (id) CROSS JOIN LATERAL (
        SELECT id, flow_since FROM entity e
        WHERE aggregate_id = a.id AND flow_since IS NOT NULL AND (flow_since, id) < (%(after_us)s::bigint, %(after_id)s::uuid)
          AND (%(stages)s::text[] IS NULL OR flow_stage = ANY(%(stages)s) AND flow_since < (%(before_us)s::bigint[])[array_position(%(stages)s::text[], flow_stage)]
               AND NOT (%(stuck)s AND flow_stage = 'won'
                        AND EXISTS (SELECT FROM intent i WHERE i.subject_id = (e.record->>'opportunity_id')::uuid AND i.state = 'waiting')))
          AND (%(only)s::uuid[] IS NULL OR flow_customer = ANY(%(only)s))
        OFFSET 0) f)
SELECT id::text AS record_id, flow_since AS since_us FROM matches ORDER BY flow_since DESC, id DESC LIMIT %(limit)s;

-- name: flow_lines
-- What a list shows of these flows.
SELECT f.aggregate_id::text AS id, f.id::text AS record_id, f.flow_stage AS stage, f.flow_since AS since_us, f.record->>'order_number' AS order_number,
       f.record->>'opportunity_number' AS opportunity_number, c.record->>'name' AS customer, c.id::text AS customer_id, f.record->>'currency' AS currency,
       (f.record->'ordered_amount')::bigint AS ordered_amount, (f.record->'invoiced_amount')::bigint AS invoiced_amount,
       (f.record->'paid_amount')::bigint AS paid_amount, (f.record->'open_amount')::bigint AS open_amount,
       f.record->>'shipment_status' AS goods, f.record->>'payment_status' AS money, (f.record->'promised_date')::int AS promised_date
FROM entity f LEFT JOIN entity n ON n.id = f.flow_customer LEFT JOIN entity c ON c.id = coalesce(n.merged_into, n.id)
WHERE f.id = ANY(%(ids)s::uuid[]) AND f.flow_stage IS NOT NULL ORDER BY f.flow_since DESC, f.id DESC;

-- name: stage_counts
-- How many live flows are in each of these stages: counted up to `most`; beyond that an estimate by the statistics of Postgres, which autovacuum
-- keeps. Counting two million rows would take longer than a page may.
WITH counted AS (
    SELECT stage, (SELECT count(*) FROM (SELECT FROM entity WHERE flow_stage = wanted.stage LIMIT %(most)s::bigint + 1) few) AS n FROM unnest(%(stages)s::text[]) AS wanted (stage)
), known AS (
    SELECT value AS stage, share FROM pg_stats, unnest(most_common_vals::text::text[], most_common_freqs) AS common (value, share)
    WHERE schemaname = current_schema AND tablename = 'entity' AND attname = 'flow_stage'
)
SELECT stage, CASE WHEN n <= %(most)s::bigint THEN n ELSE greatest(n, (coalesce(k.share, 0) * (SELECT reltuples FROM pg_class WHERE oid = 'entity'::regclass))::bigint) END AS count,
       n <= %(most)s::bigint AS exact
FROM counted LEFT JOIN known k USING (stage);

-- name: customers_named
-- Customers whose name has this part, or begins with it where the part is too short for an index. A word that many names have, such as GmbH, is found
-- among the first 5,000 by name: the index of parts would first collect all of them. `entity || ''`: the
-- index of all customers is no help beside that of parts.
WITH common AS (
    SELECT id FROM (SELECT id, find_name FROM entity WHERE entity = 'customer' AND find_name IS NOT NULL ORDER BY find_name, id LIMIT 5000) e
    WHERE find_name LIKE %(like)s LIMIT %(limit)s)
SELECT id::text FROM common WHERE (SELECT count(*) FROM common) >= %(limit)s
UNION ALL
(SELECT id::text FROM entity WHERE (SELECT count(*) FROM common) < %(limit)s
AND (%(like)s::text IS NOT NULL AND entity || '' = 'customer' AND %(pairs)s::text[] IS NULL AND find_name LIKE %(like)s
     OR %(pairs)s::text[] IS NOT NULL AND entity || '' = 'customer' AND find_pairs @> %(pairs)s AND position(%(text)s IN find_name) > 0
     OR %(like)s::text IS NULL AND entity = 'customer' AND find_name >= %(text)s AND find_name < %(text)s || chr(1114111))
LIMIT %(limit)s);

-- name: flows_numbered
-- Aggregates with a document of this number; with `beginning` of one that begins so; or whose digits at the end are these.
SELECT aggregate_id::text AS id FROM (
    (SELECT aggregate_id FROM unnest(%(kinds)s::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT aggregate_id FROM entity WHERE entity = k.kind AND find_number >= lower(%(number)s)
        AND find_number <= CASE WHEN %(beginning)s THEN lower(%(number)s) || chr(1114111) ELSE lower(%(number)s) END LIMIT %(limit)s) d)
    UNION ALL
    (SELECT aggregate_id FROM entity WHERE find_digits = %(digits)s LIMIT %(limit)s)) matches
GROUP BY aggregate_id LIMIT %(limit)s;

-- name: flows_of_deals_named
-- Aggregates with a deal whose name has this part.
SELECT aggregate_id::text AS id FROM entity WHERE (%(like)s::text IS NOT NULL AND entity || '' = 'opportunity' AND %(pairs)s::text[] IS NULL AND find_name LIKE %(like)s
     OR %(pairs)s::text[] IS NOT NULL AND entity || '' = 'opportunity' AND find_pairs @> %(pairs)s AND position(%(text)s IN find_name) > 0
     OR %(like)s::text IS NULL AND entity = 'opportunity' AND find_name >= %(text)s AND find_name < %(text)s || chr(1114111))
LIMIT %(limit)s;
