"""What the rows of all tables of the demo say, in canonical values: worked out in SQL, for the checker.

`ROWS`: (system, table, entity, SQL that gives the key, the canonical values that need no cleansing, and whether the row
is live). Money is an integer of four decimals, quantities and weights of six. A value that begins with `@` names a row,
`@system/entity/key`.
"""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("6f70b7c0-7368-5562-8e21-636170747572")

_QTY = "(qty::numeric * 1000000)::bigint"


def _words(column: str, codes: str) -> str:
    """SQL that gives the word of a code."""
    words = codes.split()
    return (
        f"CASE {column} "
        + " ".join(f"WHEN '{code}' THEN '{word}'" for code, word in zip(words[::2], words[1::2], strict=True))
        + " END"
    )


ROWS: list[tuple[str, str, str, str]] = [
    (
        "demo-crm", "public.account", "customer",
        "SELECT id::text, jsonb_build_object('notes', notes, 'tags', tags, 'industry', industry), NOT is_deleted FROM account",
    ),
    (
        "demo-crm", "public.contact", "contact",
        "SELECT id::text, jsonb_build_object('customer_id', '@demo-crm/customer/' || account_id, 'job_title', title, 'is_primary', is_primary, "
        "'notes', notes), NOT is_deleted FROM contact",
    ),
    (
        "demo-crm", "public.product", "product",
        "SELECT id::text, jsonb_build_object('available', (stock_available * 1000000)::bigint), NOT is_deleted FROM product",
    ),
    (
        "demo-crm", "public.opportunity", "opportunity",
        "SELECT id::text, jsonb_build_object('number', number, 'customer_id', '@demo-crm/customer/' || account_id, 'amount', (amount * 10000)::bigint, "
        "'notes', description, 'probability', probability, 'order_number', erp_order_no, 'order_status', erp_order_status, "
        "'shipment_status', shipment_status, 'payment_status', payment_status), NOT is_deleted FROM opportunity",
    ),
    (
        "demo-crm", "public.opportunity_item", "opportunity_line",
        "SELECT i.id::text, jsonb_build_object('line_no', line_no, 'product_id', '@demo-crm/product/' || product_id, 'description', i.description, "
        "'quantity', (quantity * 1000000)::bigint, 'net_amount', (net_amount * 10000)::bigint), NOT i.is_deleted AND NOT o.is_deleted "
        "FROM opportunity_item i JOIN opportunity o ON o.id = i.opportunity_id",
    ),
    (
        "demo-crm", "public.service_case", "service_request",
        "SELECT id::text, jsonb_build_object('number', case_number, 'customer_id', '@demo-crm/customer/' || account_id, "
        "'product_id', '@demo-crm/product/' || product_id, 'subject', subject, 'description', description), NOT is_deleted FROM service_case",
    ),
    (
        "demo-erp", "erp.cust", "customer",
        "SELECT id::text, jsonb_build_object('credit_limit', (cred_lim * 10000)::bigint, 'payment_terms_days', rtrim(pay_terms, 'N')::int), "
        "del_flag IS DISTINCT FROM 'X' FROM erp.cust",
    ),
    (
        "demo-erp", "erp.item", "product",
        "SELECT id::text, jsonb_build_object('name', descr, 'description', descr2, 'list_price', (round(price, 4) * 10000)::bigint, "
        "'cost_price', (round(cost, 4) * 10000)::bigint, 'weight_kg', (wgt::numeric * 1000000)::bigint), true FROM erp.item",
    ),
    (
        "demo-erp", "erp.stock", "inventory_level",
        "SELECT item_id || '|' || whs, jsonb_build_object('product_id', '@demo-erp/product/' || item_id, 'on_hand', (qty::numeric * 1000000)::bigint, "
        "'reserved', (coalesce(rsv, 0)::numeric * 1000000)::bigint), true FROM erp.stock",
    ),
    (
        "demo-erp", "erp.so_head", "sales_order",
        "SELECT id::text, jsonb_build_object('number', so_no, 'customer_id', '@demo-erp/customer/' || cust_id, "
        "'opportunity_id', '@demo-crm/opportunity/' || crm_opp, 'net_amount', (net * 10000)::bigint, 'gross_amount', (gross * 10000)::bigint, "
        "'notes', memo), true FROM erp.so_head",
    ),
    (
        "demo-erp", "erp.so_line", "sales_order_line",
        "SELECT id::text, jsonb_build_object('line_no', pos, 'product_id', '@demo-erp/product/' || item_id, 'quantity', (qty::numeric * 1000000)::bigint, "
        "'net_amount', (net * 10000)::bigint), true FROM erp.so_line",
    ),
    (
        "demo-erp", "erp.dlv_head", "shipment",
        "SELECT id::text, jsonb_build_object('number', dlv_no, 'sales_order_id', '@demo-erp/sales_order/' || so_id, 'status', "
        "('{\"P\": \"planned\", \"K\": \"picked\", \"S\": \"shipped\", \"D\": \"delivered\", \"R\": \"returned\", \"X\": \"cancelled\"}'::jsonb)->>stat, "
        "'notes', memo), true FROM erp.dlv_head",
    ),
    (
        "demo-erp", "erp.dlv_line", "shipment_line",
        "SELECT id::text, jsonb_build_object('product_id', '@demo-erp/product/' || item_id, 'quantity', (qty::numeric * 1000000)::bigint, 'lot', lot), true "
        "FROM erp.dlv_line",
    ),
    (
        "demo-erp", "erp.inv_head", "invoice",
        "SELECT id::text, jsonb_build_object('number', inv_no, 'sales_order_id', '@demo-erp/sales_order/' || so_id, 'gross_amount', (gross * 10000)::bigint, "
        "'open_amount', (open_amt * 10000)::bigint), true FROM erp.inv_head",
    ),
    (
        "demo-erp", "erp.inv_line", "invoice_line",
        "SELECT id::text, jsonb_build_object('line_no', pos, 'product_id', '@demo-erp/product/' || item_id, 'description', descr, "
        "'quantity', (qty::numeric * 1000000)::bigint, 'net_amount', (net * 10000)::bigint), true FROM erp.inv_line",
    ),
    (
        "demo-erp", "erp.pay", "payment",
        "SELECT id::text, jsonb_build_object('number', pay_no, 'invoice_id', '@demo-erp/invoice/' || inv_id, 'amount', (amt * 10000)::bigint, "
        "'status', ('{\"P\": \"pending\", \"C\": \"cleared\", \"R\": \"reversed\"}'::jsonb)->>stat, 'reference', ref), true FROM erp.pay",
    ),
    *(
        ("demo-erp", f"erp.{table}", entity, f"SELECT id::text, jsonb_build_object({values}), {live} FROM erp.{table}")
        for table, entity, values, live in (
            ("supp", "supplier", "'number', supp_no, 'notes', memo, 'lead_time_days', lead_days", "del_flag IS DISTINCT FROM 'X'"),
            ("po_head", "purchase_order", "'number', po_no, 'supplier_id', '@demo-erp/supplier/' || supp_id, 'net_amount', (net * 10000)::bigint, 'status', "
             + _words("stat", "5 requested 10 draft 20 ordered 30 confirmed 40 partially_received 50 received 80 closed 90 cancelled"), "true"),
            ("po_line", "purchase_order_line", "'line_no', pos, 'order_line_id', '@demo-erp/sales_order_line/' || so_line_id, 'quantity', " + _QTY, "true"),
            ("gr_head", "goods_receipt", "'number', gr_no, 'purchase_order_id', '@demo-erp/purchase_order/' || po_id", "true"),
            ("gr_line", "goods_receipt_line", "'line_no', pos, 'product_id', '@demo-erp/product/' || item_id, 'quantity', " + _QTY, "true"),
            ("sinv", "supplier_invoice", "'number', sinv_no, 'purchase_order_id', '@demo-erp/purchase_order/' || po_id, 'net_amount', (net * 10000)::bigint", "true"),
            ("pr_head", "production_order", "'number', pr_no, 'product_id', '@demo-erp/product/' || item_id, 'operations_done', op_no, 'status', "
             + _words("stat", "5 requested 10 planned 20 released 30 in_progress 50 finished 80 closed 90 cancelled"), "true"),
            ("pr_line", "production_order_line", "'line_no', pos, 'order_line_id', '@demo-erp/sales_order_line/' || so_line_id, 'quantity', " + _QTY, "true"),
            ("bom_head", "bill_of_materials", "'product_id', '@demo-erp/product/' || item_id, 'number', vers", "true"),
            ("bom_line", "bill_of_materials_line", "'product_id', '@demo-erp/product/' || item_id, 'quantity', " + _QTY, "true"),
            ("rsv", "reservation", "'sales_order_id', '@demo-erp/sales_order/' || so_id, 'quantity', " + _QTY + ", 'status', "
             + _words("stat", "R reserved K picked X released"), "true"),
            ("mov", "stock_movement", "'product_id', '@demo-erp/product/' || item_id, 'reference', ref_no, 'quantity', " + _QTY, "true"),
            ("ret_head", "return_order", "'number', ret_no, 'sales_order_id', '@demo-erp/sales_order/' || so_id, "
             "'service_request_id', '@demo-crm/service_request/' || crm_case, 'net_amount', (net * 10000)::bigint", "true"),
            ("ret_line", "return_order_line", "'line_no', pos, 'product_id', '@demo-erp/product/' || item_id, 'condition', cond, 'quantity', " + _QTY, "true"),
            ("rep", "repair", "'number', rep_no, 'service_request_id', '@demo-crm/service_request/' || crm_case", "true"),
            ("inst", "installed_item", "'sales_order_id', '@demo-erp/sales_order/' || so_id, 'serial_number', serno", "true"),
            ("ctr", "contract", "'number', ctr_no, 'customer_id', '@demo-erp/customer/' || cust_id, 'net_amount', (net * 10000)::bigint", "true"),
        )
    ),
]  # fmt: skip

MASTERS = {"notes": "demo-crm", "tags": "demo-crm", "industry": "demo-crm", "available": "demo-crm", "credit_limit": "demo-erp", "payment_terms_days": "demo-erp",
           "name": "demo-erp", "description": "demo-erp", "list_price": "demo-erp", "cost_price": "demo-erp", "weight_kg": "demo-erp"}  # fmt: skip
"""Field of a customer or product → the system whose value stands where it says one, whatever the other says."""


def id_of(system: str, entity: str, key: str) -> str:
    """The id that a row's record has while nobody says that it is another's."""
    return str(uuid.uuid5(NAMESPACE, f"{system}/{entity}/{key}"))
