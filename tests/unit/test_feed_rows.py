"""What systems without a database say becomes rows in the form of Debezium's; schedules, signatures, files."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from streams.dictionary.problems import DictionaryError
from streams.errors import ConfigError
from streams.provision.schedule import Sync, parse_sync
from streams.provision.source_file import Column, Files, Signature, Watermark, read_source_file
from streams.sources.file_rows import FileRefused, file_rows
from streams.sources.pages import next_link
from streams.sources.rows import Feed, feed_row, form_value, is_older, key_text, message_key, row_of, text_of
from streams.sources.watermarks import kept_mark, mark_of, mark_text, not_ahead, query_text
from streams.sources.webhooks import Refused, check_signature

FEED = Feed("desk", "d.rows", "raw.desk.d.rows", ("id",), {"price": Column(type="number"), "who": Column(path="by.id")})


@pytest.mark.parametrize(
    ("kind", "value", "formed"),
    [
        ("text", 17, "17"), ("text", True, "true"), ("text", Decimal("1E+2"), "100"), ("text", 17.0, "17"), ("text", {"a": 1}, '{"a":1}'),
        ("whole", "17", 17), ("whole", Decimal("17.0"), 17), ("number", "12.50", "12.50"), ("number", Decimal("1E-7"), "0.0000001"),
        ("boolean", "True", True), ("boolean", 0, False), ("date", "1970-01-02", 1), ("date", "1970-01-03T10:00:00", 2),
        ("timestamp", "2026-11-30T10:00:00+01:00", "2026-11-30T09:00:00Z"), ("timestamp", "2026-11-30 10:00:00", "2026-11-30T10:00:00Z"),
        ("json", [1, "a"], '[1,"a"]'),
    ],
)  # fmt: skip
def test_a_value_has_the_form_that_debezium_gives_its_type(kind: Any, value: Any, formed: Any) -> None:
    assert form_value(kind, value) == formed


def test_a_value_that_does_not_fit_stays_for_the_worker_and_is_refused_in_a_file() -> None:
    assert row_of(FEED, {"id": 1, "price": "much"})["price"] == "much"
    with pytest.raises(ValueError, match="price: 'much' is no number"):
        row_of(FEED, {"id": 1, "price": "much"}, strict=True)


def test_a_row_takes_paths_leaves_out_what_is_absent_and_has_its_key() -> None:
    row = row_of(FEED, {"id": 7, "by": {"id": 3}})
    assert row == {"id": "7", "by": '{"id":3}', "who": "3"}
    assert row_of(FEED, {}) == {"id": None}
    assert feed_row(FEED, {"id": None}).key.startswith("?")
    assert message_key(FEED, {"id": None}) is None


def test_keys_are_the_same_whatever_their_type_and_never_meet_by_their_separator() -> None:
    assert key_text([17]) == key_text(["17"]) == key_text([17.0]) == "17"
    assert key_text(["a|b", "c"]) != key_text(["a", "b|c"])
    assert key_text(["a", ""]) is None
    assert text_of(None) == "null"


@pytest.mark.parametrize(
    ("version", "known", "older"),
    [("9", "10", True), ("10", "9", False), ("2026-11-30T10:00:00Z", "2026-11-30T11:30:00+01:00", True), ("a", "b", True), (None, "1", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers_then_times_then_text(version: str | None, known: str, older: bool) -> None:
    assert is_older(version, known) is older


def test_a_watermark_survives_the_hub_and_asks_for_the_overlap() -> None:
    iso = Watermark(column="u", overlap=timedelta(minutes=5))
    mark = mark_of(iso, "2026-11-30T10:00:00.5+00:00")
    assert mark is not None and kept_mark(iso, mark_text(mark)) == mark
    assert query_text(iso, mark) == "2026-11-30T09:55:00.500Z"
    epoch = Watermark(column="u", form="epoch_ms", overlap=timedelta(seconds=1))
    mark = mark_of(epoch, 1_700_000_000_123)
    assert mark is not None and query_text(epoch, mark) == "1699999999123"
    number = Watermark(column="u", form="number", overlap=10)
    mark = mark_of(number, "120")
    assert mark is not None and query_text(number, mark) == "110"
    assert mark_of(iso, "soon") is None and mark_of(number, True) is None
    now = datetime(2026, 12, 1, tzinfo=UTC)
    assert not_ahead(datetime(2099, 1, 1, tzinfo=UTC), now) == now


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ('<https://x/p?page=2>; rel="next", <https://x/p?page=9>; rel="last"', "https://x/p?page=2"),
        ('<https://x/1>; rel="prev", <https://x/3>; title="a"; rel=next', "https://x/3"),
        ('<https://x/1>; rel="prev"', None), ("", None), ('<https://x/3>; rel="last next"', "https://x/3"),
    ],
)  # fmt: skip
def test_the_next_page_is_found_in_a_link_header(header: str, address: str | None) -> None:
    assert next_link(header) == address


def test_a_signature_covers_time_and_body() -> None:
    signature = Signature(secret="s", header="x-sig", timestamp="x-at", prefix="v1=")
    signed = hmac.new(b"s", b"1000.body", hashlib.sha256).hexdigest()
    headers = {"x-sig": f"v1={signed}", "x-at": "1000"}
    check_signature(signature, headers, b"body", 1100.0)
    for wrong, at in (
        (headers | {"x-at": "1001"}, 1100.0),
        (headers, 5000.0),
        ({}, 1100.0),
        (headers | {"x-sig": "v1="}, 1100.0),
    ):
        with pytest.raises(Refused):
            check_signature(signature, wrong, b"body", at)
    with pytest.raises(Refused):
        check_signature(signature, headers, b"Body", 1100.0)


def test_a_schedule_says_when_and_keeps_black_outs() -> None:
    sync = parse_sync(
        {"every": "0 * * * *", "not": [{"from": "0 8 * * 1-5", "for": "10 h"}], "timezone": "Europe/Berlin"}, "x"
    )
    monday = datetime(2026, 11, 30, 7, 30, tzinfo=UTC)  # 08:30 in Berlin
    assert not sync.may_run(monday)
    assert (
        sync.may_run(monday - timedelta(hours=1))
        and sync.may_run(monday + timedelta(hours=10))
        and sync.may_run(monday + timedelta(days=5))
    )
    assert sync.due_at(monday) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert Sync(every="5 min").due_at(monday) == monday + timedelta(minutes=5)  # type: ignore[arg-type]
    assert Sync(on="request").due_at(monday) is None
    inside = parse_sync({"within": [{"from": "0 22 * * *", "for": "8 h"}]}, "x")
    assert inside.may_run(datetime(2026, 12, 1, 22, 0, tzinfo=UTC)) and inside.may_run(
        datetime(2026, 12, 2, 5, 59, tzinfo=UTC)
    )
    assert not inside.may_run(datetime(2026, 12, 2, 6, 0, tzinfo=UTC))
    assert inside.words == "realtime; within 8 h from 0 22 * * *"
    for wrong in ({"every": "1 h", "on": "request"}, {"every": "often"}, {"evry": "1 h"}, {"timezone": "Mars"}):
        with pytest.raises(ConfigError, match="^file: "):
            parse_sync(wrong, "file")


WRONG = """\
server:
  base_url: https://desk.example
  token: abc
