"""A dictionary against the catalogue of its database: what an update may leave out, and what nobody can then know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from streams.decode.envelope import Decoder
from streams.dictionary.check.live_database import check_live_database
from streams.dictionary.live_tables import Identity, LiveColumn, LiveTable
from streams.mapping.row_errors import WideUnsent
from tests.factories import compiled, mapped, one_table, parsed

UNAVAILABLE = "__debezium_unavailable_value"


def live(columns: dict[str, str], *, identity: Identity = "default", out_of_line: bool = False) -> dict[str, LiveTable]:
    made = LiveTable("public.t", identity, 10, has_out_of_line=out_of_line, primary_key=("id",))
    for name, kind in {"id": "integer", **columns}.items():
        length = int(kind.partition("(")[2].rstrip(")")) if "(" in kind else None
        item = kind.partition("(")[0]
        made.columns[name] = LiveColumn(name, item.removesuffix("[]"), True, item.endswith("[]"), length=length)
    return {"public.t": made}


def left_out(text: str, catalog: dict[str, LiveTable]) -> list[tuple[str, str]]:
    """(level, field) of each place at which an update may leave a wide column out."""
    found = check_live_database(parsed(text), compiled(text), catalog)
    asks = [one for one in found if "does not send it" in one.problem.what]
    assert all("REPLICA IDENTITY FULL" in one.problem.right for one in asks)
    return [(one.level, one.problem.field.rpartition(".")[2]) for one in asks]


@pytest.mark.parametrize(
    ("record", "columns", "level"),
    [
        ("{entity: customer, when: custom != null, fields: {name: id}}", {"custom": "jsonb"}, "error"),
        ("{entity: customer, deleted: size(marks) > 0, fields: {name: id}}", {"marks": "text[]"}, "error"),
        ("{entity: sales_order_line, parent: {expr: 'head.id'}, fields: {line_no: id}}", {"head": "hstore"}, "error"),
        ("{entity: sales_order_line, parent: head, fields: {line_no: id}}", {"head": "text"}, "warning"),
        ("{entity: customer, fields: {name: {columns: [memo1, memo2]}}}", {"memo1": "text", "memo2": "text"}, "warning"),
        ("{entity: customer, fields: {name: {expr: 'string(memo1) + string(memo2)'}}}", {"memo1": "text", "memo2": "xml"}, "warning"),
        ("{entity: customer, when: code != null, fields: {name: id}}", {"code": "character varying(40)"}, None),
        ("{entity: customer, when: qty != null, fields: {name: id}}", {"qty": "numeric"}, None),
        ("{entity: customer, fields: {name: id}, attributes: {a: memo1, b: memo2}}", {"memo1": "text", "memo2": "jsonb"}, None),
    ],
)  # fmt: skip
def test_the_check_asks_for_old_rows_where_all_columns_are_needed(
    record: str, columns: dict[str, str], level: str | None
) -> None:
    """A `when` on jsonb made a dead letter of every ordinary update; a joined field lost changes in silence."""
    text = one_table(f"- {record}")
    assert [found for found, _ in left_out(text, live(columns))] == ([level] if level else [])
    if level is not None:
        assert [found for found, _ in left_out(text, live(columns, out_of_line=True))] == ["error"]
        assert left_out(text, live(columns, identity="full")) == []


@pytest.mark.parametrize(
    ("kind", "asks"),
    [("numeric[]", True), ("smallint[]", True), ("text[]", False), ("integer[]", False), ("numeric", False)],
)
def test_the_check_names_lists_that_debezium_cannot_leave_out(kind: str, asks: bool) -> None:
    """debezium PR#7815: there is a placeholder for some kinds of lists only."""
    text = one_table("- {entity: customer, fields: {name: id}}")
    found = check_live_database(parsed(text), compiled(text), live({"sizes": kind}))
    assert [one.level for one in found] == (["warning"] if asks else [])
    assert check_live_database(parsed(text), compiled(text), live({"sizes": kind}, identity="full")) == []


def test_an_update_without_a_wide_structural_column_names_the_cause() -> None:
    made = compiled(one_table("- {entity: customer, when: custom != null, fields: {name: n}}"))
    source = {"ts_us": 5, "sequence": '["10","20"]', "lsn": 20, "txId": 7, "snapshot": "false", "origin": None}

    def event(**after: Any) -> bytes:
        return json.dumps({"op": "u", "before": None, "after": {"id": 1, **after}, "source": source}).encode()

    decoder = Decoder(made)
    with pytest.raises(WideUnsent, match="custom alone.*does not send") as raised:
        decoder.decode("raw.test.public.t", b'{"id":1}', event(n="A", custom=UNAVAILABLE))
    assert "REPLICA IDENTITY FULL" in raised.value.remedy
    change = decoder.decode("raw.test.public.t", b'{"id":1}', event(n=UNAVAILABLE, custom="{}"))
    assert change is not None and change.after.n is UNSET


def test_a_field_of_several_columns_that_was_left_out_is_noted() -> None:
    made = compiled(one_table("- {entity: customer, fields: {name: id, notes: {columns: [memo1, memo2]}}}"))
    (record,) = mapped(made, {"id": "1", "memo1": "B"}, op="u")
    assert record.fields == {"name": "1"}
    (note,) = made.notes.take()
    assert (note.field, note.kind) == ("customer.notes", "left as it was: not all of its columns were sent")
    mapped(made, {"id": "1"}, op="u")
    assert made.notes.take() == [], "nothing of it was sent, so nothing of it changed"


def test_a_type_that_fits_no_field_is_an_error_with_its_place() -> None:
    text = one_table("- {entity: shipment, fields: {shipped_at: left_at}}")
    (found,) = check_live_database(parsed(text), compiled(text), live({"left_at": "time without time zone"}))
    assert found.level == "error" and found.problem.field == "tables.public.t.to[0].fields.shipped_at"
    assert found.problem.file == Path("connectors/test/dictionary.yaml")
