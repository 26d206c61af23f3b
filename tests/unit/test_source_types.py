"""Each type of a source column for each kind of canonical field: what the field holds, or why it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.dictionary.compile.compiler import compile_with_warnings
from streams.mapping.compiled import CompiledDictionary
from streams.mapping.row_errors import FieldError
from streams.mapping.source_types import types_in_guide
from tests.factories import change, field, mapped, one_table, parsed

ROOT = Path(__file__).parents[2]
KINDS = {
    "text": ("sales_order_line", "description"), "int": ("sales_order_line", "line_no"),
    "decimal": ("sales_order_line", "quantity"), "date": ("sales_order_line", "requested_date"),
    "timestamp": ("shipment", "shipped_at"), "bool": ("customer", "credit_blocked"),
}  # fmt: skip
NOON = 1_714_557_600_000_000  # 2024-05-01T10:00:00 as microseconds of a clock
BERLIN_MIDNIGHT = 1_714_514_400_000_000  # 2024-05-01T00:00:00+02:00
MOMENT, SHORT = "2024-05-01T08:00:00.000000Z", "2024-05-01T08:00:00Z"

READ: list[tuple[str, Any, dict[str, Any]]] = [
    ("text", "A", {"text": "A"}), ("character varying", "A", {"text": "A"}), ("citext", "A", {"text": "A"}), ("xml", "<a/>", {"text": "<a/>"}),
    ("uuid", "7c9e6679-7425-40de-944b-e07fc1f90ae7", {"text": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}), ("inet", "10.0.0.1", {"text": "10.0.0.1"}),
    ("enum", "won", {"text": "won"}), ("int4range", "[1,5)", {"text": "[1,5)"}),
    ("smallint", 7, {"text": "7", "int": 7, "decimal": 7 * 10**6}), ("bigint", 7, {"text": "7", "int": 7, "decimal": 7 * 10**6}),
    ("numeric", "7.00", {"text": "7.00", "int": 7, "decimal": 7 * 10**6}), ("double precision", 7.0, {"text": "7", "int": 7, "decimal": 7 * 10**6}),
    ("money", "7.00", {"text": "7.00", "int": 7, "decimal": 7 * 10**6}), ("boolean", True, {"text": "true", "bool": True}), ("bit", True, {"text": "true", "bool": True}),
    ("date", 19844, {"text": "2024-05-01", "date": 19844, "timestamp": BERLIN_MIDNIGHT}),
    ("timestamp without time zone", NOON, {"text": "2024-05-01T10:00:00", "timestamp": NOON - 7_200_000_000}),
    ("timestamp without time zone", NOON + 500_000, {"text": "2024-05-01T10:00:00.5"}),
    ("timestamp with time zone", MOMENT, {"text": SHORT, "timestamp": NOON - 7_200_000_000}),
    ("time without time zone", 56_400_000_000, {"text": "15:40:00"}), ("time without time zone", 86_400_000_000, {"text": "24:00:00"}),
    ("time with time zone", "15:40:00Z", {"text": "15:40:00Z"}), ("interval", "P0Y0M1DT2H0M0.50S", {"text": "P1DT2H0.5S"}), ("interval", "P0Y0M0DT0H0M0S", {"text": "PT0S"}),
    ("jsonb", '{"a": 1}', {}), ("json", '{"a": 1}', {}), ("hstore", '{"a":"1"}', {}), ("bytea", "AAE=", {}), ("bit varying", "AQ==", {}), ("point", {"x": 1.0, "y": 2.0}, {}),
    ("int4multirange", "x", {}), ("address", "x", {}),
]  # fmt: skip
"""Type, a value as Debezium sends it, and what each kind of field makes of it; every other kind refuses the column."""

BY_VALUE = {("smallint", "bool"), ("bigint", "bool")} | {
    (kind, other)
    for kind in ("text", "character varying", "citext", "xml", "uuid", "inet", "enum", "int4range")
    for other in ("int", "decimal", "date", "timestamp", "bool")
}
"""Refused by the check; values that fit are read all the same. Nothing is misread."""


def typed(text: str, **types: str) -> tuple[CompiledDictionary, list[str]]:
    made = compile_with_warnings(parsed(text), types={"public.t": {"id": "text", **types}})
    return made.dictionary, [f"{one.problem.what}; {one.problem.right}" for one in made.refusals]


@pytest.mark.parametrize(("kind", "value", "made"), READ, ids=[f"{r[0]}-{r[1]}" for r in READ])
def test_a_type_is_read_as_what_it_is_or_refused(kind: str, value: Any, made: dict[str, Any]) -> None:
    for name, (entity, target) in KINDS.items():
        dictionary, refused = typed(field(entity, target, "x", top="timezone: Europe/Berlin\n"), x=kind)
        if name in made:
            assert not refused
            (record,) = mapped(dictionary, {"id": "1", "x": value})
            assert record.fields[target] == made[name], name
        elif READ[[r[0] for r in READ].index(kind)][2].get(name) is None:
            assert len(refused) == 1, name
            if (kind, name) not in BY_VALUE:
                with pytest.raises(FieldError, match="x is "):
                    mapped(dictionary, {"id": "1", "x": value})


def test_every_type_that_debezium_sends_is_in_the_table() -> None:
    assert {kind for kind, _, _ in READ} <= {*types_in_guide(), "int4multirange", "address"}


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("date[]", [19844, None], ["2024-05-01"]), ("timestamp without time zone[]", [NOON], ["2024-05-01T10:00:00"]),
        ("numeric[]", ["1.50"], ["1.50"]), ("integer[]", [1, 2], ["1", "2"]), ("text[]", ["a"], ["a"]), ("boolean[]", [True], ["true"]),
    ],
)  # fmt: skip
def test_a_list_is_read_by_the_type_of_its_items(kind: str, value: Any, made: list[str]) -> None:
    dictionary, refused = typed(field("customer", "tags", "x"), x=kind)
    assert not refused
    assert mapped(dictionary, {"id": "1", "x": value})[0].fields["tags"] == made


def test_a_refusal_names_field_column_and_remedy() -> None:
    _, refused = typed(field("sales_order_line", "requested_date", "x"), x="timestamp with time zone")
    assert refused == ["x is timestamp with time zone, not a date; add `steps: [date_of]`"]


ATTRIBUTES = "- {entity: customer, fields: {name: id}, attributes: {a: %s}}"


@pytest.mark.parametrize(
    ("rule", "kind", "value", "made"),
    [
        ("x", "date", 7304, "1989-12-31"), ("x", "timestamp without time zone", NOON, "2024-05-01T10:00:00"),
        ("{column: x, steps: [date_of]}", "timestamp without time zone", NOON, "2024-05-01"), ("{column: x, steps: [date_of]}", "date", 19844, "2024-05-01"),
        ("{column: x, steps: [trim]}", "date", 19844, "2024-05-01"), ("{columns: [id, x]}", "date", 19844, "1 2024-05-01"),
        ("{expr: x}", "date", 19844, "2024-05-01"), ("{expr: x + 30}", "date", 19844, "2024-05-31"), ("{expr: string(x)}", "time without time zone", 1_500_000, "00:00:01.5"),
        ("{column: x, values: {2024-05-01: start}}", "date", 19844, "start"), ("{column: x, values: {'1': one}}", "numeric", "1.00", "one"),
        ("{column: x, path: '[1]'}", "date[]", [1, 19844], "2024-05-01"),
    ],
)  # fmt: skip
def test_days_and_times_are_iso_text_wherever_a_text_is_made(rule: str, kind: str, value: Any, made: str) -> None:
    """kafka-connect-jdbc#1190: a date became 7304, a timestamp 1714557600000000."""
    dictionary, _ = typed(one_table(ATTRIBUTES % rule), x=kind)
    assert mapped(dictionary, {"id": "1", "x": value})[0].fields["attributes"] == {"a": made}


