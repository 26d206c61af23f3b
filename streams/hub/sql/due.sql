-- name: mark_due
-- Something changed in these; each is due so many seconds from now. Whatever waits for rows here takes them in the order of kind and id.
INSERT INTO due AS d (kind, id, at, marks)
SELECT kind, id, clock_timestamp() + make_interval(secs => within), 1 FROM unnest(%s::text[], %s::uuid[], %s::float8[]) AS new (kind, id, within)
ORDER BY kind, id
ON CONFLICT (kind, id) DO UPDATE SET at = greatest(d.at, excluded.at), marked = excluded.marked, marks = d.marks + 1;

-- name: overdue_flows
-- Flows that nobody looked at when it was time: whoever changed them is gone.
SELECT id::text FROM due WHERE kind = 'flow' AND at < clock_timestamp() ORDER BY at LIMIT %s;

-- name: flows_seen
-- These flows were looked at: what was marked before that is done, and what is to be looked at again is due so many seconds later than that.
WITH seen AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(again_us)s::bigint[]) AS seen (id, again_us)
), again AS (
    INSERT INTO due AS d (kind, id, at, marks)
    SELECT 'flow', id, to_timestamp(again_us / 1e6) + make_interval(secs => %(within)s), 1 FROM seen WHERE again_us IS NOT NULL ORDER BY id
    ON CONFLICT (kind, id) DO UPDATE SET at = greatest(d.at, excluded.at)
), done AS (
    SELECT d.id FROM due d JOIN seen USING (id) WHERE d.kind = 'flow' AND seen.again_us IS NULL
    AND d.at < clock_timestamp() + make_interval(secs => %(within)s - %(since)s) ORDER BY d.id FOR UPDATE OF d
)
DELETE FROM due d USING done WHERE d.kind = 'flow' AND d.id = done.id;

