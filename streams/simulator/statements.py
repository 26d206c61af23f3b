"""The SQL that the two applications send, by name, and the columns of each insert.

A statement of a transaction is `(name, values)`. `insert_<table>_<n>` adds n rows at once; history uses the same
columns with COPY. "now" as a value is read by Postgres as the start of the transaction, in the session's time zone.
"""

from __future__ import annotations

from streams.simulator.session import Row, Statement
from streams.simulator.supply_statements import SUPPLY_INSERTS, SUPPLY_MANY, SUPPLY_UPDATES

CRM_INSERTS: dict[str, tuple[str, ...]] = {
    "account": (
        "id",
        "name",
        "legal_name",
        "tax_id",
        "email",
        "phone",
        "website",
        "industry",
        "tier",
        "status",
        "currency_iso_code",
        "language",
        "billing_street",
        "billing_city",
        "billing_postal_code",
        "billing_country",
        "shipping_street",
        "shipping_city",
        "shipping_postal_code",
        "shipping_country",
        "owner_name",
        "tags",
        "notes",
        "created_at",
    ),
    "contact": (
        "id",
        "account_id",
        "first_name",
        "last_name",
        "email",
        "phone",
        "title",
        "language",
        "is_primary",
        "created_at",
    ),
    "product": (
        "id",
        "sku",
        "name",
        "description",
        "family",
        "unit",
        "gtin",
        "list_price",
        "currency_iso_code",
        "created_at",
    ),
    "opportunity": (
        "id",
        "name",
        "account_id",
        "primary_contact_id",
        "stage",
        "probability",
        "amount",
        "currency_iso_code",
        "close_date",
        "won_at",
        "owner_name",
        "lead_source",
        "description",
        "created_at",
    ),
    "opportunity_item": (
        "id",
        "opportunity_id",
        "product_id",
        "line_no",
        "description",
        "quantity",
        "unit",
        "unit_price",
        "discount_pct",
        "net_amount",
        "created_at",
    ),
    "service_case": (
        "id",
        "account_id",
        "contact_id",
        "product_id",
        "erp_order_no",
        "subject",
        "description",
        "status",
        "priority",
        "owner_name",
        "opened_at",
        "kind",
        "erp_order_id",
        "quantity",
        "serial_number",
    ),
}

ERP_INSERTS: dict[str, tuple[str, ...]] = {
    "cust": (
        "id",
        "short_name",
        "name1",
        "vat_no",
        "crm_ref",
        "street",
        "zip",
        "city",
        "ctry",
        "phone",
        "email",
        "curr",
        "lang",
        "pay_terms",
        "cred_lim",
        "grp",
        "slsman",
        "memo",
        "crt_date",
    ),
    "item": (
        "id",
        "item_no",
        "descr",
        "descr2",
        "grp",
        "ean",
        "uom",
        "price",
        "cost",
        "curr",
        "tax_cd",
        "wgt",
        "crt_date",
        "way",
        "supp_id",
    ),
    "stock": ("item_id", "whs", "qty", "rsv", "min_qty", "cnt_date"),
    "so_head": (
        "id",
        "cust_id",
        "crm_opp",
        "stat",
        "ord_date",
        "req_date",
        "prom_date",
        "curr",
        "pay_terms",
        "whs",
        "slsman",
        "po_no",
        "conf_ts",
        "crt_ts",
        "disc",
        "freight",
        "inco",
        "shp_name",
        "shp_street",
        "shp_zip",
        "shp_city",
        "shp_ctry",
        "end_ts",
    ),
    "so_line": ("id", "so_id", "pos", "item_id", "descr", "qty", "uom", "price", "disc", "tax_cd", "req_date"),
    "dlv_head": ("id", "so_id", "stat", "carr", "track", "whs", "shp_ts", "dlv_ts", "crt_ts"),
    "dlv_line": ("id", "dlv_id", "so_line_id", "item_id", "qty", "lot", "serno"),
    "inv_head": (
        "id",
        "kind",
        "so_id",
        "cust_id",
        "stat",
        "inv_date",
        "due_date",
        "curr",
        "net",
        "tax",
        "gross",
        "crt_ts",
        "ref_id",
        "disc_amt",
        "freight",
    ),
    "inv_line": (
        "id",
        "inv_id",
        "pos",
        "so_line_id",
        "item_id",
        "descr",
        "qty",
        "uom",
        "price",
        "disc",
        "tax_cd",
        "net",
    ),
    "pay": ("id", "inv_id", "cust_id", "meth", "stat", "amt", "curr", "paid_ts", "ref", "crt_ts"),
} | SUPPLY_INSERTS

