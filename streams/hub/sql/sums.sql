-- name: take_sums
-- Take what is to be summed now, with its changes, for `lease` seconds: a worker that dies in between leaves it to others. A row whose lease
-- ended and that has no changes only kept sums from being made too often: it is deleted.
WITH idle AS (
    DELETE FROM due WHERE kind = %(kind)s AND id IN (
        SELECT id FROM due WHERE kind = %(kind)s AND at < clock_timestamp() AND changes = 0 FOR UPDATE SKIP LOCKED)
)
UPDATE due SET at = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE kind = %(kind)s AND id IN (
    SELECT id FROM due WHERE kind = %(kind)s AND at < clock_timestamp() AND changes > 0 ORDER BY at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING id::text, changes, at::text AS lease;

-- name: sums_emitted
-- These were summed and emitted. Marks that came meanwhile stay, and are due once so many seconds have passed. What another worker took
-- meanwhile (its lease is another) is left to it.
WITH done AS (
    SELECT d.id, summed.changes FROM due d JOIN unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS summed (id, changes, at) ON summed.id = d.id AND summed.at = d.at
    WHERE d.kind = %s ORDER BY d.id FOR UPDATE OF d
)
UPDATE due d SET changes = d.changes - done.changes, at = clock_timestamp() + make_interval(secs => %s) FROM done WHERE d.kind = %s AND d.id = done.id;

-- name: hurry_sums
-- Let marked sums be due as soon as all that changed is committed: so many seconds after the last mark.
UPDATE due SET at = changed_at + make_interval(secs => %(within)s) WHERE (kind, id) IN (
    SELECT kind, id FROM due WHERE kind <> 'flow' AND changes > 0 AND at > changed_at + make_interval(secs => %(within)s) FOR UPDATE SKIP LOCKED);

-- name: sums_left
-- How many sums are marked and not made.
SELECT count(*) FROM due WHERE kind <> 'flow' AND changes > 0;

-- name: customers_overdue_since_yesterday
-- Customers whose receivables change today though no record changes: an invoice was due yesterday.
SELECT record->>'customer_id' AS id FROM entity WHERE entity = 'receivables' AND NOT deleted
AND (record->>'next_due_date')::int < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01';

-- name: sum_customer
-- What each of these customers owes, by all ids that invoices and requests know it by. `record` holds the sums as JSON; null for an id that
-- is no customer any more.
WITH name AS (
    SELECT id AS customer, ref FROM opshub_names(%s::uuid[])
), wanted AS (
    SELECT DISTINCT customer AS id FROM name
), owed AS (
    SELECT name.customer, e.id, e.aggregate_id, e.entity, e.record FROM name JOIN entity e ON e.customer_ref = name.ref
    WHERE e.entity IN ('invoice', 'service_request') AND NOT e.deleted AND e.merged_into IS NULL AND e.version > 0
    AND e.record->>'customer_id' = name.customer::text
), document AS (
    -- Payments are read only where the invoice's system does not say what is open, and for an invoice that does not count.
    SELECT customer, record, record->>'kind' IS NOT DISTINCT FROM 'credit_note' AS is_credit, coalesce(record->>'status', '') IN ('draft', 'cancelled') AS is_void,
           (record->>'open_amount')::bigint AS given, abs(coalesce((record->>'gross_amount')::bigint, (record->>'net_amount')::bigint + (record->>'tax_amount')::bigint)) AS gross,
           coalesce((record->>'gross_amount')::bigint, (record->>'net_amount')::bigint + (record->>'tax_amount')::bigint) AS signed,
           CASE WHEN coalesce(record->>'status', '') IN ('draft', 'cancelled') OR record->>'open_amount' IS NULL AND record->>'status' IS DISTINCT FROM 'paid' THEN (
               SELECT jsonb_build_array(sum(abs((p.record->>'amount')::bigint)), sum((p.record->>'amount')::bigint),
                                        sum(coalesce((p.record->>'open_amount')::bigint, (p.record->>'amount')::bigint)))
               FROM entity p WHERE p.aggregate_id = owed.aggregate_id AND p.entity = 'payment' AND p.parent_id = owed.id
               AND NOT p.deleted AND p.merged_into IS NULL AND p.version > 0 AND coalesce(p.record->>'status', '') NOT IN ('pending', 'reversed')
               AND coalesce(p.record->>'currency' = owed.record->>'currency', true)) END AS paid
    FROM owed WHERE entity = 'invoice'
), valued AS (
    SELECT *, CASE WHEN is_void AND is_credit THEN coalesce((paid->>0)::bigint, 0) WHEN is_void THEN -coalesce((paid->>2)::bigint, 0)
                   WHEN given IS NOT NULL AND is_credit AND coalesce(signed, 0) >= 0 THEN -given WHEN given IS NOT NULL THEN given WHEN record->>'status' = 'paid' THEN 0
                   WHEN is_credit THEN coalesce((paid->>0)::bigint, 0) - gross ELSE signed - coalesce((paid->>1)::bigint, 0) END AS open
    FROM document
), bill AS (
    SELECT customer, record->>'currency' AS currency, NOT is_credit AND NOT is_void AS is_invoice, (record->>'due_date')::int AS due, open,
           NOT is_credit AND NOT is_void AND (record->>'status' = 'overdue'
               OR (record->>'due_date')::int < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01') AS late
    FROM valued WHERE open <> 0
), chosen AS (
    SELECT DISTINCT ON (b.customer) b.customer, b.currency FROM bill b LEFT JOIN entity c ON c.id = b.customer
    GROUP BY b.customer, b.currency, c.record ORDER BY b.customer, b.currency = c.record->>'currency' DESC NULLS LAST, count(*) DESC, b.currency
), sums AS (
    SELECT b.customer, sum(open) FILTER (WHERE ours) AS open, sum(open) FILTER (WHERE ours AND late) AS overdue, min(due) FILTER (WHERE late) AS oldest,
           min(due) FILTER (WHERE is_invoice AND NOT late) AS next, count(*) FILTER (WHERE is_invoice) AS invoices, count(*) FILTER (WHERE late) AS late
    FROM (SELECT bill.*, bill.currency IS NOT DISTINCT FROM chosen.currency AS ours FROM bill JOIN chosen USING (customer)) b GROUP BY b.customer
), other AS (
    SELECT customer, jsonb_object_agg(currency, trim_scale(round(total / 10000, 4))::text) AS amounts FROM (
        SELECT bill.customer, coalesce(bill.currency, '') AS currency, sum(open) AS total FROM bill JOIN chosen USING (customer)
        WHERE bill.currency IS DISTINCT FROM chosen.currency GROUP BY 1, 2) t GROUP BY customer
), requests AS (
    SELECT customer, count(*) AS open_requests FROM owed
    WHERE entity = 'service_request' AND coalesce(record->>'status', '') NOT IN ('resolved', 'closed') GROUP BY customer
)
SELECT wanted.id::text, (extract(epoch FROM now()) * 1e6)::bigint AS at_us,
       CASE WHEN c.id IS NOT NULL AND c.merged_into IS NULL THEN jsonb_build_object(
           'currency', coalesce(chosen.currency, c.record->>'currency'),
           'open_amount', coalesce(sums.open, 0)::bigint, 'overdue_amount', coalesce(sums.overdue, 0)::bigint,
           'oldest_due_date', sums.oldest, 'next_due_date', sums.next,
           'open_invoice_count', coalesce(sums.invoices, 0), 'overdue_invoice_count', coalesce(sums.late, 0),
           'other_open_amounts', other.amounts, 'open_request_count', coalesce(requests.open_requests, 0)) END::text AS record
FROM wanted LEFT JOIN entity c ON c.id = wanted.id LEFT JOIN chosen ON chosen.customer = wanted.id LEFT JOIN sums ON sums.customer = wanted.id
LEFT JOIN other ON other.customer = wanted.id LEFT JOIN requests ON requests.customer = wanted.id;

-- name: sum_product
-- The stock of each of these products over all warehouses, and what is on its way, in the same form. A purchase in a unit that cannot be
-- compared with the product's is left out.
WITH name AS (
    SELECT id AS product, ref FROM opshub_names(%s::uuid[])
), wanted AS (
    SELECT DISTINCT product AS id FROM name
), supply AS (
    SELECT name.product, e.entity, e.record, head.record AS head, p.record->>'unit' AS unit,
           CASE WHEN e.entity = 'production_order' THEN (e.record->>'finished_quantity')::bigint
                ELSE coalesce((e.record->>'received_quantity')::bigint, (
                    SELECT sum((g.record->>'quantity')::bigint - coalesce((g.record->>'rejected_quantity')::bigint, 0))::bigint FROM entity g JOIN entity r ON r.id = g.parent_id
                    WHERE g.aggregate_id = e.aggregate_id AND g.entity = 'goods_receipt_line' AND g.record->>'purchase_order_line_id' = e.id::text
                    AND NOT g.deleted AND NOT r.deleted AND r.record->>'status' = 'received')) END AS arrived,
           CASE WHEN e.entity = 'production_order' THEN (
                    SELECT sum((l.record->>'quantity')::bigint)::bigint FROM entity l WHERE l.aggregate_id = e.aggregate_id AND l.entity = 'production_order_line'
                    AND l.parent_id = e.id AND NOT l.deleted AND l.record->>'order_line_id' IS NOT NULL)
                WHEN e.record->>'order_line_id' IS NOT NULL THEN (e.record->>'quantity')::bigint END AS of_orders
    FROM name JOIN entity e ON e.product_ref = name.ref AND e.entity IN ('purchase_order_line', 'production_order')
    LEFT JOIN entity head ON head.id = e.parent_id JOIN entity p ON p.id = name.product
    WHERE NOT e.deleted AND e.merged_into IS NULL AND e.version > 0 AND e.record->>'product_id' = name.product::text
    AND (head.id IS NULL OR NOT head.deleted AND head.version > 0)
    AND coalesce(e.record->>'status', '') NOT IN ('received', 'finished', 'closed', 'cancelled')
    AND coalesce(head.record->>'status', '') NOT IN ('received', 'closed', 'cancelled')
), open AS (
    SELECT product, greatest(0, (record->>'quantity')::bigint - coalesce(arrived, 0)) AS quantity, coalesce(of_orders, 0) AS of_orders,
           CASE WHEN record->>'unit' IS NULL OR record->>'unit' = unit THEN 1
                WHEN record->>'base_unit' = unit THEN (record->>'base_quantity')::numeric / nullif((record->>'quantity')::bigint, 0) END AS factor,
           coalesce((record->>'expected_date')::int, (head->>'expected_date')::int, (record->>'promised_date')::int, (head->>'promised_date')::int) AS day
    FROM supply
), coming AS (
    SELECT product, day, round(quantity * factor)::bigint AS quantity, round(least(quantity, of_orders) * factor)::bigint AS of_orders
    FROM open WHERE quantity > 0 AND factor IS NOT NULL
), by_day AS (
    SELECT product, coalesce((date '1970-01-01' + day)::text, '') AS day, sum(quantity - of_orders) AS quantity FROM coming GROUP BY 1, 2
), incoming AS (
    SELECT product, sum(quantity)::bigint AS quantity, sum(of_orders)::bigint AS of_orders, min(day) AS next,
           (SELECT jsonb_object_agg(d.day, trim_scale(round(d.quantity / 1000000, 6))::text) FROM by_day d WHERE d.product = coming.product AND d.quantity > 0) AS days
    FROM coming GROUP BY product
)
SELECT wanted.id::text, (extract(epoch FROM now()) * 1e6)::bigint AS at_us,
       CASE WHEN p.id IS NOT NULL AND p.merged_into IS NULL THEN jsonb_build_object(
           'on_hand', sums.on_hand, 'reserved', sums.reserved, 'available', sums.available, 'warehouse_count', sums.warehouses,
           'incoming', incoming.quantity, 'incoming_for_orders', incoming.of_orders, 'next_incoming_date', incoming.next,
           'incoming_by_day', incoming.days) END::text AS record
FROM wanted LEFT JOIN entity p ON p.id = wanted.id LEFT JOIN incoming ON incoming.product = wanted.id
LEFT JOIN LATERAL (
    SELECT sum((record->>'on_hand')::bigint)::bigint AS on_hand, sum((record->>'reserved')::bigint)::bigint AS reserved,
           sum((record->>'available')::bigint)::bigint AS available, count(DISTINCT record->>'warehouse') AS warehouses
    FROM entity l WHERE l.aggregate_id = wanted.id AND l.entity = 'inventory_level' AND NOT l.deleted AND l.merged_into IS NULL AND l.version > 0
) sums ON true;

-- name: last_sums
-- The sums of these aggregates that were emitted last: aggregate, key of the sum, its record, the time at which it was made.
SELECT aggregate_id::text, c.value->>1 AS key, record::text, (c.value->>3)::bigint AS at_us FROM entity, jsonb_each(contributions) c
WHERE aggregate_id = ANY(%s::uuid[]) AND entity = %s AND NOT deleted AND merged_into IS NULL;
