"""Rows through compiled dictionaries: what each word of the language does."""

from __future__ import annotations

from typing import Any

import pytest

from streams.errors import MappingError
from streams.mapping.row_errors import ColumnMissing, FieldError, LookupMissing
from streams.model.ids import source_id
from tests.unit.rows import change, compiled, field, mapped, one_table, problems, value, warnings


def test_a_row_becomes_a_record_with_the_id_of_its_key() -> None:
    (one,) = mapped(field("customer", "email", "mail"), {"id": 5, "mail": "a@b.example"})
    assert (one.entity, one.key, one.id) == ("customer", "5", source_id("test", "customer", "5"))
    assert one.fields == {"name": "5", "email": "a@b.example"}
    assert (one.deleted, one.parent, one.same_as) == (False, None, None)


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("amount", "12.5", 125_000), ("amount", "-0.0001", -1), ("amount", 3, 30_000), ("amount", 0.1, 1_000), ("amount", "1E-3", 10),
        ("amount", "1.50000000", 15_000), ("amount", "0", 0), ("amount", None, None), ("amount", "99999999999999.9999", 10**18 - 1),
        ("probability", 40, 40), ("probability", "40", 40), ("probability", 40.0, 40), ("probability", "40.00", 40),
        ("expected_close", 19_782, 19_782), ("expected_close", "2024-02-29", 19_782), ("expected_close", "9999-12-31", 2_932_896),
        ("won_at", 1_700_000_000_000_000, 1_700_000_000_000_000), ("won_at", "2024-05-01T10:00:00Z", 1_714_557_600_000_000),
        ("won_at", "2024-05-01T10:00:00.123456Z", 1_714_557_600_123_456), ("won_at", "2024-05-01T12:00:00.5+02:00", 1_714_557_600_500_000),
        ("won_at", "2024-05-01T10:00:00.123456000Z", 1_714_557_600_123_456), ("won_at", "0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("name", "", ""), ("name", " x ", " x "), ("name", 7, "7"), ("name", True, "true"), ("name", "名", "名"),
        ("stage", "won", "won"),
    ],
)  # fmt: skip
def test_values_of_each_type(name: str, given: Any, made: Any) -> None:
    assert value("opportunity", name, "v", given) == made


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("amount", "0.00001", "more than 4 decimals"), ("amount", 0.1 + 0.2, "more than 4 decimals"),
        ("amount", "100000000000000", "more than 14 digits"), ("amount", "NaN", "finite"), ("amount", "NAN", "finite"),
        ("amount", "Infinity", "finite"), ("amount", "1e999999999", "too large"), ("amount", "twelve", "not a number"),
        ("amount", "", "not a number"), ("amount", "1_0", "not a number"), ("amount", "\u0661", "not a number"), ("amount", True, "not a number"),
        ("amount", [1], "not a number"), ("probability", "1.5", "whole"), ("probability", 2**31, "32 bits"),
        ("probability", True, "not a number"), ("expected_close", 2_932_897, "outside the years"), ("expected_close", "2023-02-29", "not a day"),
        ("expected_close", "0000-01-01", "not a day"), ("expected_close", 2_146_033_979, "outside the years"),
        ("expected_close", "infinity", "not a day"), ("won_at", "infinity", "not an ISO"), ("won_at", 9_223_372_036_854_775_807, "outside the years"),
        ("won_at", "2024-05-01T10:00:00.1234567Z", "finer"), ("won_at", "0000-01-01T00:00:00Z", "not an ISO"), ("won_at", 1.5, "not a time"),
        ("won_at", "9999-12-31T23:59:59-01:00", "outside the years"), ("won_at", True, "not a time"),
        ("name", ["x"], "not a text"), ("name", {"x": 1}, "not a text"), ("stage", "Won", "no rule for this value"),
    ],
)  # fmt: skip
def test_values_that_no_type_takes(name: str, given: Any, says: str) -> None:
    with pytest.raises(FieldError, match=says) as caught:
        value("opportunity", name, "v", given)
    assert caught.value.field == f"opportunity.{name}"
    assert caught.value.value == given
    assert "public.t k" in str(caught.value)


def test_a_field_that_must_have_a_value() -> None:
    with pytest.raises(FieldError, match=r"customer\.name.*must have a value"):
        value("customer", "name", "v", None)
    assert value("customer", "name", "{column: v, default: unknown}", None) == "unknown"
    with pytest.raises(FieldError, match="must have a value"):
        value("customer", "email", "{column: v, required: true}", None)


