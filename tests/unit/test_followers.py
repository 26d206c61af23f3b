"""Which rows are to be read again after a change of a row that they looked up."""

from __future__ import annotations

from typing import Any

import pytest

from streams.model.change import Resnapshot
from tests.factories import change, compiled, problems

TEXT = """
system: test
tables:
  public.uom: {key: id, before: full, to: []}
  public.template: {key: id, before: full, to: []}
  public.move: {key: id, before: full, to: []}
  public.t:
    key: id
    to:
      - entity: product
        fields:
          sku: id
          unit: {column: tmpl, lookup: {table: public.template, column: uom, then: {table: public.uom, column: name, follow: true}}}
          name: {column: tmpl, lookup: {table: public.template, column: name, follow: true}}
        attributes:
          moved: {column: id, lookup: {table: public.move, by: product, take: sum, column: qty, where: {state: {const: done}}, follow: true}}
"""


def wanted(
    table: str, before: dict[str, Any] | None, after: dict[str, Any] | None, op: str = "u", text: str = TEXT
) -> list[tuple[str, str]]:
    known = compiled(text)
    row = before if after is None else after
    assert row is not None
    made = change(known, after, op=op, before=before, table=f"public.{table}", key={"id": row["id"]})  # type: ignore[arg-type]
    source = known.tables[f"public.{table}"]
    rows = known.followers.resnapshots(made, source.attribute, source.key_columns)
    again = known.followers.resnapshots(made, source.attribute, source.key_columns)
    assert again == ([] if op == "r" else rows), "a snapshot that says the same again wants nothing"
    assert all(isinstance(one, Resnapshot) and (one.system, one.table) == ("test", "public.t") for one in rows)
    return [(one.condition, one.value) for one in rows]


TEMPLATE = {"id": 5, "name": "Chair", "uom": 1, "note": "x"}
MOVE = {"id": 1, "product": 8, "qty": "2", "state": "done"}
BY_TEMPLATE, BY_PRODUCT = '"tmpl" IN ({values})', '"id" IN ({values})'
BY_UNIT = '"tmpl" IN (SELECT "id" FROM "public"."template" WHERE "uom" IN ({values}))'


def test_change_of_a_looked_up_column_wants_the_rows_that_look_it_up() -> None:
    assert wanted("template", TEMPLATE, TEMPLATE | {"name": "Stool"}) == [(BY_TEMPLATE, "5")]
    assert wanted("template", TEMPLATE, TEMPLATE | {"uom": 2}) == [], "nobody follows this column of it"


def test_rows_that_look_further_are_found_by_a_query() -> None:
    assert wanted("uom", {"id": 1, "name": "kg"}, {"id": 1, "name": "g"}) == [(BY_UNIT, "1")]


def test_row_that_others_wait_for_wants_nothing_when_it_comes() -> None:
    assert wanted("template", None, TEMPLATE, "c") == wanted("template", None, TEMPLATE, "r") == []


def test_row_of_a_group_wants_its_old_and_its_new_group() -> None:
    assert wanted("move", None, MOVE, "c") == wanted("move", None, MOVE, "r") == [(BY_PRODUCT, "8")]
    assert wanted("move", MOVE, MOVE | {"product": 9}) == [(BY_PRODUCT, "8"), (BY_PRODUCT, "9")]
    assert wanted("move", MOVE, MOVE | {"state": "draft"}) == wanted("move", MOVE, None, "d") == [(BY_PRODUCT, "8")]
    assert wanted("move", None, MOVE | {"product": None}, "c") == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("name: {column: tmpl, lookup", "name: {column: tmpl, steps: [trim], lookup", "not a column as it is"),
        ("name: {column: tmpl, lookup", "name: {expr: tmpl + 1, lookup", "not a column as it is"),
        ("public.move: {key: id, before: full", "public.move: {key: id", "does not say what the row was before"),
    ],
)
def test_what_cannot_be_followed_is_named(old: str, new: str, what: str) -> None:
    assert any(what in problem.what for problem in problems(TEXT.replace(old, new))), problems(TEXT.replace(old, new))


def test_names_are_quoted_as_their_source_quotes_them() -> None:
    text = TEXT.replace("system: test", "system: test\nkind: mariadb")
    assert problems(text) == []
    conditions = [
        condition for condition, _ in wanted("uom", {"id": 1, "name": "kg"}, {"id": 1, "name": "g"}, text=text)
    ]
    assert conditions == [BY_UNIT.replace('"', "`")]