@pytest.mark.parametrize(
    ("expr", "types", "row", "made"),
    [
        ("bal > lim", {"bal": "numeric", "lim": "numeric"}, {"bal": "9.00", "lim": "1000.00"}, False), ("bal != 0", {"bal": "numeric"}, {"bal": "0.00"}, False),
        ("bal in [0, 1]", {"bal": "numeric"}, {"bal": "1.00"}, True), ("bal + lim == 10.5", {"bal": "numeric", "lim": "money"}, {"bal": "9.00", "lim": "1.50"}, True),
        ("bal == qty", {"bal": "numeric", "qty": "integer"}, {"bal": "2.00", "qty": 2}, True), ("bal >= 1.5", {"bal": "numeric"}, {"bal": "10"}, True),
        ("due < ordered", {"due": "date", "ordered": "timestamp without time zone"}, {"due": 19845, "ordered": NOON}, False),
        ("due >= '2024-01-01'", {"due": "date"}, {"due": 19844}, True), ("due == null", {"due": "date"}, {"due": None}, True),
    ],
)  # fmt: skip
def test_numbers_and_days_in_expressions_are_compared_as_such(
    expr: str, types: dict[str, str], row: dict[str, Any], made: bool
) -> None:
    """SigNoz#8963: 9.00 > 1000.00, and 0.00 != 0."""
    text = field("customer", "credit_blocked", f"{{expr: {expr!r}}}" if "'" not in expr else f'{{expr: "{expr}"}}')
    dictionary, refused = typed(text, **types)
    assert not refused
    assert mapped(dictionary, {"id": "1", **row})[0].fields["credit_blocked"] is made


@pytest.mark.parametrize(
    ("expr", "kind", "value"),
    [("x == '1'", "integer", 1), ("x in ['1', '2']", "numeric", "1.00"), ("x != 0", "text", "0"), ("x > '9'", "numeric", "10")],
)  # fmt: skip
def test_a_number_is_never_compared_with_a_text_in_silence(expr: str, kind: str, value: Any) -> None:
    dictionary, refused = typed(field("customer", "credit_blocked", f'{{expr: "{expr}"}}'), x=kind)
    assert len(refused) == 1 and "compares a number with a text" in refused[0]
    with pytest.raises(FieldError):
        mapped(dictionary, {"id": "1", "x": value})


