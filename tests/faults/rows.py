"""What the rows of all tables of the demo say, in canonical values: worked out in SQL, for the checker.

`ROWS`: (system, table, entity, SQL that gives the key, the canonical values that need no cleansing, and whether the row
is live). Money is an integer of four decimals, quantities and weights of six. A value that begins with `@` names a row,
`@system/entity/key`.
"""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("6f70b7c0-7368-5562-8e21-636170747572")

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
]  # fmt: skip

MASTERS = {"notes": "demo-crm", "tags": "demo-crm", "industry": "demo-crm", "available": "demo-crm", "credit_limit": "demo-erp", "payment_terms_days": "demo-erp",
           "name": "demo-erp", "description": "demo-erp", "list_price": "demo-erp", "cost_price": "demo-erp", "weight_kg": "demo-erp"}  # fmt: skip
"""Field of a customer or product → the system whose value stands where it says one, whatever the other says."""


def id_of(system: str, entity: str, key: str) -> str:
    """The id that a row's record has while nobody says that it is another's."""
    return str(uuid.uuid5(NAMESPACE, f"{system}/{entity}/{key}"))