def test_a_key_that_is_null_is_rejected() -> None:
    with pytest.raises(FieldError, match="a key that is null"):
        mapped(field("customer", "name", "v"), {"id": None, "v": "x"})


def test_composite_keys_never_look_the_same() -> None:
    text = "system: test\ntables:\n  public.t:\n    key: [a, b]\n    to: [{entity: product, fields: {sku: a}}]\n"
    keys = {
        mapped(text, {"a": a, "b": b})[0].key for a, b in [("x|y", "z"), ("x", "y|z"), ("x\\", "|z"), ("x\\|", "z")]
    }
    assert len(keys) == 4
    assert mapped(text, {"a": 1, "b": "z"})[0].key == "1|z"


def test_sources_of_a_field() -> None:
    assert value("customer", "notes", "{columns: [v, w]}", "a", w="b") == "a b"
    assert value("customer", "notes", "{columns: [v, w], join: ', '}", None, w="b") == "b"
    assert value("customer", "notes", "{columns: [v, w]}", None, w="") is None
    assert value("customer", "notes", "{const: fixed}", "a") == "fixed"
    assert value("customer", "tags", "{const: [a, b]}", "a") == ["a", "b"]
    assert value("customer", "credit_limit", "{const: 12.5}", "a") == 125_000
    assert value("customer", "notes", '{expr: "upper(v) + string(w)"}', "a", w=1) == "A1"
    assert value("customer", "credit_limit", '{expr: "decimal(v) * decimal(w)"}', "1.5", w="2.25") == 33_750
    assert value("customer", "notes", "{column: v, split: '/', part: 1}", "a / b / c") == "b"
    assert value("customer", "notes", "{column: v, split: '/', part: -1}", "a / b / c") == "c"
    assert value("customer", "notes", "{column: v, split: '/', part: 7}", "a / b / c") is None


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a.b[0]", "x"),
        ("a.b[-1]", "y"),
        ('a["c d"]', "z"),
        ("$.a.b[0]", "x"),
        ("a.q", None),
        ("a.b[9]", None),
        ("n.t", "名"),
    ],
)
def test_paths_into_json(path: str, made: Any) -> None:
    given = '{"a": {"b": ["x", "y"], "c d": "z"}, "n": {"t": "名"}}'
    assert value("customer", "notes", f"{{column: v, path: '{path}'}}", given) == made


def test_paths_take_all_items_and_refuse_what_is_no_json() -> None:
    given = '{"a": [{"t": "x"}, {}, {"t": "y"}]}'
    assert value("customer", "tags", "{column: v, path: 'a[*].t'}", given) == ["x", "y"]
    with pytest.raises(FieldError, match="not JSON"):
        value("customer", "notes", "{column: v, path: a}", "{oops")
    with pytest.raises(FieldError, match="NUL"):
        value("customer", "notes", "{column: v, path: a}", '{"a": "x\\u0000y"}')


def test_value_maps_and_their_unknowns() -> None:
    rule = "{column: v, values: {A: won, 10: lost}%s}"
    assert value("opportunity", "stage", rule % "", "A") == "won"
    assert value("opportunity", "stage", rule % "", 10) == "lost"
    assert value("opportunity", "stage", rule % "", None) is None
    with pytest.raises(FieldError, match="no rule for this value; known are 'A', '10'"):
        value("opportunity", "stage", rule % "", "B")
    assert value("opportunity", "stage", rule % ', unknown: "null"', "B") is None
    assert value("opportunity", "stage", rule % ", unknown: pass", "qualified") == "qualified"
    with pytest.raises(FieldError, match="not one of"):
        value("opportunity", "stage", rule % ", unknown: pass", "B")
    assert value("customer", "credit_blocked", "{column: v, values: {N: false, Y: true}}", "Y") is True


def test_norway_is_a_country() -> None:
    assert value("customer", "segment", "{column: v, values: {NO: north, on: o, yes: y}}", "NO") == "north"


def test_booleans() -> None:
    assert [value("customer", "credit_blocked", "v", x) for x in (True, False, 1, 0, None)] == [
        True,
        False,
        True,
        False,
        None,
    ]
    with pytest.raises(FieldError, match="neither true nor false"):
        value("customer", "credit_blocked", "v", "Y")
    fashions = [
        value("customer", "credit_blocked", "{column: v, steps: [boolean]}", x)
        for x in ("Y", "nein", "X", " ", "是", "f")
    ]
    assert fashions == [True, False, True, False, True, False]