MOST_ROWS = 8
"""The most rows of one multi-row insert."""

_MANY = ("contact", "opportunity_item", "so_line", "dlv_line", "inv_line", *SUPPLY_MANY)
_RETURNING = {"so_head": "so_no", "cust": "cust_no"}

_CRM = {
    "account_tier": "UPDATE account SET tier = $2, owner_name = $3 WHERE id = $1",
    "account_web": "UPDATE account SET website = $2, tags = $3 WHERE id = $1",
    "account_phone": "UPDATE account SET phone = $2 WHERE id = $1",
    "account_email": "UPDATE account SET email = $2 WHERE id = $1",
    "account_street": "UPDATE account SET billing_street = $2 WHERE id = $1",
    "account_status": "UPDATE account SET status = $2 WHERE id = $1",
    "account_notes": "UPDATE account SET notes = $2 WHERE id = $1",
    "account_deleted": "UPDATE account SET is_deleted = $2 WHERE id = $1",
    "accounts_owner": "UPDATE account SET owner_name = $2 WHERE id = ANY($1)",
    "accounts_tags": "UPDATE account SET tags = $2 WHERE id = ANY($1)",
    "account_probe": "UPDATE account SET industry = $2 WHERE id = $1",
    "contact_change": "UPDATE contact SET phone = $2, title = $3 WHERE id = $1",
    "contact_email": "UPDATE contact SET email = $2 WHERE id = $1",
    "contact_deleted": "UPDATE contact SET is_deleted = true WHERE id = $1",
    "contact_remove": "DELETE FROM contact WHERE id = $1",
    "opportunity_stage": "UPDATE opportunity SET stage = $2, probability = $3, next_step = $4 WHERE id = $1",
    "opportunity_amount": "UPDATE opportunity SET amount = $2 WHERE id = $1",
    "opportunity_won": "UPDATE opportunity SET stage = 'Closed Won', probability = 100, won_at = now(),"
    " close_date = $2 WHERE id = $1",
    "opportunity_lost": "UPDATE opportunity SET stage = 'Closed Lost', probability = 0, lost_at = now(),"
    " lost_reason = $2, close_date = $3"
    " WHERE id = $1",
    "opportunity_deleted": "UPDATE opportunity SET is_deleted = true WHERE id = $1",
    "item_change": "UPDATE opportunity_item SET quantity = $2, net_amount = $3 WHERE id = $1",
    "item_remove": "DELETE FROM opportunity_item WHERE id = $1",
    "case_status": "UPDATE service_case SET status = $2, contacts = contacts + 1 WHERE id = $1",
    "case_closed": "UPDATE service_case SET status = 'Closed', closed_at = now() WHERE id = $1",
    "product_text": "UPDATE product SET description = $2 WHERE id = $1",
}

