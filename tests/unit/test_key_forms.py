"""Keys that the database calls equal are one key (SFDX-Data-Move-Utility#907), or `map check --live` names the pair."""

from __future__ import annotations

import json

import pytest

from streams.decode.envelope import Decoder
from streams.dictionary.check.live_database import check_live_database
from streams.dictionary.compile.compiler import compile_dictionary, compile_with_warnings
from streams.dictionary.live_tables import LiveColumn, LiveTable
from streams.mapping.row_errors import WideUnsent
from streams.mapping.source_types import source_type
from streams.mapping.values.key_forms import key_form
from streams.model.change import TOAST_PLACEHOLDER, Mapped, RowChange
from streams.model.ids import source_id
from tests.factories import compiled, mapped, one_table, parsed

PAIR = """
system: test
tables:
  public.p:
    key: code
    before: full
    to: [{entity: product, fields: {sku: code, name: code}}]
  public.c:
    key: id
    to: [{entity: inventory_level, fields: {warehouse: id, product_id: ref}}]
  public.extra:
    key: code
    to: [{entity: product, part_of: true, fields: {category: code}}]
"""


def both(key_type: str, key: object, ref_type: str, ref: object) -> tuple[Mapped, Mapped, Mapped]:
    """(the record, one that refers to it, one that adds to it)."""
    types = {
        "public.p": {"code": key_type},
        "public.c": {"id": "integer", "ref": ref_type},
        "public.extra": {"code": ref_type},
    }
    dictionary = compile_dictionary(parsed(PAIR), types=types)
    (parent,) = mapped(dictionary, {"code": key}, table="public.p")
    (child,) = mapped(dictionary, {"id": 1, "ref": ref}, table="public.c")
    (extra,) = mapped(dictionary, {"code": ref}, table="public.extra")
    return parent, child, extra


@pytest.mark.parametrize(
    ("key_type", "key", "ref_type", "ref"),
    [
        ("citext", "AB-1", "citext", "ab-1"),
        ("citext", "ab-1", "character varying", "Ab-1"),
        ("numeric", "42", "numeric", "42.00"),
        ("numeric", "42.00", "integer", 42),
        ("integer", 42, "numeric", "42.00"),
        ("bigint", 42, "text", "0042"),
        ("bigint", 42, "character varying", " 42 "),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "character varying", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "text", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"),
        ("character", "AB   ", "character varying", "AB"),
        ("character varying", "AB", "character", "AB   "),
        ("character", "AB   ", "character", "AB "),
        ("character varying", "0042", "character varying", "0042"),
        ("text", "AB-1", "text", "AB-1"),
    ],
)
def test_one_key(key_type: str, key: object, ref_type: str, ref: object) -> None:
    parent, child, extra = both(key_type, key, ref_type, ref)
    assert child.fields["product_id"] == parent.id == extra.id


@pytest.mark.parametrize(
    ("key_type", "key", "ref_type", "ref"),
    [("text", "AB-1", "text", "ab-1"), ("text", "0042", "integer", 42), ("citext", "AB 1", "text", "AB  1")],
)
def test_two_keys(key_type: str, key: object, ref_type: str, ref: object) -> None:
    parent, child, _ = both(key_type, key, ref_type, ref)
    assert child.fields["product_id"] != parent.id


@pytest.mark.parametrize(
    ("key_type", "ref_type", "reported"),
    [
        ("text", "citext", True),
        ("character varying", "uuid", True),
        ("character varying", "integer", True),
        ("text", "numeric", True),
        ("citext", "text", False),
        ("integer", "text", False),
        ("text", "character", False),
        ("text", "character varying", False),
    ],
)
def test_a_pair_that_may_differ_is_reported(key_type: str, ref_type: str, reported: bool) -> None:
    types = {
        "public.p": {"code": key_type},
        "public.c": {"id": "integer", "ref": ref_type},
        "public.extra": {"code": key_type},
    }
    refusals = compile_with_warnings(parsed(PAIR), types=types).refusals
    assert [refusal.by_value for refusal in refusals] == [True] * reported
    if reported:
        text = str(refusals[0].problem)
        assert "ref" in text and ref_type in text and key_type in text


def test_composite_keys_part_by_part() -> None:
    text = """
system: test
tables:
  public.p: {key: [a, b], to: [{entity: product, fields: {sku: a, name: a}}]}
  public.c: {key: id, to: [{entity: inventory_level, fields: {warehouse: id, product_id: {columns: [x, y]}}}]}
"""
    types = {"public.p": {"a": "citext", "b": "numeric"}, "public.c": {"id": "integer", "x": "text", "y": "integer"}}
    dictionary = compile_dictionary(parsed(text), types=types)
    (parent,) = mapped(dictionary, {"a": "AB", "b": "7.0"}, table="public.p")
    (child,) = mapped(dictionary, {"id": 1, "x": "ab", "y": 7}, table="public.c")
    assert parent.key == "ab|7"
    assert child.fields["product_id"] == parent.id


def test_another_spelling_of_one_key_deletes_nothing() -> None:
    types = {"public.p": {"code": "citext"}, "public.c": {}, "public.extra": {}}
    dictionary = compile_dictionary(parsed(PAIR), types=types)
    records = mapped(dictionary, {"code": "ab-1"}, before={"code": "AB-1"}, op="u", table="public.p")
    assert [(record.key, record.deleted) for record in records] == [("ab-1", False)]
    records = mapped(dictionary, {"code": "ab-2"}, before={"code": "AB-1"}, op="u", table="public.p")
    assert [(record.key, record.deleted) for record in records] == [("ab-1", True), ("ab-2", False)]


def test_without_types_a_key_is_what_was_sent() -> None:
    (record,) = mapped(compiled(PAIR), {"code": "AB-1"}, table="public.p")
    assert (record.key, record.id) == ("AB-1", source_id("test", "product", "AB-1"))
    assert key_form(source_type("integer"), source_type("bigint")) is None
    assert key_form(None, None) is None


def test_late_keys_and_collations_are_named() -> None:
    text = PAIR.replace("    before: full\n", "")
    code = LiveColumn("code", "character varying", False, collation="ignore_case")
    live = LiveTable("public.p", "default", 1, columns={"code": code}, primary_key=("code",), late_keys=[("code",)])
    findings = check_live_database(parsed(text), compiled(text), {"public.p": live})
    about = [
        str(finding.problem)
        for finding in findings
        if "public.p" in str(finding.problem) or "code" in str(finding.problem)
    ]
    assert any("ignore_case" in line for line in about), about
    assert any("deferrable" in line and "REPLICA IDENTITY FULL" in line for line in about), about


def test_a_row_with_a_new_primary_key_names_the_wide_value_that_was_not_sent() -> None:
    """Debezium sends a delete and a create then; Postgres leaves the unchanged wide value out of the create."""
    made = compiled(one_table("- {entity: customer, fields: {name: n, notes: memo}}"))
    source = {"ts_us": 5, "sequence": '["10","20"]', "lsn": 20, "txId": 7, "snapshot": "false", "origin": None}
    after = {"id": 2, "n": "A", "memo": TOAST_PLACEHOLDER}

    def event(op: str) -> RowChange:
        value = json.dumps({"op": op, "before": None, "after": after, "source": source}).encode()
        row = Decoder(made).decode("raw.test.public.t", b'{"id":2}', value)
        assert row is not None
        return row

    with pytest.raises(WideUnsent, match="memo alone.*new primary key"):
        made.tables["public.t"].map_change(event("c"))
    assert [record.fields for record in made.tables["public.t"].map_change(event("u"))] == [{"name": "A"}]
