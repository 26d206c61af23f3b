-- What the deliverer reads about the record of an intent. Functions: streams/hub/documents.py.

-- name: entities_by_id
-- These entities; for one that was merged, the entity that it was merged into.
SELECT w.id::text, e.id::text, e.entity, e.aggregate_id::text, e.parent_id::text, e.merged_into::text, e.version, e.revision, e.deleted, e.updated_us,
       e.record::text, e.contributions::text
FROM unnest(%s::uuid[]) AS w (id)
JOIN entity n ON n.id = w.id
JOIN entity e ON e.id = coalesce(n.merged_into, n.id);

-- name: lines_of
-- The live lines of these documents; `kind` is the entity of the lines of each.
SELECT l.parent_id::text, l.id::text, l.entity, l.aggregate_id::text, l.parent_id::text, l.merged_into::text, l.version, l.revision, l.deleted, l.updated_us,
       l.record::text, l.contributions::text
FROM unnest(%s::uuid[], %s::text[]) AS w (id, kind)
JOIN entity h ON h.id = w.id
JOIN entity l ON l.aggregate_id = h.aggregate_id AND l.parent_id = w.id AND l.entity = w.kind
WHERE NOT l.deleted AND l.merged_into IS NULL AND l.version > 0;

-- name: on_order
-- What the customers of these intents have ordered and was not invoiced yet, by currency, without tax: their live orders beyond what was invoiced,
-- and intents of the same rule that have no order yet: those delivered within the last hour, and those that come before this one.
WITH RECURSIVE wanted AS (
    SELECT i.id, i.rule, i.customer_id, i.aggregate_id, w.field FROM unnest(%(ids)s::bigint[], %(fields)s::text[]) AS w (id, field) JOIN intent i USING (id)
), name AS (
    SELECT DISTINCT customer_id AS customer, customer_id AS ref FROM wanted
    UNION SELECT name.customer, s.source_id FROM name JOIN identity s ON s.target = name.ref AND s.same AND s.source_id <> s.target
), flow AS (
    SELECT DISTINCT name.customer, e.aggregate_id FROM name JOIN entity e ON e.customer_ref = name.ref
    WHERE e.entity = 'sales_order' AND NOT e.deleted AND e.merged_into IS NULL AND coalesce(e.record->>'status', '') NOT IN ('cancelled', 'closed')
), ordered AS (
    SELECT flow.customer, flow.aggregate_id, f.record->>'currency' AS currency,
           coalesce((f.record->>'ordered_amount')::bigint, 0) - coalesce((f.record->>'invoiced_amount')::bigint, 0) AS amount
    FROM flow JOIN entity f ON f.aggregate_id = flow.aggregate_id AND f.entity = 'order_flow' AND NOT f.deleted
), ordered_or_planned AS (
    SELECT wanted.id, o.currency, o.amount FROM wanted JOIN ordered o ON o.customer = wanted.customer_id AND o.aggregate_id <> wanted.aggregate_id
    WHERE o.amount > 0
    UNION ALL
    SELECT wanted.id, e.record->>'currency', coalesce((e.record->>wanted.field)::bigint, 0) FROM wanted
    JOIN intent o ON o.customer_id = wanted.customer_id AND o.rule = wanted.rule AND o.aggregate_id <> wanted.aggregate_id
     AND ((o.state = 'delivered' AND o.done_at > now() - interval '1 h') OR (o.id < wanted.id AND o.state IN ('planned', 'approved', 'delivering', 'failed')))
    JOIN entity e ON e.id = o.entity_id
    WHERE NOT EXISTS (SELECT FROM entity s WHERE s.aggregate_id = o.aggregate_id AND s.entity = 'sales_order')
)
SELECT id AS intent_id, currency, sum(amount)::bigint AS amount FROM ordered_or_planned GROUP BY id, currency;