tables:
  d.a:
    rest: {path: /a, pages: {by: cursor, parameter: after}}
  d.b:
    webhook: {row: a, key: b}
"""


def test_every_mistake_of_a_source_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "source.yaml"
    path.write_text(WRONG, "utf-8")
    with pytest.raises(DictionaryError) as error:
        read_source_file(path, {"d.a": 1, "d.b": 1})
    said = str(error.value)
    assert "source.yaml:3: server.token" in said
    assert "source.yaml:6: tables.d.a.rest.pages: Value error, by cursor: needs `next`" in said
    assert "source.yaml:8: tables.d.b.webhook: Value error, needs one of `row` and `key`" in said
    path.write_text(
        "tables:\n  d.a:\n    file: {path: x, format: csv}\n  d.z:\n    file: {path: x, format: csv}\n", "utf-8"
    )
    with pytest.raises(DictionaryError) as error:
        read_source_file(path, {"d.a": 1, "d.b": 1})
    assert "source.yaml:4: tables.d.z: the dictionary reads no such table" in str(error.value)
    assert "it does not say where d.b of the dictionary comes from" in str(error.value)


def read(path: Path, content: bytes, **files: Any) -> list[tuple[int, dict[str, Any]]]:
    path.write_bytes(content)
    return list(file_rows(path, Files(path="x", **files)))


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8", "id;名\n1;客户\n".encode()), ("utf-8", "\ufeffid;名\n1;客户\n".encode()), ("utf-16", "id;名\n1;客户\n".encode("utf-16")),
        ("gb18030", "id;名\n1;客户\n".encode("gb18030")),
    ],
)  # fmt: skip
def test_encodings_are_read(tmp_path: Path, encoding: str, content: bytes) -> None:
    assert read(tmp_path / "f", content, format="csv", encoding=encoding, delimiter=";") == [
        (2, {"id": "1", "名": "客户"})
    ]
    assert read(tmp_path / "f", "id\nÄ\n".encode("latin-1"), format="csv", encoding="latin-1") == [(2, {"id": "Ä"})]


def test_a_file_of_another_encoding_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="it is UTF-16, and not UTF-8"):
        read(tmp_path / "f", "id\n1\n".encode("utf-16"), format="csv")
    with pytest.raises(FileRefused, match="line 2, column at character 2: it is not utf-8"):
        read(tmp_path / "f", b"id\nM\xfcller\n", format="csv")


def test_lines_within_quotes_are_counted(tmp_path: Path) -> None:
    rows = read(tmp_path / "f", b'id,text\n1,"two\nlines"\n2,\n', format="csv")
    assert rows == [(2, {"id": "1", "text": "two\nlines"}), (4, {"id": "2", "text": None})]
    with pytest.raises(FileRefused, match="line 4: it has 3 fields"):
        read(tmp_path / "f", b'id,text\n1,"two\nlines"\n2,a,b\n', format="csv")


def test_fixed_width_lines_are_cut(tmp_path: Path) -> None:
    widths = {"id": (1, 4), "name": (5, 10)}
    assert read(tmp_path / "f", b"0001Nord  \n0002S\xc3\xbcd\n", format="fixed", widths=widths) == [
        (1, {"id": "0001", "name": "Nord"}), (2, {"id": "0002", "name": "Süd"}),
    ]  # fmt: skip
    with pytest.raises(FileRefused, match="line 1: it has 12 characters"):
        read(tmp_path / "f", b"0001Nordlicht\n"[:12] + b"\n", format="fixed", widths=widths)


def test_xml_rows_are_read_and_entities_are_refused(tmp_path: Path) -> None:
    content = b'<a xmlns="urn:x"><row id="1"><name>Nord</name><tag>a</tag><tag>b</tag><by><id>3</id></by></row></a>'
    assert read(tmp_path / "f", content, format="xml", rows="row") == [
        (1, {"id": "1", "name": "Nord", "tag": ["a", "b"], "by": {"id": "3"}})
    ]
    with pytest.raises(FileRefused, match="line 2, column at character"):
        read(tmp_path / "f", b"<a>\n<row></a>", format="xml", rows="row")
    bomb = b'<!DOCTYPE a [<!ENTITY b "x">]><a><row id="&b;"/></a>'
    with pytest.raises(FileRefused, match="for safety"):
        read(tmp_path / "f", bomb, format="xml", rows="row")


SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="inlineStr"><is><t>price</t></is></c></row>
<row r="2"><c r="A2"><v>17</v></c><c r="B2"><v>12.5</v></c></row></sheetData></worksheet>"""
PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Rows" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/worksheets/sheet1.xml": SHEET,
}


def test_a_sheet_is_read_and_a_broken_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.xlsx"
    with ZipFile(path, "w") as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
    ((line, row),) = file_rows(path, Files(path="x", format="xlsx"))
    assert (line, row_of(FEED, row, strict=True)) == (2, {"id": "17", "price": "12.5"})
    with pytest.raises(FileRefused, match="no XLSX"):
        read(path, b"PK no", format="xlsx")
