"""Debezium's envelope → RowChange, against events that Debezium 3.7 sent (samples/debezium-postgres.jsonl)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from streams.decode.envelope import Decoder
from streams.decode.position import MysqlSource, PostgresSource, mysql_position, postgres_position
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.language.read import parse_dictionary
from streams.dictionary.yaml_lines import YamlFile, parse_yaml
from streams.errors import DecodeError
from streams.mapping.row_errors import ColumnMissing
from streams.model.change import Position, RowChange

SAMPLES = Path(__file__).parent / "samples" / "debezium-postgres.jsonl"

DICTIONARY = """
system: sample
tables:
  sample.Order Item-1:
    key: id
    to:
      - entity: sales_order_line
        parent: parent_id
        fields:
          quantity: Qty Ordered
          unit_price: {column: p, round: half_up}
          description: txt
          requested_date: d
          line_no: i2
  sample.nokey:
    key: a
    before: full
    to:
      - entity: product
        fields: {sku: a, name: b}
  sample.fullid:
    key: a
    before: full
    to:
      - entity: sales_order_line
        namespace: full
        parent: parent
        fields: {description: b}
"""
TABLE = "raw.sample.sample.Order_Item-1"


def decoder(text: str = DICTIONARY, **options: Any) -> Decoder:
    file = Path("dictionary.yaml")
    data, lines = parse_yaml(text, file)
    return Decoder(compile_dictionary(parse_dictionary(data, YamlFile(file, lines))), **options)


def samples() -> list[tuple[str, bytes | None, bytes | None]]:
    def raw(value: Any) -> bytes | None:
        return None if value is None else json.dumps(value).encode()

    records = map(json.loads, SAMPLES.read_text("utf-8").splitlines())
    return [(r["topic"], raw(r["key"]), raw(r["value"])) for r in records]


def event(op: str, *, after: Any = None, before: Any = None, **source: Any) -> bytes:
    told = {"ts_us": 5, "sequence": '["10","20"]', "lsn": 20, "txId": 7, "snapshot": "false", "origin": None} | source
    return json.dumps({"op": op, "before": before, "after": after, "source": told}).encode()


ROW = {"id": 1, "parent_id": 2, "Qty Ordered": 1.5, "p": "1.00000", "txt": "t", "d": 1, "i2": 3}
KEY = b'{"id":1}'


def test_every_real_event_is_read() -> None:
    reader = decoder()
    changes = [c for c in (reader.decode(*record) for record in samples()) if c is not None]
    ops = {
        table: "".join(c.op for c in changes if c.table == f"sample.{table}")
        for table in ("nokey", "fullid", "Order Item-1")
    }
    assert ops == {"nokey": "rud", "fullid": "rudtcu", "Order Item-1": "rrccudcdu"}


def test_positions_follow_the_stream() -> None:
    reader = decoder(epoch=3)
    changes = [c for c in (reader.decode(*record) for record in samples()) if c is not None]
    assert all(c.position == (3, 0, 0) for c in changes if c.op == "r")
    per_table: dict[str, list[Position]] = {}
    for change in changes:
        per_table.setdefault(change.table, []).append(change.position)
    assert all(found == sorted(found) for found in per_table.values())
    streamed = [c.position for c in changes if c.op != "r"]
    assert min(p.major for p in streamed) == 1, "the first transaction knows of no commit before it"


def test_toast_is_unset_even_in_the_insert_that_a_changed_key_makes() -> None:
    reader = decoder()
    changes = [
        c for c in (reader.decode(*r) for r in samples()) if c is not None and c.table.startswith("sample.Order")
    ]
    moved = [c for c in changes if c.op == "c" and c.key.id == 11]
    assert moved[0].after.txt is UNSET
    assert moved[0].after.i2 == 4


def test_a_table_without_a_key_takes_its_key_from_the_row() -> None:
    reader = decoder()
    changes = [c for c in (reader.decode(*r) for r in samples()) if c is not None and c.table == "sample.nokey"]
    assert [c.key.a for c in changes] == [1, 1, 1]
    assert changes[-1].before.b == "z" and changes[-1].after is None


def test_only_the_columns_of_the_dictionary_are_read() -> None:
    change = decoder().decode(TABLE, KEY, event("c", after=ROW | {"more": {"deep": [1] * 9}}))
    assert isinstance(change, RowChange)
    assert not hasattr(change.after, "more")
    assert (change.system, change.table, change.tx, change.origin, change.source_us) == (
        "sample",
        "sample.Order Item-1",
        "7",
        None,
        5,
    )


def test_null_and_unsent_differ() -> None:
    reader = decoder()
    null = reader.decode(TABLE, KEY, event("u", after=ROW | {"txt": None}))
    unsent = reader.decode(TABLE, KEY, event("u", after=ROW | {"txt": "__debezium_unavailable_value"}))
    listed = reader.decode(TABLE, KEY, event("u", after=ROW | {"txt": ["__debezium_unavailable_value"]}))
    assert null is not None and null.after.txt is None
    assert unsent is not None and unsent.after.txt is UNSET
    assert listed is not None and listed.after.txt is UNSET


@pytest.mark.parametrize(
    "sent",
    [
        "__debezium_unavailable_value", ["__debezium_unavailable_value"], list(b"__debezium_unavailable_value"),
        ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"], "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
        ["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="], '{"__debezium_unavailable_value":"__debezium_unavailable_value"}',
        {"__debezium_unavailable_value": "__debezium_unavailable_value"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_unchanged_wide_value_of_any_type_is_unset(sent: Any, separators: tuple[str, str]) -> None:
    """debezium PR#4137, #4778, #7815: lists, UUIDs, hstore and bytes have placeholders of their own."""
    value = json.dumps(json.loads(event("u", after=ROW | {"txt": sent})), separators=separators).encode()
    change = decoder().decode(TABLE, KEY, value)
    assert change is not None and change.after.txt is UNSET


