"""Mistakes that the language allows and that would lose data: each is a problem with its line and what would be right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streams.dictionary.check.all_problems import check_dictionary

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "connectors/demo-erp"
SYSTEMS = {"demo-crm", "demo-erp"}
PLANTED = [
    ("opportunity_id: {system: demo-crm,", "opportunity_id: {system: demo-cmr,", "there is no system 'demo-cmr'", "did you mean demo-crm?"),
    ("same_as: {system: demo-crm,", "same_as: {system: demo-cmr,", "there is no system 'demo-cmr'", "did you mean demo-crm?"),
    ("parent: {system: demo-crm,", "parent: {system: salesforce,", "there is no system 'salesforce'", "there are demo-crm, demo-erp"),
    ("same_as: {system: demo-crm, column", "same_as: {column", "does not say whose key this is", "add `system:`, the other system: demo-crm"),
    ("parent: dlv_id", "parent: {entity: invoice, column: dlv_id}", "a shipment_line does not belong to a invoice", "its parent is a shipment"),
    ("  erp.item:\n    key: id", "  erp.item:\n    key: [id, item_no]", "has one column, and the key of a product (erp.item) has 2", "columns: [id, item_no]"),
    ("  erp.pay:\n    key: id\n    to:\n      - entity: payment", "  erp.pay:\n    key: id\n    to:\n      - entity: payment\n        part_of: true",
     "adds to a payment, which no table", "map the table that makes it"),
    ("key: [item_id, whs]", "key: item_id, whs", "one column with a comma in its name: write [item_id, whs]", ""),
    ("key: [item_id, whs]", "key: [item_id, item_id]", "item_id is given twice", ""),
    ("currency: {column: curr, steps: [currency]}\n          tax_rate", "currency: {const: EURO2}\n          tax_rate", "not a currency that ISO 4217 knows: 'EURO2'", "conversion `currency`"),
    ("currency: {column: curr, steps: [currency]}\n          tax_rate", "currency: {const: EURO}\n          tax_rate", "'EURO' is not in the form in which other systems' values arrive", "write EUR"),
    ("    key: [item_id, whs]", "    optional: [whx]\n    key: [item_id, whs]", "nothing reads 'whx' of this table", "did you mean whs?"),
    ("billing_street: street", "billing_street: {column: street, timezone: Europe/Paris}", "`billing_street` is text, not a time", "remove it"),
    ("order_date: {column: ord_date, steps: [yyyymmdd]}", "order_date: {column: ord_date, steps: [yyyymmdd], timezone: UTC}", "`order_date` is date, not a time", "remove it"),
    ("system: demo-erp", "system: demo-epr", "'demo-epr' is not the name of its folder, demo-erp", "write `system: demo-erp`"),
    ("product_id: item_id", "product_id: {column: item_id, entity: customer}", "`product_id` is a product, not a customer", "remove it"),
]  # fmt: skip


def planted(tmp_path: Path, good: str, wrong: str) -> tuple[Path, int]:
    """The demo's dictionary with a mistake, and the mistake's line."""
    text = (DEMO / "dictionary.yaml").read_text("utf-8")
    assert good in text, good
    folder = tmp_path / "demo-erp"
    shutil.copytree(DEMO, folder)
    (folder / "dictionary.yaml").write_text(text.replace(good, wrong, 1), "utf-8")
    at = text.index(good)
    same = next((i for i, (a, b) in enumerate(zip(good, wrong, strict=False)) if a != b), min(len(good), len(wrong)))
    return folder, text[: at + same].count("\n") + 1


@pytest.mark.parametrize(("good", "wrong", "what", "right"), PLANTED, ids=[planted[2] for planted in PLANTED])
def test_mistake_that_would_lose_data_is_a_problem_with_its_line(
    tmp_path: Path, good: str, wrong: str, what: str, right: str
) -> None:
    folder, line = planted(tmp_path, good, wrong)
    checked = check_dictionary(folder, SYSTEMS)
    matching = [problem for problem in checked.problems if what in problem.what and right in problem.right]
    assert matching, "\n".join(map(str, checked.problems))
    assert line in {p.line for p in matching} | {p.line - 1 for p in matching} or "key of a product" in what
    assert all(p.what == matching[0].what or "has one column" in p.what for p in checked.problems), "and no other"
    assert all(problem.field for problem in matching)


def test_valid_dictionary_has_no_problems() -> None:
    assert check_dictionary(DEMO, SYSTEMS).problems == []
    for system in ("dolibarr", "suitecrm"):
        assert check_dictionary(ROOT / "tests/fixtures/connectors" / system, {system}).problems == []


def test_part_of_needs_as_many_key_columns_as_its_record(tmp_path: Path) -> None:
    text = """\
