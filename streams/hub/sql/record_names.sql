-- What people call a record. Functions: streams/hub/record_names.py.

-- name: record_names
-- These records by number or name, with the document that a line stands in, the customer, and the amount. A merged record has the names of the
-- record that it was merged into.
SELECT w.id::text AS id, CASE e.entity WHEN 'share' THEN e.record->>'document' ELSE e.entity END AS entity, coalesce(e.record->>'number', e.record->>'order_number', e.record->>'opportunity_number', e.record->>'sku',
           nullif(concat_ws(' ', e.record->>'first_name', e.record->>'last_name'), '')) AS number,
       coalesce(e.record->>'name', e.record->>'legal_name') AS name, e.record->>'line_no' AS line_no,
       p.entity AS document, p.record->>'number' AS document_number, c.record->>'name' AS customer,
       coalesce(e.record->'gross_amount', e.record->'amount')::bigint AS amount, coalesce(e.record->'net_amount', e.record->'ordered_amount')::bigint AS net_amount,
       coalesce(e.record->>'currency', p.record->>'currency') AS currency,
       (SELECT k.value->>0 || ':' || (k.value->>1) FROM jsonb_each(e.contributions) k WHERE k.value->>0 <> 'opshub' ORDER BY k.key = e.id::text DESC, 1 LIMIT 1) AS source
FROM unnest(%(ids)s::uuid[]) AS w (id) JOIN entity n ON n.id = w.id JOIN entity e ON e.id = coalesce(n.merged_into, n.id)
LEFT JOIN entity p ON p.id = e.parent_id AND e.record ? 'line_no'
LEFT JOIN entity c ON c.id = coalesce(e.record->>'customer_id', p.record->>'customer_id')::uuid AND c.id <> e.id;
