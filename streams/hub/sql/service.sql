-- Service cases: what they are made of, and the lists of people. Functions: streams/hub/service.py.

-- name: case_roots
-- The requests and returns whose case depends on these: themselves, the returns of a request, the request of a return or repair, the cases
-- with an item, and those of a customer.
WITH changed AS (
    SELECT id FROM unnest(%s::uuid[]) AS changed (id)
), of_case AS (
    SELECT c.record FROM changed JOIN entity c ON c.case_item = changed.id
    UNION ALL SELECT c.record FROM opshub_names(ARRAY(SELECT id FROM changed)) n JOIN entity c ON c.customer_ref = n.ref AND c.entity = 'service_case' AND NOT c.deleted
)
SELECT e.id::text FROM changed JOIN entity e USING (id) WHERE e.entity IN ('service_request', 'return_order')
UNION SELECT e.id::text FROM changed JOIN entity e ON e.request_ref = changed.id AND e.entity = 'return_order'
UNION SELECT e.request_ref::text FROM changed JOIN entity e USING (id) WHERE e.request_ref IS NOT NULL
UNION SELECT coalesce(record->>'service_request_id', record->>'return_order_id') FROM of_case;

-- name: case_rows
-- All live records that may concern these cases: the request or return, what it names, what these name, contracts of the customer, stock.
WITH root AS (
    SELECT e.id AS root, e.* FROM unnest(%s::uuid[]) AS wanted (id) JOIN entity e USING (id) WHERE NOT e.deleted AND e.merged_into IS NULL AND e.version > 0
), own AS (
    SELECT root, id, record FROM root
    UNION ALL SELECT root.root, e.id, e.record FROM root JOIN entity e ON e.request_ref = root.id WHERE NOT e.deleted AND e.version > 0
    UNION ALL SELECT root.root, e.id, e.record FROM root JOIN entity e ON e.id = root.request_ref
), named AS (
    SELECT root, coalesce(i.target, ref) AS id FROM (
        SELECT own.root, v.ref::uuid AS ref FROM own CROSS JOIN LATERAL (VALUES
            (record->>'sales_order_id'), (record->>'shipment_id'), (record->>'invoice_id'), (record->>'installed_item_id'), (record->>'product_id'),
            (record->>'credit_note_id'), (record->>'replacement_order_id')) v (ref) WHERE v.ref IS NOT NULL) n
    LEFT JOIN identity i ON i.source_id = n.ref AND i.same
    UNION SELECT root.root, e.id FROM root JOIN entity e ON e.entity = 'sales_order' AND e.find_number = left(lower(btrim(root.record->>'order_number')), 100)
    UNION SELECT root.root, e.id FROM root JOIN entity e ON e.entity = 'installed_item' AND e.find_number = left(lower(btrim(root.record->>'serial_number')), 100)
), step AS (
    SELECT root, id FROM own UNION SELECT root, id FROM named
    UNION SELECT named.root, coalesce(i.target, v.ref) FROM named JOIN entity e USING (id)
    CROSS JOIN LATERAL (VALUES ((e.record->>'sales_order_id')::uuid), (CASE WHEN e.entity = 'installed_item' THEN (e.record->>'product_id')::uuid ELSE e.parent_id END)) v (ref)
    LEFT JOIN identity i ON i.source_id = v.ref AND i.same
    WHERE e.entity IN ('installed_item', 'shipment', 'invoice') AND v.ref IS NOT NULL
    UNION SELECT own.root, e.id FROM own JOIN entity back ON back.id = own.id AND back.entity = 'return_order'
    JOIN entity e ON e.aggregate_id = back.aggregate_id AND e.entity = 'return_order_line' AND e.parent_id = back.id
), product AS (
    SELECT step.root, (e.record->>'product_id')::uuid AS id FROM step JOIN entity e USING (id)
    WHERE e.entity IN ('service_request', 'return_order_line', 'installed_item') AND e.record->>'product_id' IS NOT NULL
), member AS (
    SELECT root, id FROM step
    UNION SELECT root, id FROM product
    UNION SELECT product.root, e.id FROM product JOIN entity e ON e.aggregate_id = product.id AND e.entity = 'inventory_level'
    UNION SELECT root.root, e.id FROM root JOIN entity e ON e.aggregate_id = (root.record->>'customer_id')::uuid AND e.entity = 'contract'
)
SELECT member.root::text, e.id::text, e.entity, e.aggregate_id::text, e.parent_id::text AS parent, e.record,
       ARRAY(SELECT DISTINCT c.value->>0 FROM jsonb_each(e.contributions) c WHERE NOT (c.value->>6)::boolean AND c.value->>0 NOT IN ('opshub', 'hub') ORDER BY 1) AS systems,
       ARRAY(SELECT ref::text FROM opshub_names(ARRAY[e.id]) WHERE ref <> e.id ORDER BY 1) AS names