@pytest.mark.parametrize(
    "sent",
    [[95, 95, 100, 101, 98, 101], [*b"__debezium_unavailable_value", 1], ["b68a35a7-17ad-35b3-af2a-ae46edb4545b"]],
)
def test_what_only_looks_like_it_is_a_value(sent: Any) -> None:
    change = decoder().decode(TABLE, KEY, event("u", after=ROW | {"txt": sent}))
    assert change is not None and change.after.txt == sent


def test_the_placeholder_inside_a_text_is_a_text() -> None:
    text = 'says "__debezium_unavailable_value" here'
    change = decoder().decode(TABLE, KEY, event("u", after=ROW | {"txt": text}))
    assert change is not None and change.after.txt == text


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        (TABLE, KEY, None),
        ("raw.sample.transaction", b'{"id":"1"}', b'{"status":"BEGIN"}'),
        ("__debezium-heartbeat.raw.sample", b"{}", b'{"ts_ms":1}'),
        ("opshub.heartbeat.raw.sample", b"{}", b'{"ts_ms":1}'),
        (TABLE, KEY, event("m")),
    ],
)
def test_what_says_nothing_about_rows_is_none(topic: str, key: bytes, value: bytes | None) -> None:
    assert decoder().decode(topic, key, value) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "not a Debezium event"),
        (b"{", "not a Debezium event"),
        (b"[]", "not a Debezium event"),
        (b'{"id":1}', "not a Debezium event"),
        (b'\xff\xfe{"op":"c"}', "not a Debezium event"),
        (event("c", after=ROW | {"txt": "a"}).replace(b'"a"', b'"\xff\xff"'), "not a Debezium event"),
        (event("c", after=ROW).replace(b'"t"', b'"\\ud800"'), "not a Debezium event"),
        (event("c", after=ROW).replace(b"1.5", b"NaN"), "not a Debezium event"),
        (event("c", after=ROW).replace(b"1.5", b"1e999"), "not a Debezium event"),
        (event("x", after=ROW), "unknown op"),
        (event("c"), "without a row"),
        (event("u", before=ROW), "without a row"),
        (event("d", after=ROW), "a delete with a row after it"),
        (event("c", after=ROW, sequence="nonsense"), "no position"),
        (event("c", after=ROW, sequence=None, lsn=None), "no position"),
        (b'{"schema":{},"payload":' + event("c", after=ROW) + b"}", "not a Debezium event"),
        (event("c", after=ROW | {"txt": "x" * 1_000_001}), "1000001 characters"),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes, says: str) -> None:
    with pytest.raises(DecodeError, match=says) as caught:
        decoder().decode(TABLE, KEY, value)
    assert caught.value.remedy


