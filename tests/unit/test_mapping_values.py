"""Values through compiled dictionaries: types, sources of a field, conversions, value maps, rejected values."""

from __future__ import annotations

from typing import Any

import pytest

from streams.mapping.row_errors import FieldError
from tests.factories import compiled, field, mapped, one_table, value


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
def test_value_becomes_the_canonical_value_of_its_type(name: str, given: Any, made: Any) -> None:
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
def test_value_that_does_not_fit_its_type_is_rejected_with_field_and_row(name: str, given: Any, says: str) -> None:
    with pytest.raises(FieldError, match=says) as caught:
        value("opportunity", name, "v", given)
    assert caught.value.field == f"opportunity.{name}"
    assert caught.value.value == given
    assert "public.t k" in str(caught.value)


def test_null_is_rejected_where_a_field_must_have_a_value() -> None:
    with pytest.raises(FieldError, match=r"customer\.name.*must have a value"):
        value("customer", "name", "v", None)
    assert value("customer", "name", "{column: v, default: unknown}", None) == "unknown"
    with pytest.raises(FieldError, match="must have a value"):
        value("customer", "email", "{column: v, required: true}", None)


def test_field_takes_its_value_from_each_kind_of_source() -> None:
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
def test_path_reads_a_place_in_json(path: str, made: Any) -> None:
    given = '{"a": {"b": ["x", "y"], "c d": "z"}, "n": {"t": "名"}}'
    assert value("customer", "notes", f"{{column: v, path: '{path}'}}", given) == made


def test_path_reads_all_items_of_a_list_and_rejects_text_that_is_not_json() -> None:
    given = '{"a": [{"t": "x"}, {}, {"t": "y"}]}'
    assert value("customer", "tags", "{column: v, path: 'a[*].t'}", given) == ["x", "y"]
    with pytest.raises(FieldError, match="not JSON"):
        value("customer", "notes", "{column: v, path: a}", "{oops")
    with pytest.raises(FieldError, match="NUL"):
        value("customer", "notes", "{column: v, path: a}", '{"a": "x\\u0000y"}')


def test_value_map_follows_its_rule_for_unlisted_values() -> None:
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


def test_yaml_words_for_booleans_are_texts_in_a_value_map() -> None:
    assert value("customer", "segment", "{column: v, values: {NO: north, on: o, yes: y}}", "NO") == "north"


def test_boolean_field_accepts_booleans_and_the_step_reads_other_forms() -> None:
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


def test_rejected_value_becomes_null_or_passes_with_a_mapping_note() -> None:
    known = compiled(field("customer", "email", '{column: v, steps: [email], bad: "null"}'))
    assert mapped(known, {"id": "k", "v": "nonsense"})[0].fields["email"] is None
    assert mapped(known, {"id": "k", "v": "A@B.example"})[0].fields["email"] == "A@b.example"
    ((table, where, kind, reason, shown),) = known.notes.take()
    assert (table, where, kind, shown) == ("public.t", "customer.email", "taken as null", "nonsense")
    assert reason.startswith("not an e-mail address")
    assert value("customer", "email", "{column: v, steps: [email], bad: pass}", "nonsense") == "nonsense"


def test_ambiguous_and_skipped_local_times_add_mapping_notes() -> None:
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


def test_cached_conversions_are_not_shared_and_not_mixed_up() -> None:
    lists = compiled(one_table("- {entity: customer, fields: {name: n, tags: {column: v, steps: [{list: ','}]}}}"))
    first, second = (mapped(lists, {"id": 1, "n": "x", "v": "a,b"})[0].fields["tags"] for _ in range(2))
    first.append("c")
    assert second == ["a", "b"]
    booleans = compiled(one_table("- {entity: customer, fields: {name: {column: v, steps: [trim]}}}"))
    names = [mapped(booleans, {"id": 1, "v": v})[0].fields["name"] for v in ("1", 1, True, 1.0, "1")]
    assert names == ["1", "1", "true", "1.0", "1"]  # the same key of a dict, four texts
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