FROM member JOIN entity e USING (id) WHERE NOT e.deleted AND e.merged_into IS NULL AND e.version > 0;

-- name: last_cases
-- These cases as the hub has them: where they live, what they say, and the time at which they were made.
SELECT id::text, aggregate_id::text, deleted, record, coalesce((SELECT max((c.value->>3)::bigint) FROM jsonb_each(contributions) c), 0) AS at_us
FROM entity WHERE id = ANY(%s::uuid[]) AND entity = 'service_case';

-- name: mark_cases_of_products
-- The stock of these products changed: their open cases are to be joined again.
INSERT INTO due AS d (kind, id, at, changes)
SELECT DISTINCT 'service_case', coalesce(c.record->>'service_request_id', c.record->>'return_order_id')::uuid, clock_timestamp(), 1
FROM opshub_names(%s::uuid[]) n JOIN entity c ON c.product_ref = n.ref AND c.entity = 'service_case' AND c.case_seeks ORDER BY 2
ON CONFLICT (kind, id) DO UPDATE SET changed_at = excluded.changed_at, changes = d.changes + 1;

-- name: mark_cases_that_find_more
-- Cases that name what came to the hub since: an order by its number or id, a piece by its serial number or id, a shipment, an invoice, a
-- product, a number of what a return led to. How many.
WITH seeking AS (
    SELECT c.id, c.record, q.record AS named, coalesce(c.record->>'service_request_id', c.record->>'return_order_id')::uuid AS root, c.record->'problems' AS problems,
           c.aggregate_id AS home, q.contributions
    FROM entity c JOIN entity q ON q.id = coalesce(c.record->>'service_request_id', c.record->>'return_order_id')::uuid WHERE c.case_seeks
), marked AS (
    INSERT INTO due AS d (kind, id, at, changes)
    SELECT 'service_case', root, clock_timestamp(), 1 FROM seeking s WHERE EXISTS (
        SELECT FROM entity e WHERE e.entity = 'sales_order' AND e.find_number = left(lower(btrim(s.named->>'order_number')), 100)
        AND s.named->>'sales_order_id' IS NULL AND e.id::text IS DISTINCT FROM s.record->>'sales_order_id' AND NOT coalesce(s.problems ? 'order_ambiguous', false))
    OR EXISTS (
        SELECT FROM entity e WHERE e.entity = 'installed_item' AND e.find_number = left(lower(btrim(s.named->>'serial_number')), 100)
        AND s.named->>'installed_item_id' IS NULL AND e.id::text IS DISTINCT FROM s.record->>'installed_item_id' AND NOT coalesce(s.problems ? 'item_ambiguous', false))
    OR s.problems ? 'order_unknown' AND EXISTS (
        SELECT FROM unnest(ARRAY[s.named->>'sales_order_id', s.record->>'sales_order_id']::uuid[]) v (ref) LEFT JOIN identity i ON i.source_id = v.ref AND i.same
        JOIN entity e ON e.id = coalesce(i.target, v.ref) AND NOT e.deleted AND e.version > 0
        WHERE e.id::text IS DISTINCT FROM s.record->>'sales_order_id' OR s.home <> e.aggregate_id)
    OR EXISTS (
        SELECT FROM (VALUES ('installed_item_id', 'installed_item_id'), ('shipment_id', 'sales_order_id'),
                            ('invoice_id', 'sales_order_id')) v (name, known)
        JOIN entity e ON e.id = (s.named->>v.name)::uuid AND NOT e.deleted AND e.version > 0 WHERE s.record->>v.known IS NULL)
    OR s.problems ? 'product_unknown' AND EXISTS (
        SELECT FROM entity e, jsonb_each(e.contributions) c WHERE e.id = (s.record->>'product_id')::uuid AND NOT e.deleted
        AND c.value->>0 NOT IN (SELECT k.value->>0 FROM jsonb_each(s.contributions) k))
    OR s.record->>'credit_note_number' IS NULL AND EXISTS (
        SELECT FROM entity e WHERE e.id = (s.record->>'credit_note_id')::uuid AND NOT e.deleted AND e.record->>'number' IS NOT NULL)
    OR s.record->>'replacement_number' IS NULL AND EXISTS (
        SELECT FROM entity e WHERE e.id = (s.record->>'replacement_order_id')::uuid AND NOT e.deleted AND e.record->>'number' IS NOT NULL)
    ORDER BY root
    ON CONFLICT (kind, id) DO UPDATE SET changed_at = excluded.changed_at, changes = d.changes + 1
    RETURNING id
)
SELECT count(*) FROM marked;