-- name: take_sums
-- What is to be summed now, with its marks; whoever takes it has some seconds. What only waited is taken off the list.
WITH idle AS (
    DELETE FROM due WHERE kind = %(kind)s AND id IN (
        SELECT id FROM due WHERE kind = %(kind)s AND at < clock_timestamp() AND marks = 0 FOR UPDATE SKIP LOCKED)
)
UPDATE due SET at = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE kind = %(kind)s AND id IN (
    SELECT id FROM due WHERE kind = %(kind)s AND at < clock_timestamp() AND marks > 0 ORDER BY at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING id::text, marks, at::text;

-- name: sums_done
-- These were summed and told; what is marked meanwhile is due again once so many seconds have passed. What another took meanwhile is left to it.
WITH done AS (
    SELECT d.id, told.marks FROM due d JOIN unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS told (id, marks, at) ON told.id = d.id AND told.at = d.at
    WHERE d.kind = %s ORDER BY d.id FOR UPDATE OF d
)
UPDATE due d SET marks = d.marks - done.marks, at = clock_timestamp() + make_interval(secs => %s) FROM done WHERE d.kind = %s AND d.id = done.id;

-- name: hurry_sums
-- Sum what is marked as soon as its marks stand for all that changed: so many seconds after the last.
UPDATE due SET at = marked + make_interval(secs => %(within)s) WHERE (kind, id) IN (
    SELECT kind, id FROM due WHERE kind <> 'flow' AND marks > 0 AND at > marked + make_interval(secs => %(within)s) FOR UPDATE SKIP LOCKED);

-- name: sums_left
SELECT count(*) FROM due WHERE kind <> 'flow' AND marks > 0;

-- name: overdue_since
-- Customers whose receivables change today though nobody does anything: an invoice was due yesterday.
SELECT record->>'customer_id' FROM entity WHERE entity = 'receivables' AND NOT deleted
AND (record->>'next_due_date')::int < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01';

-- name: sum_customer
-- What each of these customers owes, by the names that invoices and requests know it by: id, µs since 1970 of this look, and the sums as JSON; null
-- for one that is no customer (any more).
WITH RECURSIVE asked AS (
    SELECT id FROM unnest(%s::uuid[]) AS asked (id)
), name AS (
    SELECT id AS customer, id AS ref FROM asked
    UNION SELECT name.customer, i.source_id FROM name JOIN identity i ON i.target = name.ref AND i.same AND i.source_id <> i.target
), owed AS (
    SELECT name.customer, e.entity, e.record FROM name JOIN entity e ON e.customer_ref = name.ref
    WHERE e.entity IN ('invoice', 'service_request') AND NOT e.deleted AND e.merged_into IS NULL AND e.version > 0
    AND e.record->>'customer_id' = name.customer::text
), bill AS (
    SELECT customer, record->>'currency' AS currency, record->>'kind' IS DISTINCT FROM 'credit_note' AS is_invoice, (record->>'due_date')::int AS due,
           (record->>'open_amount')::bigint * CASE record->>'kind' WHEN 'credit_note' THEN -1 ELSE 1 END AS open,
           record->>'kind' IS DISTINCT FROM 'credit_note' AND (record->>'status' = 'overdue'
               OR (record->>'due_date')::int < (now() AT TIME ZONE 'UTC')::date - date '1970-01-01') AS late
    FROM owed WHERE entity = 'invoice' AND coalesce(record->>'status', '') NOT IN ('draft', 'cancelled') AND (record->>'open_amount')::bigint <> 0
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
), asking AS (
    SELECT customer, count(*) AS requests FROM owed
    WHERE entity = 'service_request' AND coalesce(record->>'status', '') NOT IN ('resolved', 'closed') GROUP BY customer
)
SELECT asked.id::text, (extract(epoch FROM now()) * 1e6)::bigint,
       CASE WHEN c.id IS NOT NULL AND c.merged_into IS NULL THEN jsonb_build_object(
           'currency', coalesce(chosen.currency, c.record->>'currency'),
           'open_amount', coalesce(sums.open, 0)::bigint, 'overdue_amount', coalesce(sums.overdue, 0)::bigint,
           'oldest_due_date', sums.oldest, 'next_due_date', sums.next,
           'open_invoice_count', coalesce(sums.invoices, 0), 'overdue_invoice_count', coalesce(sums.late, 0),
           'other_open_amounts', other.amounts, 'open_request_count', coalesce(asking.requests, 0)) END::text
FROM asked LEFT JOIN entity c ON c.id = asked.id LEFT JOIN chosen ON chosen.customer = asked.id LEFT JOIN sums ON sums.customer = asked.id
LEFT JOIN other ON other.customer = asked.id LEFT JOIN asking ON asking.customer = asked.id;

-- name: sum_product
-- The stock of each of these products over all warehouses, in the same form.
SELECT asked.id::text, (extract(epoch FROM now()) * 1e6)::bigint,
       CASE WHEN p.id IS NOT NULL AND p.merged_into IS NULL THEN jsonb_build_object(
           'on_hand', sums.on_hand, 'reserved', sums.reserved, 'available', sums.available, 'warehouse_count', sums.warehouses) END::text
FROM unnest(%s::uuid[]) AS asked (id) LEFT JOIN entity p ON p.id = asked.id
LEFT JOIN LATERAL (
    SELECT sum((record->>'on_hand')::bigint)::bigint AS on_hand, sum((record->>'reserved')::bigint)::bigint AS reserved,
           sum((record->>'available')::bigint)::bigint AS available, count(DISTINCT record->>'warehouse') AS warehouses
    FROM entity l WHERE l.aggregate_id = asked.id AND l.entity = 'inventory_level' AND NOT l.deleted AND l.merged_into IS NULL AND l.version > 0
) sums ON true;

-- name: sums_told
-- What is told of these so far: aggregate, key of the sum, its record, the time of the look.
SELECT aggregate_id::text, c.value->>1, record::text, (c.value->>3)::bigint FROM entity, jsonb_each(contributions) c
WHERE aggregate_id = ANY(%s::uuid[]) AND entity = %s AND NOT deleted AND merged_into IS NULL;