def test_bad_values_may_be_forgiven_with_a_note() -> None:
    known = compiled(field("customer", "email", '{column: v, steps: [email], bad: "null"}'))
    assert mapped(known, {"id": "k", "v": "nonsense"})[0].fields["email"] is None
    assert mapped(known, {"id": "k", "v": "A@B.example"})[0].fields["email"] == "A@b.example"
    ((table, where, kind, reason, shown),) = known.notes.take()
    assert (table, where, kind, shown) == ("public.t", "customer.email", "taken as null", "nonsense")
    assert reason.startswith("not an e-mail address")
    assert value("customer", "email", "{column: v, steps: [email], bad: pass}", "nonsense") == "nonsense"


def test_references() -> None:
    assert value("opportunity", "customer_id", "v", 7) == source_id("test", "customer", "7")
    assert value("opportunity", "customer_id", "v", "") is None
    assert value("opportunity", "customer_id", "{column: v, system: other}", "x") == source_id("other", "customer", "x")
    assert value("opportunity", "customer_id", "{columns: [v, w]}", 1, w="a") == source_id("test", "customer", "1|a")
    assert value("opportunity", "customer_id", "{columns: [v, w]}", 1, w=None) is None
    typed = "{column: v, typed: {res.partner: customer}}"
    assert value("opportunity", "customer_id", typed, "res.partner,12") == source_id("test", "customer", "12")
    assert value("opportunity", "customer_id", typed, "res.user,12") is None
    assert value("opportunity", "customer_id", typed, "res.partner,-1") is None
    with pytest.raises(FieldError, match="type,key"):
        value("opportunity", "customer_id", typed, "12")
    with pytest.raises(FieldError, match="usable as a key"):
        value("opportunity", "customer_id", "v", 1.5)


def test_the_parent_is_the_field_that_the_model_names_unless_said_otherwise() -> None:
    text = one_table("- {entity: contact, fields: {customer_id: c}}")
    assert mapped(text, {"id": 1, "c": 7})[0].parent == source_id("test", "customer", "7")
    text = one_table("- {entity: sales_order, parent: {system: crm, column: o}, fields: {number: n}}")
    assert mapped(text, {"id": 1, "o": "x", "n": "1"})[0].parent == source_id("crm", "opportunity", "x")
    assert mapped(text, {"id": 1, "o": None, "n": "1"})[0].parent is None


def test_a_parent_may_take_steps() -> None:
    text = one_table("- {entity: sales_order_line, parent: {column: o, steps: [strip_zeros]}, fields: {line_no: n}}")
    assert mapped(text, {"id": 1, "o": "00042", "n": 1})[0].parent == source_id("test", "sales_order", "42")
    assert mapped(text, {"id": 1, "o": None, "n": 1})[0].parent is None


def test_same_as_points_into_another_system() -> None:
    text = one_table("- {entity: customer, same_as: {system: crm, column: ref}, fields: {name: n}}")
    assert mapped(text, {"id": 1, "ref": "u", "n": "x"})[0].same_as == source_id("crm", "customer", "u")


def test_one_table_makes_several_records_and_conditions_choose() -> None:
    text = one_table(
        '- {entity: customer, when: \'kind == "C" || kind == "B"\', fields: {name: n}}\n'
        "- {entity: product, when: 'kind != \"C\"', fields: {sku: n}}"
    )
    assert [m.entity for m in mapped(text, {"id": 1, "kind": "C", "n": "x"})] == ["customer"]
    assert [m.entity for m in mapped(text, {"id": 1, "kind": "B", "n": "x"})] == ["customer", "product"]
    gone = mapped(text, {"id": 1, "kind": "P", "n": "x"}, op="u")
    assert [(m.entity, m.deleted, m.fields) for m in gone] == [("customer", True, {}), ("product", False, {"sku": "x"})]


def test_with_whole_rows_before_only_what_was_there_goes() -> None:
    text = one_table("- {entity: customer, when: 'kind == \"C\"', fields: {name: n}}", table="before: full")
    row, was = {"id": 1, "kind": "P", "n": "x"}, {"id": 1, "kind": "C", "n": "x"}
    assert [m.deleted for m in mapped(text, row, op="u", before=was)] == [True]
    assert mapped(text, row, op="u", before=row) == []
    assert mapped(text, None, op="d", before=row) == []
    assert [m.deleted for m in mapped(text, None, op="d", before=was)] == [True]