-- name: mark_weeks_of_cases
-- Business figures of the weeks in which these cases were opened (µs since 1970) are to be computed again.
INSERT INTO figure_due (week) SELECT DISTINCT date_trunc('week', to_timestamp(us / 1e6) AT TIME ZONE 'UTC')::date FROM unnest(%s::bigint[]) AS us ORDER BY 1
ON CONFLICT (week) DO NOTHING;

-- name: list_cases
-- Service cases, those that were opened last first; `after`: the last one of the page before.
WITH few AS (
    SELECT c.id FROM entity c LEFT JOIN entity m ON m.id = (c.record->>'customer_id')::uuid LEFT JOIN entity p ON p.id = (c.record->>'product_id')::uuid
    WHERE c.case_since IS NOT NULL AND (NOT %(open)s::boolean OR c.case_open)
    AND (%(kind)s::text IS NULL OR c.record->>'kind' = %(kind)s)
    AND (%(problem)s::text IS NULL OR c.record->'problems' ? %(problem)s)
    AND (NOT %(missing)s::boolean OR c.record->>'part_available' = 'no')
    AND (%(customer)s::text IS NULL OR position(lower(%(customer)s) IN lower(m.record->>'name')) > 0 OR m.id::text = %(customer)s)
    AND (%(product)s::text IS NULL OR p.record->>'sku' = %(product)s OR p.id::text = %(product)s)
    AND (%(after_us)s::bigint IS NULL OR (c.case_since, c.id) < (%(after_us)s, %(after_id)s::uuid))
    ORDER BY c.case_since DESC, c.id DESC LIMIT %(limit)s
)
SELECT c.id::text, c.aggregate_id::text AS flow_id, c.case_since AS since_us, c.record, m.record->>'name' AS customer, p.record->>'sku' AS sku, p.record->>'name' AS product
FROM few JOIN entity c USING (id) LEFT JOIN entity m ON m.id = (c.record->>'customer_id')::uuid LEFT JOIN entity p ON p.id = (c.record->>'product_id')::uuid
ORDER BY c.case_since DESC, c.id DESC;

-- name: cases_by_id
-- These service cases.
SELECT c.id::text, c.aggregate_id::text AS flow_id, coalesce(c.case_since, 0) AS since_us, c.record, m.record->>'name' AS customer, p.record->>'sku' AS sku,
       p.record->>'name' AS product
FROM entity c LEFT JOIN entity m ON m.id = (c.record->>'customer_id')::uuid LEFT JOIN entity p ON p.id = (c.record->>'product_id')::uuid
WHERE c.id = ANY(%(ids)s::uuid[]) AND c.entity = 'service_case' AND NOT c.deleted AND c.version > 0 ORDER BY c.case_since DESC, c.id DESC;

-- name: cases_of_flow
-- The service cases that belong to a flow, those that were opened last first.
SELECT c.id::text, c.aggregate_id::text AS flow_id, coalesce(c.case_since, 0) AS since_us, c.record, m.record->>'name' AS customer, p.record->>'sku' AS sku,
       p.record->>'name' AS product
FROM entity c LEFT JOIN entity m ON m.id = (c.record->>'customer_id')::uuid LEFT JOIN entity p ON p.id = (c.record->>'product_id')::uuid
WHERE c.aggregate_id = %(flow)s::uuid AND c.entity = 'service_case' AND NOT c.deleted AND c.version > 0 ORDER BY c.case_since DESC, c.id DESC;

-- name: requests_named
-- Requests and returns with this number or id, and the request that a return names.
SELECT id::text, request_ref::text FROM entity WHERE entity IN ('service_request', 'return_order') AND find_number = left(lower(btrim(%(number)s)), 100)
UNION SELECT id::text, request_ref::text FROM entity WHERE id::text = %(number)s AND entity IN ('service_request', 'return_order')
LIMIT 20;
