"""A draft is a dictionary: what it says passes the dictionary's own check, and what it guesses harms nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.dictionary.check.all_problems import check_dictionary
from streams.dictionary.draft.matching import propose
from streams.dictionary.draft.yaml_text import draft_text
from streams.dictionary.live_tables import ForeignKey, LiveColumn, LiveTable
from streams.dictionary.yaml_lines import load_yaml
from tests.factories import one_table, problems

INT, TEXT, NUM, AT, DAY, BOOL = (
    "integer",
    "character varying",
    "numeric",
    "timestamp without time zone",
    "date",
    "boolean",
)
Columns = dict[str, str]


def table(name: str, columns: Columns, key: str | list[str] = "id", **refers: str) -> LiveTable:
    """A table; `refers` are its foreign keys, each to the `id` of another."""
    made = LiveTable(name, "default", 10, primary_key=tuple([key] if isinstance(key, str) else key))
    made.columns = {column: LiveColumn(column, kind, True) for column, kind in columns.items()}
    made.foreign_keys = [ForeignKey((column,), other, ("id",)) for column, other in refers.items()]
    return made


def drafted(tmp_path: Path, *tables: LiveTable) -> tuple[str, Any]:
    """The draft of a database of these tables, which must be right, and its values."""
    catalog = {one.name: one for one in tables}
    text = draft_text("drafted", propose(catalog, {}), catalog)
    folder = tmp_path / "drafted"
    folder.mkdir(exist_ok=True)
    (folder / "dictionary.yaml").write_text(text, "utf-8")
    looked = check_dictionary(folder, {"drafted"})
    assert looked.problems == [], text + "\n".join(map(str, looked.problems))
    return text, load_yaml(folder / "dictionary.yaml")[0]


ODOO = [
    table("public.res_partner", {"id": INT, "name": TEXT, "vat": TEXT, "email": TEXT, "phone": TEXT, "street": TEXT, "city": TEXT, "zip": TEXT,
          "country_id": INT, "active": BOOL, "create_date": AT, "write_date": AT, "lang": TEXT, "credit_limit": "double precision"}),
    table("public.product_template", {"id": INT, "name": TEXT, "default_code": TEXT, "list_price": NUM, "weight": NUM, "active": BOOL}),
    table("public.sale_order", {"id": INT, "name": TEXT, "partner_id": INT, "state": TEXT, "date_order": AT, "amount_untaxed": NUM, "amount_total": NUM,
          "client_order_ref": TEXT, "opportunity_id": INT}, partner_id="public.res_partner", opportunity_id="public.crm_lead"),
    table("public.sale_order_line", {"id": INT, "order_id": INT, "sequence": INT, "product_id": INT, "name": TEXT, "product_uom_qty": NUM, "price_unit": NUM,
          "discount": NUM, "price_subtotal": NUM}, order_id="public.sale_order", product_id="public.product_template"),
    table("public.crm_lead", {"id": INT, "name": TEXT, "partner_id": INT, "stage_id": INT, "probability": "double precision", "expected_revenue": NUM,
          "date_deadline": DAY, "active": BOOL}, partner_id="public.res_partner"),
    table("public.stock_picking", {"id": INT, "name": TEXT, "state": TEXT, "date_done": AT, "carrier_tracking_ref": TEXT, "sale_id": INT}, sale_id="public.sale_order"),
    table("public.stock_move", {"id": INT, "picking_id": INT, "product_id": INT, "product_uom_qty": NUM}, picking_id="public.stock_picking"),
    table("public.account_move", {"id": INT, "name": TEXT, "move_type": TEXT, "state": TEXT, "invoice_date": DAY, "invoice_date_due": DAY,
          "amount_untaxed": NUM, "amount_residual": NUM, "partner_id": INT}, partner_id="public.res_partner"),
    table("public.ir_attachment", {"id": INT, "datas": "bytea"}),
]  # fmt: skip


def test_draft_of_a_database_like_odoos_passes_the_check(tmp_path: Path) -> None:
    text, made = drafted(tmp_path, *ODOO)
    entities = {name: one["to"][0]["entity"] for name, one in made["tables"].items()}
    assert entities["public.sale_order"] == "sales_order" and entities["public.sale_order_line"] == "sales_order_line"
    assert "round:" not in text.replace("`round:`", ""), "nothing is rounded unless a person says so"
    assert "unless you add `round:`" in text
    assert "write_date  #" not in text


def test_draft_of_quoted_names_passes_the_check(tmp_path: Path) -> None:
    columns = {
        "Customer ID": INT,
        "Company Name": TEXT,
        "Is Deleted": BOOL,
        "VAT No": TEXT,
        "Order": TEXT,
        "E-Mail": TEXT,
    }
    _, made = drafted(tmp_path, table("public.Customers", columns, "Customer ID"))
    (record,) = made["tables"]["public.Customers"]["to"]
    assert record["deleted"] == 'row["Is Deleted"]'
    assert record["fields"]["name"] == "Company Name"


@pytest.mark.parametrize("name", ["Is Deleted", "is-deleted", "IsDeleted", "Is'Deleted", "is#deleted"])
def test_soft_delete_column_of_any_name_becomes_an_expression(tmp_path: Path, name: str) -> None:
    _, made = drafted(tmp_path, table("public.customers", {"id": INT, "name": TEXT, name: BOOL}))
    assert "deleted" in made["tables"]["public.customers"]["to"][0]


def test_unreadable_column_is_left_out_with_a_comment(tmp_path: Path) -> None:
    for name in ('Is "Deleted"', "Is\\Deleted"):
        _, made = drafted(tmp_path, table("public.customers", {"id": INT, "name": TEXT, name: BOOL}))
        assert "deleted" not in made["tables"]["public.customers"]["to"][0]
    (problem,) = problems(one_table("- {entity: customer, fields: {name: 'a\"b'}}"))
    assert problem.right == "such a column cannot be read: rename it in the source"


def test_table_that_lacks_required_fields_is_written_as_a_comment(tmp_path: Path) -> None:
    firms = table("public.companies", {"id": INT, "name": TEXT, "city": TEXT, "country": TEXT})
    text, made = drafted(
        tmp_path,
        firms,
        table("public.orders", {"id": INT, "x": "bytea"}),
        table("public.order_lines", {"id": INT, "qty": NUM, "line_no": INT}),
    )
    assert set(made["tables"]) == {"public.companies"}
    assert "public.orders seems to be sales_order, and no column looks like a field of it" in text
    assert "public.order_lines seems to be sales_order_line, and no column names its sales_order" in text


def test_draft_never_references_a_composite_key_by_one_column(tmp_path: Path) -> None:
    stock = table("public.products", {"client": INT, "id": INT, "sku": TEXT, "name": TEXT}, ["client", "id"])
    line = table(
        "public.stock", {"id": INT, "product_id": INT, "warehouse": TEXT, "on_hand": NUM}, product_id="public.products"
    )
    text, _ = drafted(tmp_path, stock, line)
    assert "# TO DECIDE: product_id: product_id names a product, whose key is several columns" in text


def test_deletion_or_change_date_is_not_taken_for_creation(tmp_path: Path) -> None:
    columns = {"id": INT, "name": TEXT, "deleted_at": AT, "updated_at": AT, "is_deleted": BOOL}
    _, made = drafted(tmp_path, table("public.customers", columns))
    assert set(made["tables"]["public.customers"]["to"][0]["fields"]) == {"name"}
    _, made = drafted(tmp_path, table("public.customers", columns | {"created": AT}))
    assert made["tables"]["public.customers"]["to"][0]["fields"]["created_at"] == "created"


@pytest.mark.parametrize(
    ("type_", "line"),
    [
        ("boolean", "deleted: deleted  #"),
        ("smallint", "deleted: deleted == 1  #"),
        ("timestamp with time zone", "deleted: deleted != null  #"),
        ("character varying", "# TO DECIDE: deleted: what does deleted contain"),
    ],
)
def test_soft_delete_condition_follows_the_type_of_its_column(tmp_path: Path, type_: str, line: str) -> None:
    text, _ = drafted(tmp_path, table("public.customers", {"id": "bigint", "name": "text", "deleted": type_}))
    assert [found.strip() for found in text.splitlines() if found.strip().startswith(line)], text