_ERP = {
    "cust_terms": "UPDATE erp.cust SET pay_terms = $2, cred_lim = $3 WHERE id = $1",
    "cust_phone": "UPDATE erp.cust SET phone = $2 WHERE id = $1",
    "cust_email": "UPDATE erp.cust SET email = $2 WHERE id = $1",
    "cust_street": "UPDATE erp.cust SET street = $2 WHERE id = $1",
    "cust_memo": "UPDATE erp.cust SET memo = $2 WHERE id = $1",
    "cust_blocked": "UPDATE erp.cust SET blocked = $2 WHERE id = $1",
    "cust_deleted": "UPDATE erp.cust SET del_flag = 'X' WHERE id = $1",
    "item_price": "UPDATE erp.item SET price = $2 WHERE id = $1",
    "items_price": "UPDATE erp.item i SET price = v.price"
    " FROM unnest($1::bigint[], $2::numeric[]) v (id, price) WHERE i.id = v.id",
    "invoices_overdue": "UPDATE erp.inv_head SET stat = '40' WHERE id = ANY($1)",
    "stock_warehouse": "UPDATE erp.stock SET qty = qty + $3, cnt_date = $4 WHERE item_id = ANY($1) AND whs = $2",
    "stock_move": "UPDATE erp.stock SET qty = qty + $3 WHERE item_id = $1 AND whs = $2",
    "stock_all": "UPDATE erp.stock SET qty = qty + $2, cnt_date = $3 WHERE item_id = $1",
    "stock_reserve": "UPDATE erp.stock SET rsv = coalesce(rsv, 0) + $3 WHERE item_id = $1 AND whs = $2",
    "so_confirm": "UPDATE erp.so_head SET stat = 20, prom_date = $2, conf_ts = localtimestamp WHERE id = $1",
    "so_promise": "UPDATE erp.so_head SET prom_date = $2 WHERE id = $1",
    "so_stat": "UPDATE erp.so_head SET stat = $2::smallint,"
    " end_ts = CASE WHEN $2::smallint >= 80 THEN localtimestamp END WHERE id = $1",
    "so_probe": "UPDATE erp.so_head SET po_no = $2 WHERE id = $1",
    "so_memo": "UPDATE erp.so_head SET memo = $2 WHERE id = $1",
    "so_remove": "DELETE FROM erp.so_head WHERE id = $1",
    "line_change": "UPDATE erp.so_line SET qty = $2, disc = $3 WHERE id = $1",
    "line_remove": "DELETE FROM erp.so_line WHERE id = $1",
    "dlv_shipped": "UPDATE erp.dlv_head SET stat = 'S', track = $2, shp_ts = localtimestamp WHERE id = $1",
    "dlv_arrived": "UPDATE erp.dlv_head SET stat = 'D', dlv_ts = localtimestamp WHERE id = $1",
    "dlv_stat": "UPDATE erp.dlv_head SET stat = $2 WHERE id = $1",
    "inv_correct": "UPDATE erp.inv_head SET net = $2, tax = $3, gross = $4, open_amt = open_amt + $4 - gross,"
    " disc_amt = coalesce(disc_amt, 0) + net - $2 WHERE id = $1",
    "inv_stat": "UPDATE erp.inv_head SET stat = $2 WHERE id = $1",
    "pay_reverse": "UPDATE erp.pay SET stat = 'R' WHERE id = $1",
} | SUPPLY_UPDATES


def _inserts(schema: str, tables: dict[str, tuple[str, ...]]) -> dict[str, str]:
    made = {}
    for table, columns in tables.items():
        for rows in range(1, MOST_ROWS + 1) if table in _MANY else (1,):
            width = len(columns)
            values = ", ".join(f"({', '.join(f'${row * width + i + 1}' for i in range(width))})" for row in range(rows))
            returning = f" RETURNING {_RETURNING[table]}" if table in _RETURNING else ""
            made[f"insert_{table}_{rows}"] = (
                f"INSERT INTO {schema}.{table} ({', '.join(columns)}) VALUES {values}{returning}"
            )
    return made


def inserts(table: str, rows: list[Row]) -> list[Statement]:
    """The statements that add these rows, so many at once as there are statements for."""
    most = MOST_ROWS if table in _MANY else 1
    chunks = (rows[start : start + most] for start in range(0, len(rows), most))
    return [(f"insert_{table}_{len(chunk)}", [value for row in chunk for value in row]) for chunk in chunks]


CRM_STATEMENTS: dict[str, str] = _CRM | _inserts("public", CRM_INSERTS)
ERP_STATEMENTS: dict[str, str] = _ERP | _inserts("erp", ERP_INSERTS)
