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
-- The flow that began with a deal, came furthest and was won last, with the name of its customer.
SELECT f.aggregate_id::text, c.record->>'name' FROM entity f LEFT JOIN entity c ON c.id = (f.record->>'customer_id')::uuid
WHERE f.entity = 'order_flow' AND NOT f.deleted AND f.merged_into IS NULL AND f.record->>'won_at' IS NOT NULL AND f.record->>'opportunity_number' IS NOT NULL
ORDER BY array_position(ARRAY['paid', 'partially_paid', 'invoiced', 'delivered', 'shipped', 'ordered', 'won'], f.record->>'stage') NULLS LAST,
         (f.record->>'won_at')::bigint DESC LIMIT 1;
