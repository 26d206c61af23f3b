-- What makes the situations of the exercises in the demo's systems, and what looks in the hub whether people have done them.

-- name: plant_unknown_currency
-- A customer whose currency no list knows: its record becomes a dead letter.
INSERT INTO account (name, currency_iso_code) VALUES ('Training: unknown currency', 'QQQ');

-- name: plant_large_deal
-- A deal over the limit of demo-erp's rule, won now: its order waits for an approval.
WITH buyer AS (
    INSERT INTO account (name, status, billing_country) VALUES ('Training: large deal', 'Active', 'Germany') RETURNING id
), deal AS (
    INSERT INTO opportunity (name, account_id, stage, probability, amount, won_at)
    SELECT 'Training: large deal', id, 'Closed Won', 100, 612400, now() FROM buyer RETURNING id
)
INSERT INTO opportunity_item (opportunity_id, line_no, product_id, quantity, unit_price, net_amount)
SELECT deal.id, 1, (SELECT id FROM product WHERE is_active AND NOT is_deleted ORDER BY sku LIMIT 1), 1000, 612.40, 612400 FROM deal;

-- name: plant_late_order
-- An order that was confirmed forty days ago, and nothing of it was shipped: longer than an order may wait for goods.
WITH head AS (
    INSERT INTO erp.so_head (cust_id, po_no, stat, ord_date, req_date, prom_date, curr, net, tax, gross, conf_ts, crt_ts)
    SELECT (SELECT id FROM erp.cust WHERE coalesce(del_flag, ' ') <> 'X' ORDER BY id LIMIT 1), 'Training: late order', 20,
           to_char(now() - interval '40 days', 'YYYYMMDD')::int, to_char(now() - interval '30 days', 'YYYYMMDD')::int,
           to_char(now() - interval '30 days', 'YYYYMMDD')::int, 'EUR', 950, 180.50, 1130.50, now() - interval '40 days', now() - interval '40 days'
    RETURNING id
)
INSERT INTO erp.so_line (so_id, pos, item_id, qty, price, net)
SELECT head.id, 1, (SELECT id FROM erp.item ORDER BY id LIMIT 1), 10, 95, 950 FROM head;

-- name: plant_conflict
-- A customer that both systems know gets another phone number in the ERP, though the CRM masters it.
UPDATE erp.cust SET phone = '+49 89 5550' || (100 + extract(second FROM now())::int), last_upd = now()
WHERE id = (SELECT id FROM erp.cust WHERE crm_ref IS NOT NULL AND phone IS NOT NULL AND coalesce(del_flag, ' ') <> 'X' ORDER BY last_upd LIMIT 1);

-- name: approved_and_delivered
-- Orders that people approved and the ERP has.
SELECT key FROM intent WHERE state = 'delivered' AND rule = 'demo-erp/order_from_opportunity'
  AND jsonb_path_exists(decisions, '$[*] ? (@.what == "approve")') LIMIT 1;

-- name: edited_and_retried
-- A record that a person edited and a worker has processed since.
SELECT id FROM dead_letter WHERE edited IS NOT NULL AND state = 'retried' LIMIT 1;

-- name: decided_by_a_person
-- Conflicts that a person decided.
SELECT id::text FROM conflict WHERE decided_by IS NOT NULL LIMIT 1;
