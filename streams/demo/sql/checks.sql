-- What the demo asks the two demo databases and the hub, to check itself.

-- name: crm_is_empty
SELECT NOT EXISTS (SELECT FROM account)

-- name: wal_insert_position
SELECT pg_current_wal_insert_lsn()::text

-- name: is_confirmed
-- Whether the reader of a slot has confirmed a position.
SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s

-- name: contributions_of_customers
-- Customer, id of the source record, system.
SELECT e.id::text, contribution.key, contribution.value->>0
  FROM entity e, jsonb_each(e.contributions) contribution
 WHERE e.entity = 'customer' AND e.merged_into IS NULL

-- name: conflicts_of_customers
SELECT DISTINCT entity_id::text, field FROM conflict WHERE entity = 'customer'

-- name: crm_references
-- Customers of the ERP that name their CRM account.
SELECT id::text, crm_ref::text FROM erp.cust WHERE crm_ref IS NOT NULL

-- name: intents_on_their_way
SELECT count(*) FROM intent WHERE state IN ('planned', 'approved', 'delivering', 'failed')

-- name: intents_by_state
SELECT state, count(*) FROM intent GROUP BY state

-- name: orders_that_wait_for_approval
SELECT count(*) FROM intent WHERE state = 'waiting' AND rule = 'demo-erp/order_from_opportunity'

-- name: dead_letters
SELECT count(*) FROM dead_letter WHERE state = 'dead'

-- name: won_opportunities
-- Opportunity, shipment status that the CRM shows.
SELECT id::text, shipment_status FROM opportunity
 WHERE id = ANY(%s::uuid[]) AND stage = 'Closed Won' AND NOT is_deleted

-- name: orders_of_opportunities
-- Opportunity, number of orders, whether something was shipped, whether everything was, whether something came back.
SELECT h.crm_opp::text, count(*), bool_or(went.any), bool_and(went.whole), bool_or(came.back)
  FROM erp.so_head h,
       LATERAL (SELECT coalesce(bool_or(gone.qty > 0), false) AS any, bool_and(gone.qty >= l.qty - 0.0001) AS whole
                  FROM erp.so_line l, LATERAL (
                       SELECT coalesce(sum(d.qty), 0) AS qty FROM erp.dlv_head v JOIN erp.dlv_line d ON d.dlv_id = v.id
                        WHERE v.so_id = h.id AND v.stat IN ('S', 'D') AND d.so_line_id = l.id) gone
                 WHERE l.so_id = h.id AND l.uom <> 'HUR') went,
       LATERAL (SELECT EXISTS (SELECT FROM erp.dlv_head v WHERE v.so_id = h.id AND v.stat = 'R') AS back) came
 WHERE h.crm_opp = ANY(%s::uuid[]) GROUP BY 1

-- name: newest_deal
-- The flow that began with a deal, came furthest, was supplied by a purchase or production if there is such a one, and was won last; with the name of its customer.
SELECT f.aggregate_id::text, c.record->>'name' FROM entity f LEFT JOIN entity c ON c.id = (f.record->>'customer_id')::uuid
WHERE f.entity = 'order_flow' AND NOT f.deleted AND f.merged_into IS NULL AND f.record->>'won_at' IS NOT NULL AND f.record->>'opportunity_number' IS NOT NULL
ORDER BY array_position(ARRAY['paid', 'partially_paid', 'invoiced', 'delivered', 'shipped', 'ordered', 'won'], f.record->>'stage') NULLS LAST,
         jsonb_path_exists(f.record, '$.timeline[*] ? (@.what == "received" || @.what == "produced")') DESC, (f.record->>'won_at')::bigint DESC LIMIT 1;