def test_soft_deletes_keep_their_fields() -> None:
    text = one_table("- {entity: customer, deleted: 'gone != null', fields: {name: n}}")
    (one,) = mapped(text, {"id": 1, "gone": "2024-01-01T00:00:00Z", "n": "x"}, op="u")
    assert one.deleted and one.fields == {"name": "x"}


def test_a_delete_needs_only_the_key() -> None:
    text = one_table("- {entity: sales_order_line, parent: o, fields: {line_no: n}}")
    (one,) = mapped(text, None, op="d", before={"id": 1, "o": 0, "n": 0})
    assert (one.key, one.deleted, one.fields, one.parent) == ("1", True, {}, None), (
        "the source fills what it does not know with 0"
    )
    (one,) = mapped(text, None, op="d", key={"id": 1})
    assert one.deleted
    (one,) = mapped(
        text.replace("key: id", "key: id\n    before: full"), None, op="d", before={"id": 1, "o": 9, "n": 0}
    )
    assert one.parent == source_id("test", "sales_order", "9")


def test_a_parent_that_is_part_of_the_key_is_known_in_a_delete() -> None:
    text = "system: test\ntables:\n  public.t:\n    key: [o, n]\n    to: [{entity: sales_order_line, parent: o, fields: {line_no: n}}]\n"
    assert mapped(text, None, op="d", key={"o": 9, "n": 1})[0].parent == source_id("test", "sales_order", "9")


def test_a_natural_key_that_changes_moves_the_record() -> None:
    text = one_table("- {entity: product, key: sku, fields: {sku: sku}}", table="before: full")
    was, row = {"id": 1, "sku": "A"}, {"id": 1, "sku": "B"}
    assert [(m.key, m.deleted) for m in mapped(text, row, op="u", before=was)] == [("A", True), ("B", False)]
    assert [(m.key, m.deleted) for m in mapped(text, row, op="u", before=row)] == [("B", False)]
    assert [(m.key, m.deleted) for m in mapped(text, None, op="d", before=row, key={"id": 1})] == [("B", True)]
    with pytest.raises(MappingError, match="does not say what was deleted"):
        mapped(text, None, op="d", key={"id": 1})


def test_a_part_of_a_record_takes_only_its_fields_with_it() -> None:
    text = one_table("- {entity: customer, part_of: true, fields: {credit_limit: lim}}")
    text += "  public.firm: {key: id, to: [{entity: customer, fields: {name: n}}]}\n"
    (one,) = mapped(text, None, op="d", key={"id": 1})
    assert not one.deleted and one.fields == {"credit_limit": None}


def test_unsent_columns_leave_their_fields_out() -> None:
    text = one_table(
        "- {entity: customer, fields: {name: n, notes: t, email: {columns: [n, t]}}, attributes: {a: t, b: n}}"
    )
    (one,) = mapped(text, {"id": 1, "n": "x"}, op="u")
    assert one.fields == {"name": "x"}
    (one,) = mapped(text, {"id": 1, "n": "x", "t": None}, op="u")
    assert one.fields == {"name": "x", "notes": None, "email": "x", "attributes": {"b": "x"}}


def test_a_record_cannot_be_placed_without_its_structural_columns() -> None:
    text = one_table("- {entity: sales_order_line, parent: o, fields: {line_no: n}}")
    with pytest.raises(ColumnMissing, match="no longer sends o"):
        mapped(text, {"id": 1, "n": 1}, op="u")


def test_a_truncate_is_not_mapped() -> None:
    known = compiled(field("customer", "name", "v"))
    with pytest.raises(MappingError, match="truncated"):
        known.tables["public.t"].map(None, "t", None)


def test_identifiers_of_any_form() -> None:
    text = (
        'system: test\ntables:\n  "Sales Data.Order-Items":\n    key: ["Order Id", class]\n    to:\n'
        '      - {entity: product, when: \'row["In Use?"] == true\', fields: {sku: "Stück-Nr.", name: Class, description: _hidden}}\n'
    )
    row = {"Order Id": 1, "class": "a", "Stück-Nr.": "S", "Class": "C", "_hidden": "h", "In Use?": True}
    (one,) = mapped(text, row, table="Sales Data.Order-Items")
    assert one.key == "1|a" and one.fields == {"sku": "S", "name": "C", "description": "h"}


