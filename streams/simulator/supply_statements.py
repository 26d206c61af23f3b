"""The SQL of purchasing, production and service in the ERP: columns of each insert, and the updates by name."""

from __future__ import annotations

SUPPLY_INSERTS: dict[str, tuple[str, ...]] = {
    table: tuple(columns.split())
    for table, columns in {
        "supp": "id name1 vat_no cust_id street zip city ctry phone email curr pay_terms lead_days buyer crt_date",
        "po_head": "id supp_id kind stat ord_date req_date prom_date exp_date curr net whs supp_ref buyer conf_ts"
        " crt_ts",
        "po_line": "id po_id pos so_line_id item_id qty uom price net",
        "gr_head": "id po_id stat whs note_no rcv_ts crt_ts",
        "gr_line": "id gr_id pos po_line_id item_id qty rej_qty uom lot",
        "sinv": "id po_id supp_id stat match supp_inv inv_date due_date curr net open_amt crt_ts",
        "pr_head": "id item_id stat qty fin_qty scr_qty uom beg_date due_date exp_date op_no op_cnt whs beg_ts fin_ts"
        " crt_ts",
        "pr_line": "id pr_id pos so_line_id item_id qty uom",
        "bom_head": "id item_id vers qty uom",
        "bom_line": "id bom_id pos item_id qty uom",
        "rsv": "id so_id so_line_id item_id whs qty stat",
        "mov": "id item_id kind qty uom from_whs to_whs lot ref_no mov_ts",
        "ret_head": "id so_id cust_id stat wish reason curr net whs req_ts crt_ts",
        "ret_line": "id ret_id pos so_line_id item_id qty uom serno",
        "rep": "id cust_id crm_case ret_id inst_id item_id serno stat wty exp_date crt_ts",
        "inst": "id so_id dlv_id cust_id item_id serno lot qty stat wty_date",
        "ctr": "id cust_id kind stat item_id inst_id resp_hrs beg_date end_date curr net crt_ts",
    }.items()
}  # fmt: skip
"""Table → the columns of its insert, the key first."""

SUPPLY_MANY = ("po_line", "gr_line", "pr_line", "rsv", "mov", "ret_line", "inst")
"""Tables of which several rows are added by one statement."""

SUPPLY_UPDATES = {
    "po_order": "UPDATE erp.po_head SET stat = 20, ord_date = $2, exp_date = $3 WHERE id = $1",
    "po_confirm": "UPDATE erp.po_head SET stat = 30, prom_date = $2, exp_date = $2, supp_ref = $3,"
    " conf_ts = localtimestamp WHERE id = $1",
    "po_date": "UPDATE erp.po_head SET exp_date = $2 WHERE id = $1",
    "po_stat": "UPDATE erp.po_head SET stat = $2::smallint WHERE id = $1",
    "pr_stat": "UPDATE erp.pr_head SET stat = $2::smallint WHERE id = $1",
    "pr_start": "UPDATE erp.pr_head SET stat = 30, op_no = 1, beg_ts = localtimestamp WHERE id = $1",
    "pr_date": "UPDATE erp.pr_head SET exp_date = $2 WHERE id = $1",
    "pr_part": "UPDATE erp.pr_head SET fin_qty = $2, op_no = 2 WHERE id = $1",
    "pr_finish": "UPDATE erp.pr_head SET stat = 50, fin_qty = $2, scr_qty = $3, op_no = op_cnt,"
    " fin_ts = localtimestamp WHERE id = $1",
    "rsv_pick": "UPDATE erp.rsv SET stat = 'K' WHERE id = ANY($1)",
    "ret_approve": "UPDATE erp.ret_head SET stat = 20, appr_ts = localtimestamp WHERE id = $1",
    "ret_refuse": "UPDATE erp.ret_head SET stat = 70, end_ts = localtimestamp WHERE id = $1",
    "ret_receive": "UPDATE erp.ret_head SET stat = 30, rcv_ts = localtimestamp WHERE id = $1",
    "ret_came": "UPDATE erp.ret_line SET rcv_qty = qty, cond = $2 WHERE id = $1",
    "ret_credit": "UPDATE erp.ret_head SET stat = 50, inv_id = $2, end_ts = localtimestamp WHERE id = $1",
    "ret_end": "UPDATE erp.ret_head SET stat = $2::smallint, end_ts = localtimestamp WHERE id = $1",
    "rep_stat": "UPDATE erp.rep SET stat = $2::smallint, beg_ts = coalesce(beg_ts, localtimestamp),"
    " fin_ts = CASE WHEN $2::smallint >= 50 THEN coalesce(fin_ts, localtimestamp) END WHERE id = $1",
}