LOOKUP = """
system: test
timezone: Europe/Berlin
tables:
  public.t:
    key: id
    to:
      - {entity: shipment, fields: {shipped_at: {column: tour, lookup: {table: public.tour, column: left_on, by: no}}}}
      - {entity: customer, fields: {name: id}, attributes: {left: {column: tour, lookup: {table: public.tour, column: left_on, by: no}}}}
  public.tour: {key: id, to: []}
"""


def test_a_lookup_reads_the_column_that_it_finds_by_its_type() -> None:
    tour = {"id": "integer", "no": "numeric", "left_on": "date"}
    types = {"public.t": {"id": "text", "tour": "integer"}, "public.tour": tour}
    made = compile_with_warnings(parsed(LOOKUP), types=types).dictionary
    made.update_lookups(change(made, {"id": 1, "no": "42.00", "left_on": 19844}, table="public.tour"))
    shipment, customer = mapped(made, {"id": "1", "tour": 42})
    assert shipment.fields["shipped_at"] == BERLIN_MIDNIGHT
    assert customer.fields["attributes"] == {"left": "2024-05-01"}
    refused = compile_with_warnings(
        parsed(LOOKUP), types=types | {"public.tour": tour | {"left_on": "time without time zone"}}
    ).refusals
    assert [one.problem.field for one in refused] == ["tables.public.t.to[0].fields.shipped_at.lookup"]


def test_a_numeric_expression_is_a_key_and_a_value_of_a_map() -> None:
    text = one_table(
        "- {entity: sales_order_line, parent: {expr: head}, fields: {description: {expr: kind, values: {'1': one}}}}"
    )
    dictionary, _ = typed(text, head="numeric", kind="numeric")
    (record,) = mapped(dictionary, {"id": "1", "head": "42", "kind": "1.00"})
    assert record.fields["description"] == "one"
    assert (
        record.parent
        == mapped(
            one_table("- {entity: sales_order_line, parent: head, fields: {line_no: id}}"), {"id": "1", "head": "42"}
        )[0].parent
    )


def test_without_types_a_day_is_not_read_as_a_time() -> None:
    """Seen with Tryton: `left_on date` for shipped_at gave 1970-01-01T00:00:00.020787Z."""
    with pytest.raises(FieldError, match="a number of days"):
        mapped(field("shipment", "shipped_at", "left_on"), {"id": "1", "left_on": 20787})


def test_a_column_of_unknown_type_beside_known_ones_gives_no_number() -> None:
    dictionary, _ = typed(field("sales_order_line", "description", "fresh"))
    assert mapped(dictionary, {"id": "1", "fresh": "A"})[0].fields["description"] == "A"
    with pytest.raises(FieldError, match="type is not known"):
        mapped(dictionary, {"id": "1", "fresh": 19844})


OPEN_END = '- {entity: customer, fields: {name: id}, attributes: {a: {column: x, steps: [{null_date: [9999-12-31, "1900-01-01", infinity]}]}}}'


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("date", 2_932_896, None), ("date", -25_567, None), ("date", -2_147_472_693, None), ("date", 2_932_895, "9999-12-30"),
        ("timestamp without time zone", 253_402_300_799_000_000, None), ("timestamp without time zone", 253_402_300_799_999_999, None),
        ("timestamp without time zone", 9_223_372_036_825_200_000, None), ("timestamp without time zone", NOON, "2024-05-01T10:00:00"),
        ("timestamp with time zone", "9999-12-30T23:00:00Z", None), ("timestamp with time zone", "9999-12-30T15:00:00Z", None),
        ("timestamp with time zone", "9999-12-31T23:59:59.999999Z", None), ("timestamp with time zone", "1899-12-31T23:06:32Z", None),
        ("timestamp with time zone", "1900-01-02T04:59:59Z", None), ("timestamp with time zone", "infinity", None), ("timestamp with time zone", "+10000-01-01T04:59:59.000000Z", None), ("timestamp with time zone", MOMENT, SHORT),
        ("text", "9999-12-31", None), ("text", "9999-12-31 23:59:59", None), ("text", "x", "x"),
    ],
)  # fmt: skip
def test_every_moment_of_an_open_end_is_null(kind: str, value: Any, made: str | None) -> None:
    """swissparlpy#64: 9999-12-31 23:59:59, and midnight in another zone."""
    dictionary, _ = typed(one_table(OPEN_END), x=kind)
    assert mapped(dictionary, {"id": "1", "x": value})[0].fields["attributes"] == {"a": made}
    steps = '{column: x, steps: [{null_date: [9999-12-31, "1900-01-01", infinity]}]}'
    if made is None:
        for target in (("shipment", "shipped_at"), ("sales_order_line", "requested_date")):
            assert mapped(field(*target, steps), {"id": "1", "x": value})[0].fields[target[1]] is None, target


def test_the_guide_names_every_type() -> None:
    page = (ROOT / "docs/guides/source-types.md").read_text("utf-8")
    assert [kind for kind in types_in_guide() if f"`{kind}`" not in page and kind != "enum"] == []
