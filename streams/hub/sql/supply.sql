-- Order lines that wait for goods, and what of a product can be promised. Functions: streams/hub/supply.py.

-- name: waiting_lines
-- Order lines that wait for goods, the latest first; `after`: the last one of the page before. Of one document, supplier or product only.
WITH waiting AS (
    SELECT s.id, s.record, s.aggregate_id, coalesce((s.record->>'late_days')::int, 0) AS late FROM entity s
    WHERE s.supply_waits IS NOT NULL AND (%(document)s::uuid IS NULL OR s.supply_waits = %(document)s)
)
SELECT w.id::text, w.aggregate_id::text AS flow_id, w.record->>'order_number' AS order_number, (w.record->>'line_no')::int AS line_no,
       w.record->>'status' AS status, c.record->>'name' AS customer, w.record->>'customer_id' AS customer_id,
       p.record->>'sku' AS sku, p.record->>'name' AS product, w.record->>'product_id' AS product_id,
       (w.record->>'left_quantity')::bigint AS left_quantity, (w.record->>'ready_quantity')::bigint AS ready_quantity, w.record->>'unit' AS unit,
       (w.record->>'promised_date')::int AS promised_date, (w.record->>'expected_date')::int AS expected_date,
       (w.record->>'late_days')::int AS late_days, w.record->>'waits_for' AS waits_for, w.record->>'waits_for_id' AS waits_for_id,
       v.record->>'name' AS supplier, w.record->>'supplier_id' AS supplier_id
FROM waiting w
LEFT JOIN entity c ON c.id = (w.record->>'customer_id')::uuid LEFT JOIN entity p ON p.id = (w.record->>'product_id')::uuid
LEFT JOIN entity v ON v.id = (w.record->>'supplier_id')::uuid
WHERE (%(supplier)s::text IS NULL OR position(lower(%(supplier)s) IN lower(v.record->>'name')) > 0 OR v.record->>'number' = %(supplier)s OR v.id::text = %(supplier)s)
AND (%(product)s::text IS NULL OR p.record->>'sku' = %(product)s OR p.id::text = %(product)s)
AND (NOT %(late)s::boolean OR w.late > 0 OR w.record->>'status' = 'short')
AND (%(after_late)s::int IS NULL OR (w.late, w.id) < (%(after_late)s, %(after_id)s::uuid))
ORDER BY w.late DESC, w.id DESC LIMIT %(limit)s;

-- name: supply_documents
-- Purchase and production orders with this number or id.
SELECT id::text, entity FROM entity
WHERE entity IN ('purchase_order', 'production_order') AND NOT deleted AND version > 0 AND (record->>'number' = %(number)s OR id::text = %(number)s)
LIMIT 20;

-- name: product_promise
-- What of a product can be promised: its stock, and what is on its way. By article number or id.
SELECT p.id::text, p.record->>'sku' AS sku, p.record->>'name' AS name, p.record->>'unit' AS unit, coalesce(s.record, '{}') AS stock
FROM entity p LEFT JOIN entity s ON s.aggregate_id = p.id AND s.entity = 'stock' AND NOT s.deleted
WHERE p.entity = 'product' AND NOT p.deleted AND p.merged_into IS NULL AND (p.record->>'sku' = %(product)s OR p.id::text = %(product)s);