LOOKUPS = """
system: test
tables:
  public.stage:
    key: id
    to: []
  public.picking:
    key: id
    to: []
  public.t:
    key: id
    to:
      - entity: opportunity
        fields:
          name: n
          stage: {column: s, lookup: {table: public.stage, column: code, unknown: %s}, values: {W: won}}
          owner: {column: p, lookup: {table: public.picking, column: origin, then: {table: public.stage, column: code, by: name}}}
"""


def test_lookups_into_other_tables() -> None:
    known = compiled(LOOKUPS % "wait")
    row = {"id": 1, "n": "x", "s": 3, "p": None}
    with pytest.raises(LookupMissing, match="public.stage has no row 3"):
        mapped(known, row)
    assert known.lookup_tables == ("public.stage", "public.picking")
    stage = {"id": 3, "code": "W", "name": "last"}
    assert known.update_lookups(change(known, stage, table="public.stage", position=(0, 5, 5))) is True
    assert known.update_lookups(change(known, stage, table="public.stage", position=(0, 6, 6))) is False
    assert mapped(known, row)[0].fields["stage"] == "won"
    old = stage | {"code": "L"}
    assert known.update_lookups(change(known, old, table="public.stage", position=(0, 4, 4))) is False, (
        "old news is no news"
    )
    known.update_lookups(change(known, {"id": 9, "origin": "last"}, table="public.picking"))
    assert mapped(known, row | {"p": 9})[0].fields["owner"] == "W"
    assert (
        known.update_lookups(change(known, None, op="d", key={"id": 3}, table="public.stage", position=(0, 7, 7)))
        is True
    )
    with pytest.raises(LookupMissing):
        mapped(known, row)


def test_lookups_with_a_rule_for_what_is_missing() -> None:
    row = {"id": 1, "n": "x", "s": 3, "p": None}
    assert mapped(LOOKUPS % '"null"', row)[0].fields["stage"] is None
    with pytest.raises(FieldError, match="has no such row"):
        mapped(LOOKUPS % "reject", row)
    assert mapped(LOOKUPS % "pass", row | {"s": "W"})[0].fields["stage"] == "won"


RATES = """
system: test
rates: {table: public.fx, from: f, to: t, rate: r, date: d}
tables:
  public.fx:
    key: id
    to: []
  public.t:
    key: id
    to:
      - entity: opportunity
        fields:
          amount: {column: v, convert: {to: EUR, currency: cur, on: day}, round: half_even}
          currency: {const: EUR}
"""


def test_amounts_are_converted_by_the_rate_of_their_day_and_keep_it() -> None:
    known = compiled(RATES)
    for i, (day, rate) in enumerate([("2024-01-01", "0.90"), ("2024-02-01", "0.95")]):
        known.update_lookups(change(known, {"id": i, "f": "USD", "t": "EUR", "r": rate, "d": day}, table="public.fx"))
    (one,) = mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240115})
    assert one.fields == {
        "amount": 90_000,
        "currency": "EUR",
        "attributes": {"amount_rate": "0.90", "amount_rate_date": "2024-01-01", "amount_original": "10.00 USD"},
    }
    assert mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240201})[0].fields["amount"] == 95_000
    (same,) = mapped(known, {"id": 1, "v": "10.00", "cur": "EUR", "day": None})
    assert same.fields["amount"] == 100_000 and same.fields["attributes"] == {}
    with pytest.raises(LookupMissing, match="USD to EUR on 2023-12-31"):
        mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20231231})
    with pytest.raises(FieldError, match="without a day"):
        mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": None})
    with pytest.raises(FieldError, match="not above zero"):
        known.update_lookups(
            change(known, {"id": 7, "f": "USD", "t": "EUR", "r": "0", "d": "2024-01-01"}, table="public.fx")
        )
    known.update_lookups(change(known, None, op="d", key={"id": 1}, table="public.fx", position=(0, 2, 2)))
    assert mapped(known, {"id": 1, "v": "10.00", "cur": "USD", "day": 20240201})[0].fields["amount"] == 90_000