def test_an_envelope_with_schemas_names_the_setting() -> None:
    with pytest.raises(DecodeError) as caught:
        decoder().decode(TABLE, KEY, b'{"schema":{},"payload":' + event("c", after=ROW) + b"}")
    assert "schemas.enable" in caught.value.remedy


def test_a_table_that_no_dictionary_reads() -> None:
    with pytest.raises(DecodeError, match="reads no table"):
        decoder().decode("raw.sample.public.other", KEY, event("c", after=ROW))


def test_a_missing_required_column_stops_the_table_and_is_reported_once() -> None:
    reader = decoder()
    gone = {k: v for k, v in ROW.items() if k != "parent_id"}
    for _ in range(3):
        with pytest.raises(ColumnMissing, match="parent_id") as caught:
            reader.decode(TABLE, KEY, event("u", after=gone))
        assert caught.value.columns == ("parent_id",)
    assert [str(d) for d in reader.drift] == [
        "sample.Order Item-1 no longer sends parent_id, which the dictionary reads"
    ]


def test_a_missing_optional_column_leaves_its_field_unsaid() -> None:
    reader = decoder()
    change = reader.decode(TABLE, KEY, event("u", after={k: v for k, v in ROW.items() if k != "txt"}))
    assert change is not None and change.after.txt is UNSET
    assert [d.kind for d in reader.drift] == ["gone"]


def test_a_new_column_is_reported_once() -> None:
    reader = decoder()
    for second in range(0, 60, 5):
        row = ROW | ({"fresh": 1} if second >= 20 else {})
        assert reader.decode(TABLE, KEY, event("u", after=row, ts_us=second * 1_000_000)) is not None
    assert [(d.kind, d.columns) for d in reader.drift] == [("new", ("fresh",))]


def test_a_truncate_has_no_row() -> None:
    change = decoder().decode(TABLE, None, event("t"))
    assert change is not None and (change.op, change.key, change.after) == ("t", None, None)


def test_a_nul_is_rejected_or_taken_out_where_the_source_can_hold_one() -> None:
    text = (
        "system: sample\nkind: mariadb\ntables:\n  d.t:\n    key: id\n%s    to: [{entity: product, fields: {sku: s}}]\n"
    )
    source = {"file": "binlog.000007", "pos": 9, "row": 2}
    value = event("c", after={"id": 1, "s": "a\0b"}, **source)
    with pytest.raises(DecodeError, match="NUL"):
        decoder(text % "").decode("raw.sample.d.t", KEY, value)
    change = decoder(text % "    nul: strip\n").decode("raw.sample.d.t", KEY, value)
    assert change is not None and change.after.s == "ab" and change.position == (0, 7, 9 * 65_536 + 2)


@pytest.mark.parametrize(
    "snapshot", ["true", "first", "last", "first_in_data_collection", "last_in_data_collection", True]
)
def test_the_first_snapshot_comes_before_all(snapshot: Any) -> None:
    assert postgres_position(1, PostgresSource(sequence='["9","8"]', lsn=8, snapshot=snapshot)) == (1, 0, 0)


@pytest.mark.parametrize("snapshot", ["false", False, None, "incremental"])
def test_streamed_rows_are_ordered_by_the_commit_before_them(snapshot: Any) -> None:
    early = postgres_position(0, PostgresSource(sequence='["100","205"]', lsn=205, snapshot=snapshot))
    late = postgres_position(0, PostgresSource(sequence='["210","150"]', lsn=150, snapshot=snapshot))
    assert early < late, "a row with a smaller LSN that commits later is newer"
    assert postgres_position(0, PostgresSource(sequence='[null,"205"]', lsn=205)) == (0, 1, 205)
    assert postgres_position(0, PostgresSource(sequence=None, lsn=205)) == (0, 1, 205)


def test_binlog_positions() -> None:
    assert mysql_position(0, MysqlSource(file="mariadb-bin.000012", pos=4, row=1)) == (0, 12, 4 * 65_536 + 1)
    assert mysql_position(0, MysqlSource(file="mariadb-bin.000012", pos=4, row=1, snapshot="true")) == (0, 0, 0)
    with pytest.raises(ValueError, match="binlog"):
        mysql_position(0, MysqlSource(file=None, pos=4, row=1))
