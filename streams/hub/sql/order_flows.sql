-- Order flows: find and show them, read all of them, flows that are stuck. Functions: streams/hub/order_flows.py.

-- name: find_flow
-- Order flows that have this id, or a document with this number; with `system` only a document of that system, by its number or key.
SELECT aggregate_id::text AS id, min(id::text) AS document FROM entity
WHERE id = %(id)s::uuid OR aggregate_id = %(id)s::uuid
   OR (%(id)s::uuid IS NULL AND NOT deleted AND merged_into IS NULL
       AND entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'share', 'service_request', 'return_order', 'service_case') AND (
       %(system)s::text IS NULL AND record->>'number' = %(number)s
       OR EXISTS (SELECT FROM jsonb_each(contributions) k WHERE k.value->>0 = %(system)s AND %(number)s IN (record->>'number', k.value->>1))))
GROUP BY aggregate_id;

-- name: flow_members
-- The live documents of an order flow and its joined record, without lines; of a document of another flow that serves this one too, number and days.
SELECT id::text, entity, version, record FROM entity
WHERE aggregate_id = %(id)s AND NOT deleted AND merged_into IS NULL AND version > 0
AND entity IN ('order_flow', 'opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request', 'return_order', 'purchase_order', 'production_order', 'repair')
UNION ALL
SELECT record->>'document_id', record->>'document', max(version), jsonb_build_object('number', record->>'number',
       'promised_date', max((record->'record'->>'promised_date')::int), 'expected_date', max((record->'record'->>'expected_date')::int)) FROM entity
WHERE aggregate_id = %(id)s AND entity = 'share' AND NOT deleted AND version > 0 GROUP BY record->>'document_id', record->>'document', record->>'number'
ORDER BY entity, id;

-- name: flow_entities
-- The live members of all order flows, flow by flow. A deleted order line says to which order the share of an invoice belongs.
SELECT id::text, entity, aggregate_id::text, parent_id::text, merged_into::text, version, revision, deleted, updated_us,
       record::text, contributions::text
FROM entity WHERE (NOT deleted AND merged_into IS NULL AND version > 0 OR entity = 'sales_order_line') AND entity <> ALL(%s::text[])
ORDER BY aggregate_id;

-- name: waiting_subjects
-- Records with an intent that waits for people.
SELECT DISTINCT subject_id::text AS id FROM intent WHERE state = 'waiting';

-- name: stuck_flows
-- Flows that have been in their stage for longer than `limits` (stage -> seconds), the longest first. A flow whose intent waits for people is not stuck.
SELECT id, stage, number, (extract(epoch FROM now()) - since / 1e6)::bigint AS in_stage_s FROM (
    SELECT id::text, record->>'stage' AS stage, coalesce(record->>'order_number', record->>'opportunity_number') AS number,
           coalesce((record->>'stage_since')::bigint, updated_us) AS since, l.value::float8 AS limit_s, record->>'opportunity_id' AS deal
    FROM entity JOIN jsonb_each_text(%(limits)s::jsonb) l ON l.key = record->>'stage' WHERE entity = 'order_flow' AND NOT deleted) f
WHERE since < (extract(epoch FROM now()) - limit_s) * 1000000
AND NOT (stage = 'won' AND EXISTS (SELECT FROM intent i WHERE i.subject_id = f.deal::uuid AND i.state = 'waiting'))
ORDER BY since LIMIT %(limit)s;
