-- Order flows: find and show them, business rules that do not hold, flows that are stuck. Functions: streams/hub/order_flows.py.

-- name: find_flow
-- Order flows that have this id, or a document with this number.
SELECT DISTINCT aggregate_id::text AS id FROM entity
WHERE id = %(id)s::uuid OR aggregate_id = %(id)s::uuid
   OR (%(id)s::uuid IS NULL AND entity IN ('opportunity', 'sales_order', 'shipment', 'invoice', 'payment') AND record->>'number' = %(number)s);

-- name: flow_members
-- The live documents of an order flow and its joined record, without lines.
SELECT id::text, entity, version, record FROM entity
WHERE aggregate_id = %s AND NOT deleted AND merged_into IS NULL AND version > 0
AND entity IN ('order_flow', 'opportunity', 'sales_order', 'shipment', 'invoice', 'payment', 'service_request') ORDER BY entity, id;

-- name: broken_rules
-- Business rules that do not hold, in the whole hub: the rule, the record, the value that it has and the value that it should have. Money and
-- quantities are unscaled. streams/flow/invariants.py checks the same rules for one flow: keep both the same.
WITH live AS (SELECT id, entity, aggregate_id, parent_id, updated_us, record FROM entity WHERE NOT deleted AND merged_into IS NULL AND version > 0),
document AS (
    SELECT h.id, h.entity, h.record->>'number' AS number, (h.record->>'net_amount')::bigint AS says,
           (sum(coalesce((l.record->>'net_amount')::bigint, 0))
               + coalesce((h.record->>'freight_amount')::bigint, 0) - coalesce((h.record->>'discount_amount')::bigint, 0))::bigint AS should,
           CASE WHEN h.record->>'freight_amount' IS NULL THEN %(header_charges)s::bigint ELSE 0 END AS beyond, 100 * count(*) AS slack
    FROM live h JOIN live l ON l.aggregate_id = h.aggregate_id AND l.parent_id = h.id AND l.entity = 'sales_order_line'
    WHERE h.entity = 'sales_order' GROUP BY h.id, h.entity, h.record
), gone AS (
    SELECT l.id, l.entity, l.parent_id, l.record, (l.record->>'quantity')::bigint AS ordered, sum(coalesce((s.record->>'quantity')::bigint, 0)) AS shipped
    FROM live l JOIN live s ON s.aggregate_id = l.aggregate_id AND s.entity = 'shipment_line' AND s.record->>'order_line_id' = l.id::text
    JOIN live d ON d.id = s.parent_id AND d.record->>'status' IN ('shipped', 'delivered')
    WHERE l.entity = 'sales_order_line' GROUP BY l.id, l.entity, l.parent_id, l.record
), worth AS (
    SELECT parent_id AS id, sum(CASE WHEN coalesce(ordered, 0) = 0 OR shipped <> 0 AND abs(ordered - shipped) <= 100 THEN (record->>'net_amount')::bigint
                                     ELSE round((record->>'net_amount')::numeric * shipped / ordered) END) AS shipped
    FROM gone GROUP BY parent_id
), billed AS (
    SELECT i.parent_id AS id, sum((coalesce((i.record->>'net_amount')::bigint, 0) - coalesce((i.record->>'freight_amount')::bigint, 0)
               + coalesce((i.record->>'discount_amount')::bigint, 0)) * CASE i.record->>'kind' WHEN 'credit_note' THEN -1 ELSE 1 END) AS says
    FROM live i JOIN live h ON h.id = i.parent_id AND h.entity = 'sales_order'
    WHERE i.entity = 'invoice' AND coalesce(i.record->>'status', '') NOT IN ('draft', 'cancelled')
    AND coalesce(i.record->>'currency' = h.record->>'currency', true) GROUP BY i.parent_id
), invoiced AS (
    SELECT h.id, h.entity, h.record->>'number' AS number, coalesce(b.says, 0) AS says, coalesce(w.shipped, 0) AS should, coalesce(d.slack, 100) AS slack,
           greatest(0, coalesce(d.says, 0) - coalesce(d.should, coalesce(d.says, 0))) AS charges
    FROM billed b JOIN live h ON h.id = b.id LEFT JOIN worth w ON w.id = b.id LEFT JOIN document d ON d.id = b.id
), deal AS (
    SELECT o.id, o.entity, o.record->>'number' AS number, o.record->>'stage' AS stage,
           (SELECT count(*) FROM live s WHERE s.aggregate_id = o.aggregate_id AND s.entity = 'sales_order'
               AND coalesce(s.record->>'status', '') <> 'cancelled' AND (o.record->>'stage' = 'won' OR coalesce(s.record->>'status', '') <> 'draft')) AS says
    FROM live o WHERE o.entity = 'opportunity' AND o.record->>'stage' IN ('won', 'lost')
    AND o.updated_us < (extract(epoch FROM now()) - %(grace_s)s) * 1000000
)
SELECT rule, entity, id, number, actual::bigint, expected::bigint FROM (
SELECT 'header is not the sum of its lines' AS rule, entity, id::text, number, says AS actual, should AS expected FROM document
WHERE says IS NULL OR says < should - slack OR says > should + slack + greatest(0, should) * beyond / 100
UNION ALL SELECT 'more was shipped than ordered', entity, id::text, record->>'line_no', shipped, ordered FROM gone WHERE shipped > ordered + 100
UNION ALL SELECT 'a won opportunity has not exactly one order', entity, id::text, number, says, 1 FROM deal d WHERE stage = 'won' AND says <> 1
AND NOT (says = 0 AND EXISTS (SELECT FROM intent i WHERE i.subject_id = d.id AND i.state = 'waiting'))
UNION ALL SELECT 'a lost opportunity has a live order', entity, id::text, number, says, 0 FROM deal WHERE stage = 'lost' AND says > 0
UNION ALL SELECT 'invoiced is not what was shipped', entity, id::text, number, says, should FROM invoiced
WHERE %(invoiced)s <> 'off' AND (says > should + charges + slack OR %(invoiced)s = 'equal' AND says < should - slack)
UNION ALL
SELECT 'a payment without an invoice', p.entity, p.id::text, p.record->>'number', NULL, NULL FROM live p
WHERE p.entity = 'payment' AND NOT EXISTS (SELECT FROM live i WHERE i.entity = 'invoice' AND i.id::text = p.record->>'invoice_id')
) broken LIMIT %(limit)s;

-- name: stuck_flows
-- Flows that have been in their stage for longer than `limits` (stage -> seconds), the longest first. A flow whose intent waits for people is not stuck.
SELECT id, stage, number, (extract(epoch FROM now()) - since / 1e6)::bigint AS in_stage_s FROM (
    SELECT id::text, record->>'stage' AS stage, coalesce(record->>'order_number', record->>'opportunity_number') AS number,
           coalesce((record->>'stage_since')::bigint, updated_us) AS since, l.value::float8 AS limit_s, record->>'opportunity_id' AS deal
    FROM entity JOIN jsonb_each_text(%(limits)s::jsonb) l ON l.key = record->>'stage' WHERE entity = 'order_flow' AND NOT deleted) f
WHERE since < (extract(epoch FROM now()) - limit_s) * 1000000
AND NOT (stage = 'won' AND EXISTS (SELECT FROM intent i WHERE i.subject_id = f.deal::uuid AND i.state = 'waiting'))
ORDER BY since LIMIT %(limit)s;
