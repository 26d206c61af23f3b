"""What the flow of each order adds up to, by naive sums over the ERP's tables: for the checker.

Only what nobody can argue about: orders that are not cancelled, alone with their opportunity, and their amounts once
they are no drafts; amounts in the order's own currency; what the ERP calls open; cleared payments where none is of a
credit note; shipments that were neither cancelled nor came back; the number of invoices where none is a credit note.
"""

from __future__ import annotations

FLOWS = """
SELECT h.id::text, jsonb_strip_nulls(jsonb_build_object(
    'order_number', h.so_no,
    'line_count', (SELECT count(*) FROM erp.so_line l WHERE l.so_id = h.id),
    'ordered_amount', CASE WHEN h.stat <> 10 THEN (h.net * 10000)::bigint END,
    'ordered_gross_amount', CASE WHEN h.stat <> 10 THEN (h.gross * 10000)::bigint END,
    'shipment_count', (SELECT count(*) FROM erp.dlv_head d WHERE d.so_id = h.id AND d.stat NOT IN ('R', 'X')),
    'invoiced_amount', (coalesce(i.billed, 0) * 10000)::bigint,
    'invoiced_net_amount', (coalesce(i.net, 0) * 10000)::bigint,
    'open_amount', ((coalesce(i.open, 0) - coalesce(p.void, 0)) * 10000)::bigint,
    'settled_otherwise_amount', CASE WHEN p.refunds = 0 THEN
        ((coalesce(i.billed, 0) - coalesce(p.paid, 0) - coalesce(i.open, 0) + coalesce(p.void, 0)) * 10000)::bigint END,
    'invoice_count', CASE WHEN i.credits = 0 THEN i.invoices END,
    'paid_amount', CASE WHEN p.refunds = 0 THEN (coalesce(p.paid, 0) * 10000)::bigint END,
    'payment_count', CASE WHEN p.refunds = 0 THEN p.cleared END))
FROM erp.so_head h,
    LATERAL (SELECT sum(CASE kind WHEN 'GS' THEN -gross ELSE gross END) AS billed, sum(CASE kind WHEN 'GS' THEN -net ELSE net END) AS net,
                    sum(CASE kind WHEN 'GS' THEN -open_amt ELSE open_amt END) AS open, count(*) AS invoices, count(*) FILTER (WHERE kind = 'GS') AS credits
             FROM erp.inv_head WHERE so_id = h.id AND stat NOT IN ('00', '90') AND curr = h.curr) i,
    LATERAL (SELECT sum(amt) FILTER (WHERE y.stat = 'C') AS paid, sum(amt) FILTER (WHERE y.stat = 'C' AND v.stat IN ('00', '90')) AS void, count(*) FILTER (WHERE y.stat = 'C') AS cleared, count(*) FILTER (WHERE v.kind = 'GS') AS refunds
             FROM erp.pay y JOIN erp.inv_head v ON v.id = y.inv_id WHERE v.so_id = h.id AND y.curr = h.curr) p
WHERE h.stat <> 90 AND NOT EXISTS (SELECT FROM erp.so_head o WHERE o.crm_opp = h.crm_opp AND o.id <> h.id)
"""
"""Key of an order → what its order_flow is to say; money as an integer of four decimals."""
