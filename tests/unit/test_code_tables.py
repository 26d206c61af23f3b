"""Lookups as ERP systems need them: a code's text by client and language, and references with a type behind a reference with a type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.dictionary.explain import origins
from streams.errors import MappingError
from streams.mapping.compiled import CompiledDictionary
from streams.model.ids import source_id
from streams.pipeline.row_route import RowRoute
from tests.factories import change, compiled, mapped, one_table, parsed, problems

TEXTS = """\
system: test
tables:
  sap.t005t: {key: [mandt, spras, land1], to: []}
  public.t:
    key: id
    to:
      - entity: customer
        fields:
          name: id
          notes: {column: land, lookup: {table: sap.t005t, column: landx, where: {spras: lang, mandt: {const: "100"}}, unknown: reject}}
"""


def learned(text: str, table: str, *rows: dict[str, Any]) -> CompiledDictionary:
    known = compiled(text)
    for number, row in enumerate(rows, 1):
        known.update_lookups(change(known, row, table=table, position=(0, number, number)))
    return known


ROWS = [
    {"mandt": 100, "spras": "D", "land1": "DE", "landx": "Deutschland"},
    {"mandt": 100, "spras": "E", "land1": "DE", "landx": "Germany"},
    {"mandt": 200, "spras": "E", "land1": "DE", "landx": "of another client"},
    {"mandt": 100, "spras": "E|D", "land1": "E", "landx": "with a bar in its key"},
]


@pytest.mark.parametrize(
    ("land", "lang", "made"),
    [("DE", "D", "Deutschland"), ("DE", "E", "Germany"), ("E", "E|D", "with a bar in its key"), (None, None, None)],
)
def test_a_text_is_looked_up_by_code_language_and_client(land: str, lang: str, made: str) -> None:
    known = learned(TEXTS, "sap.t005t", *ROWS)
    assert mapped(known, {"id": "k", "land": land, "lang": lang})[0].fields["notes"] == made


@pytest.mark.parametrize(
    ("land", "lang", "says"),
    [
        ("FR", "D", "no such row: \\('FR', 'D', '100'\\)"),
        ("DE", None, "a column that selects the row of sap.t005t is null"),
    ],
)
def test_a_text_that_is_not_there_goes_by_the_rule_for_it(land: str, lang: str | None, says: str) -> None:
    known = learned(TEXTS, "sap.t005t", *ROWS)
    with pytest.raises(MappingError, match=says):
        mapped(known, {"id": "k", "land": land, "lang": lang})


def test_a_row_of_the_code_table_that_changes_is_followed() -> None:
    known = learned(TEXTS, "sap.t005t", *ROWS, ROWS[0] | {"landx": "BRD"})
    assert mapped(known, {"id": "k", "land": "DE", "lang": "D"})[0].fields["notes"] == "BRD"


def test_a_column_that_only_a_lookup_reads_is_read_and_explained() -> None:
    known = compiled(TEXTS)
    assert {"land", "lang"} <= set(known.tables["public.t"].columns)
    (origin,) = origins(parsed(TEXTS), "customer", "notes")
    assert origin.steps == ("landx of the row in sap.t005t, spras = lang, mandt = '100'; no such row: reject",)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("", "sap.t005t is looked up by mandt, spras, land1"),
        (", where: {spras: lang}", "sap.t005t is looked up by mandt, land1"),
        (", where: {spras: {}, mandt: {const: 1}}", "needs one of column and const"),
        (", where: {spras: {colum: a}}", "is not a word of the language here"),
    ],
)
def test_what_must_be_said_of_a_table_with_several_key_columns(where: str, says: str) -> None:
    text = TEXTS.replace(', where: {spras: lang, mandt: {const: "100"}}', where)
    assert any(says in one.what for one in problems(text)), problems(text)


MOVES = """\
system: test
tables:
  public.move: {key: id, to: []}
  public.t:
    key: id
    to:
      - entity: shipment_line
        parent: pick
        fields:
          order_line_id:
            column: origin
            typed: {stock.move: public.move}
            lookup: {table: public.move, column: origin, unknown: "null", typed: {sale.line: sales_order_line}}
"""


def test_a_reference_with_a_type_leads_to_one_in_another_table() -> None:
    known = learned(MOVES, "public.move", {"id": 5, "origin": "sale.line,77"}, {"id": 6, "origin": "purchase.line,8"})

    def line(origin: str) -> Any:
        return mapped(known, {"id": "1", "pick": "3", "origin": origin})[0].fields["order_line_id"]

    assert line("stock.move,5") == source_id("test", "sales_order_line", "77")
    assert [line(one) for one in ("stock.move,6", "stock.move,7", "other,5")] == [None, None, None]


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("stock.move: public.move", "stock.move: sales_order_line", "write the table of the lookup: public.move"),
        ("sale.line: sales_order_line", "sale.line: product", "write the field's entity: sales_order_line"),
    ],
)
def test_a_type_points_where_the_reference_goes(right: str, wrong: str, says: str) -> None:
    assert [one.right for one in problems(MOVES.replace(right, wrong))] == [says]


def test_match_keys_are_not_said_by_a_dictionary() -> None:
    (problem,) = problems(one_table("- {entity: customer, match: [tax_id], fields: {name: n}}"))
    assert problem.field.endswith(".match") and "ownership.yaml" in problem.right


def test_first_lookup_of_a_batch_reads_to_the_ends_of_code_tables() -> None:
    asked: list[bool] = []

    class Codes:
        def follow(self, *, at_once: bool = False) -> None:
            asked.append(at_once)

    route: Any = RowRoute.__new__(RowRoute)
    route._tables = {
        "t": SimpleNamespace(map_change=lambda change: [], uses_lookups=True),
        "plain": SimpleNamespace(map_change=lambda change: [], uses_lookups=False),
    }
    route._code_tables, route._caught_up, route._followers = Codes(), True, None
    for _ in range(2):
        route.begin()
        route.map(SimpleNamespace(table="plain"))
        for _ in range(3):
            route.map(SimpleNamespace(table="t"))
    assert asked == [True, False, False] * 2
    looks = {name: table.uses_lookups for name, table in learned(MOVES, "public.move").tables.items()}
    assert looks == {"public.move": False, "public.t": True}