def test_local_times_that_come_twice_are_noted() -> None:
    known = compiled(field("opportunity", "won_at", "v", top="timezone: Europe/Berlin\n"))
    micros = lambda text: value("opportunity", "won_at", "v", f"{text}Z")  # noqa: E731
    twice = micros("2024-10-27T02:30:00")
    assert mapped(known, {"id": "k", "v": twice})[0].fields["won_at"] == micros("2024-10-27T00:30:00")
    skipped = micros("2024-03-31T02:30:00")
    assert mapped(known, {"id": "k", "v": skipped})[0].fields["won_at"] == micros("2024-03-31T01:30:00")
    plain = micros("2024-07-01T12:00:00")
    assert mapped(known, {"id": "k", "v": plain})[0].fields["won_at"] == micros("2024-07-01T10:00:00")
    assert [kind.split(" local")[0] for _, _, kind, _, _ in known.notes.take()] == ["ambiguous", "skipped"]
    with pytest.raises(FieldError, match="ambiguous local time"):
        value("opportunity", "won_at", "{column: v, steps: [local_time]}", twice, top="timezone: Europe/Berlin\n")
    assert value(
        "opportunity", "won_at", "{column: v, steps: [local_time]}", plain, top="timezone: Europe/Berlin\n"
    ) == micros("2024-07-01T10:00:00")


def test_two_tables_of_one_entity_need_a_namespace() -> None:
    text = """
system: test
tables:
  public.person:
    key: id
    to: [{entity: customer, namespace: person, fields: {name: n}}]
  public.company:
    key: id
    to: [{entity: customer, fields: {name: n}}]
  public.deal:
    key: id
    to:
      - entity: opportunity
        fields: {customer_id: {column: p, namespace: person}, name: n}
"""
    assert warnings(text) == []
    known = compiled(text)
    assert mapped(known, {"id": 1, "n": "x"}, table="public.person")[0].key == "person:1"
    assert mapped(known, {"id": 1, "n": "x"}, table="public.company")[0].key == "1"
    deal = mapped(known, {"id": 1, "p": 1, "n": "x"}, table="public.deal")[0]
    assert deal.fields["customer_id"] == source_id("test", "customer", "person:1")
    assert mapped(known, None, op="d", key={"id": 1}, table="public.person")[0].key == "person:1"
    assert [
        "makes a customer too" in p.what for p in problems(text.replace("namespace: person, fields", "fields"))
    ] == [True]


def test_a_reference_to_what_nothing_makes_is_a_warning() -> None:
    (warning,) = warnings(field("opportunity", "contact_id", "v"))
    assert "points to a contact, which no table of this dictionary makes" in warning.what


def test_what_was_converted_before_is_not_shared_and_not_mixed_up() -> None:
    lists = compiled(one_table("- {entity: customer, fields: {name: n, tags: {column: v, steps: [{list: ','}]}}}"))
    first, again = (mapped(lists, {"id": 1, "n": "x", "v": "a,b"})[0].fields["tags"] for _ in range(2))
    first.append("c")
    assert again == ["a", "b"]
    booleans = compiled(one_table("- {entity: customer, fields: {name: {column: v, steps: [trim]}}}"))
    names = [mapped(booleans, {"id": 1, "v": v})[0].fields["name"] for v in ("1", 1, True, 1.0, "1")]
    assert names == ["1", "1", "true", "1.0", "1"]  # one key to a dict, four texts
    with_country = compiled(
        one_table(
            "- {entity: customer, fields: {name: n, phone: {column: v, steps: [{phone: {country_column: land}}]}}}"
        )
    )
    phones = [
        mapped(with_country, {"id": 1, "n": "x", "v": "0301234567", "land": land})[0].fields["phone"]
        for land in ("DE", "IT", "DE")
    ]
    assert phones == ["+49301234567", "+390301234567", "+49301234567"]
    for _ in range(2):
        with pytest.raises(FieldError, match="phone"):
            mapped(with_country, {"id": 1, "n": "x", "v": "12", "land": "DE"})


def test_what_a_lookup_finds_is_converted() -> None:
    text = """system: test
tables:
  public.address: {key: id, to: []}
  public.t:
    key: id
    to:
      - {entity: customer, part_of: true, fields: {email: {column: a, lookup: {table: public.address, column: email, steps: [email]}, bad: "null"}}}
  public.firm: {key: id, to: [{entity: customer, fields: {name: n}}]}
"""
    known = compiled(text)
    for key, email in (("1", " Info@Ada.EXAMPLE "), ("2", "nobody")):
        known.update_lookups(change(known, {"id": key, "email": email}, table="public.address"))
    assert mapped(known, {"id": "x", "a": "1"})[0].fields == {"email": "info@ada.example"}
    assert mapped(known, {"id": "x", "a": "2"})[0].fields == {"email": None}