-- name: supply_in_erp
-- Order line, order, promised day, status, late days, last expected day, numbers of the documents that may be the one that comes last. By the ERP's tables
-- alone: days since 1970; a thousandth of a piece counts for nothing.
WITH line AS (
    SELECT l.id, l.so_id, CASE WHEN h.prom_date > 0 THEN to_date(h.prom_date::text, 'YYYYMMDD') - DATE '1970-01-01' END AS promised,
           round(l.qty::numeric, 6) AS ordered,
           coalesce((SELECT sum(round(d.qty::numeric, 6)) FROM erp.dlv_line d JOIN erp.dlv_head v ON v.id = d.dlv_id
                      WHERE d.so_line_id = l.id AND v.stat IN ('S', 'D')), 0) AS sent
      FROM erp.so_line l JOIN erp.so_head h ON h.id = l.so_id WHERE h.stat NOT IN (10, 90) AND l.uom <> 'HUR'
), bought AS (
    SELECT p.so_line_id, h.po_no AS number, round(p.qty::numeric, 6) AS quantity, h.stat,
           coalesce((SELECT sum(round(g.qty::numeric, 6) - coalesce(round(g.rej_qty::numeric, 6), 0)) FROM erp.gr_line g JOIN erp.gr_head r ON r.id = g.gr_id
                      WHERE g.po_line_id = p.id AND r.stat = 'R'), 0) AS arrived,
           coalesce(nullif(p.exp_date, 0), nullif(h.exp_date, 0), nullif(h.prom_date, 0)) AS day
      FROM erp.po_line p JOIN erp.po_head h ON h.id = p.po_id WHERE h.stat <> 90 AND p.so_line_id IS NOT NULL
), made AS (
    SELECT p.so_line_id, h.pr_no, round(p.qty::numeric, 6) AS quantity, h.stat,
           round(coalesce(h.fin_qty, 0)::numeric, 6) - coalesce(sum(round(p.qty::numeric, 6)) OVER (PARTITION BY p.pr_id ORDER BY p.pos
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS left_for_it,
           coalesce(nullif(h.exp_date, 0), nullif(h.due_date, 0)) AS day
      FROM erp.pr_line p JOIN erp.pr_head h ON h.id = p.pr_id WHERE h.stat <> 90
), source AS (
    SELECT so_line_id, NULL AS number, round(qty::numeric, 6) AS kept, 0 AS arrived, 0 AS incoming, NULL::int AS day, false AS unordered
      FROM erp.rsv WHERE stat <> 'X'
    UNION ALL SELECT so_line_id, number, 0, arrived, CASE WHEN stat IN (50, 80) THEN 0 ELSE greatest(0, quantity - arrived) END, day, stat IN (5, 10) FROM bought
    UNION ALL SELECT so_line_id, pr_no, 0, least(quantity, greatest(0, left_for_it)),
                     CASE WHEN stat IN (50, 80) THEN 0 ELSE quantity - least(quantity, greatest(0, left_for_it)) END, day, stat IN (5, 10) FROM made
), had AS (
    SELECT l.*, greatest(0, l.ordered - l.sent) AS open, sum(s.kept) AS kept, greatest(0, sum(s.arrived) - l.sent) AS arrived
      FROM line l JOIN source s ON s.so_line_id = l.id GROUP BY l.id, l.so_id, l.promised, l.ordered, l.sent
), coming AS (
    SELECT h.id, s.number, s.incoming, s.unordered, s.day, h.open - least(h.open, h.kept + h.arrived)
           - coalesce(sum(s.incoming) OVER (PARTITION BY h.id ORDER BY s.day NULLS LAST, s.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS missing
      FROM had h JOIN source s ON s.so_line_id = h.id WHERE s.incoming > 0
), last AS (
    SELECT DISTINCT ON (id) id, day, missing - incoming AS uncovered, (SELECT array_agg(o.number) FROM coming o
           WHERE o.id = c.id AND o.day IS NOT DISTINCT FROM c.day) AS numbers, bool_or(unordered) OVER (PARTITION BY id) AS unordered
      FROM coming c WHERE missing > 0.0001 ORDER BY id, day DESC NULLS FIRST, number DESC
), judged AS (
    SELECT h.*, l.day, l.numbers, CASE
        WHEN open <= 0.0001 THEN 'shipped'
        WHEN open - least(open, greatest(kept, arrived)) <= 0.0001 THEN 'available'
        WHEN coalesce(l.uncovered, open - least(open, kept + arrived)) > 0.0001 THEN 'short'
        WHEN l.unordered THEN 'requested'
        WHEN greatest(kept, arrived) > 0.0001 THEN 'partly_available' ELSE 'on_order' END AS status
      FROM had h LEFT JOIN last l USING (id)
)
SELECT id::text, so_id::text, status, CASE WHEN expected > promised THEN expected - promised END, expected, coalesce(numbers, '{}')
  FROM (SELECT *, CASE WHEN status <> 'short' AND day > 0 THEN to_date(day::text, 'YYYYMMDD') - DATE '1970-01-01' END AS expected FROM judged) j;

-- name: purchases_by_id
SELECT id, po_no, supp_id FROM erp.po_head WHERE id = ANY(%s)

-- name: supplies_in_hub
SELECT record->>'order_line_id', record->>'status', (record->>'late_days')::int, (record->>'expected_date')::int, record->>'waits_for'
  FROM entity WHERE entity = 'supply' AND NOT deleted

-- name: flows_in_hub
-- Order of the ERP, its flow, and how that is supplied.
SELECT contribution.value->>1, f.id::text, f.record->>'supply_status', (f.record->>'late_days')::int, f.record->>'waits_for'
  FROM entity o CROSS JOIN jsonb_each(o.contributions) contribution JOIN entity f ON f.aggregate_id = o.aggregate_id AND f.entity = 'order_flow'
 WHERE o.entity = 'sales_order' AND contribution.value->>0 = 'demo-erp' AND NOT f.deleted
