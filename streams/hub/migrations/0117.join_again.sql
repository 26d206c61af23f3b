-- depends: 0110.order_lines

-- The rules of the join and of the receivables changed: every stored flow is joined again, some thousand a second beside the work.
-- Finished flows would keep their old words for ever, and `verify` would call each of them different. In a new hub there are none.
INSERT INTO refresh_due (aggregate_id, ref, entity)
SELECT aggregate_id, aggregate_id, 'sales_order' FROM entity WHERE entity = 'order_flow';

INSERT INTO due (kind, id, at, changes)
SELECT 'customer', id, now(), 1 FROM entity WHERE entity = 'customer' AND NOT deleted
ON CONFLICT (kind, id) DO NOTHING;