system: test
tables:
  public.stock: {key: [item, place], to: [{entity: inventory_level, fields: {product_id: item, warehouse: place, on_hand: qty}}]}
  public.item: {key: id, to: [{entity: product, fields: {sku: no}}]}
  public.min: {key: item, to: [{entity: inventory_level, part_of: true, fields: {reorder_point: least}}]}
"""
    (tmp_path / "dictionary.yaml").write_text(text, "utf-8")
    (problem,) = check_dictionary(tmp_path).problems
    assert (problem.line, problem.right) == (5, "name all of them, in that order: key: [item, place]")


def test_payment_may_belong_to_an_order_without_a_known_invoice(tmp_path: Path) -> None:
    text = """\
system: test
tables:
  public.so: {key: id, to: [{entity: sales_order, fields: {number: no}}]}
  public.pay: {key: id, to: [{entity: payment, parent: {entity: sales_order, column: so}, fields: {amount: a}}]}
"""
    (tmp_path / "dictionary.yaml").write_text(text, "utf-8")
    assert check_dictionary(tmp_path).problems == []


def test_problem_that_only_follows_from_another_is_not_reported(tmp_path: Path) -> None:
    text = """\
system: test
tables:
  public.a: {key: id, to: [{entity: sales_ordre_x_y_z, fields: {number: no}}]}
  public.b: {key: id, to: [{entity: sales_order, part_of: true, fields: {notes: n}}]}
"""
    (tmp_path / "dictionary.yaml").write_text(text, "utf-8")
    assert [problem.field for problem in check_dictionary(tmp_path).problems] == ["tables.public.a.to[0].entity"]


@pytest.mark.parametrize(("examples", "line"), [("- table: [", 1), ("- table: erp.cust\n  row: {id: 1}\n  op: x\n", 3)])
def test_unreadable_examples_do_not_stop_other_checks(tmp_path: Path, examples: str, line: int) -> None:
    shutil.copytree(DEMO, tmp_path / "demo-erp")
    shutil.copytree(ROOT / "connectors/demo-crm", tmp_path / "demo-crm")
    (tmp_path / "demo-erp/examples.yaml").write_text(examples, "utf-8")
    crm = tmp_path / "demo-crm/dictionary.yaml"
    crm.write_text(crm.read_text("utf-8").replace("segment: {column: tier", "segmnet: {column: tier", 1), "utf-8")
    folders = [str(tmp_path / name) for name in ("demo-erp", "demo-crm")]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "map", "check", *folders, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert {Path(finding["file"]).name for finding in findings} == {"examples.yaml", "dictionary.yaml"}
    assert line in {finding["line"] for finding in findings if finding["file"].endswith("examples.yaml")}


ORDER_LINES = """\
system: drafted
tables:
  public.item:
    key: id
    to:
      - {entity: product, fields: {sku: code, kind: {column: kind, values: {G: goods, S: service}}}}
  public.line:
    key: id
    to:
      - entity: sales_order_line
        parent: order_id
        fields:
          product_id: item_id
"""


def test_lines_that_do_not_say_what_the_products_are_are_a_warning(tmp_path: Path) -> None:
    file, place = tmp_path / "dictionary.yaml", "tables.public.line.to[0].fields"
    file.write_text(ORDER_LINES)
    (warning,) = (each for each in check_dictionary(tmp_path).warnings if each.field == place)
    assert "`kind`" in warning.what
    lookup = "kind: {column: item_id, lookup: {table: public.item, column: kind}, values: {G: goods, S: service}}"
    file.write_text(ORDER_LINES + f"          {lookup}\n")
    checked = check_dictionary(tmp_path)
    assert checked.problems == []
    assert place not in [each.field for each in checked.warnings]
