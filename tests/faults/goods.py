"""What is sold in the field: a dozen products that both demo systems know by one number, with stock in two
warehouses.
"""

from __future__ import annotations

import psycopg


def stock_up(crm_dsn: str, erp_dsn: str) -> None:
    """May be done again."""
    with psycopg.connect(erp_dsn) as erp:
        erp.execute(
            "INSERT INTO erp.item (item_no, descr, price, cost, wgt, grp) SELECT 'F-' || n, 'Part ' || n, n + 0.12345, n / 2.0, n / 4.0, '10' "
            "FROM generate_series(1001, 1012) n ON CONFLICT DO NOTHING"
        )
        erp.execute(
            "INSERT INTO erp.stock (item_id, whs, qty) SELECT id, whs, 100 FROM erp.item, unnest(ARRAY['BER', 'HAM']) whs "
            "WHERE item_no LIKE 'F-%' ON CONFLICT DO NOTHING"
        )
    with psycopg.connect(crm_dsn) as crm:
        crm.execute(
            "INSERT INTO product (sku, name, family, list_price) SELECT 'F-' || n, 'Part ' || n, 'Fasteners', n FROM generate_series(1001, 1012) n "
            "ON CONFLICT DO NOTHING"
        )
