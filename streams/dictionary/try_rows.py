"""Rows through a dictionary, to see what it makes of them: before and after. Nothing is written."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from msgspec import UNSET

from streams.dictionary.readable import readable_fields
from streams.errors import MappingError
from streams.mapping.compiled import CompiledDictionary

_MOST_CHARACTERS = 80


class RecordView(TypedDict):
    """A record that a row makes, in readable form."""

    entity: str
    key: str
    id: str
    deleted: bool
    adds_fields: bool
    parent: str | None
    same_as: str | None
    fields: dict[str, Any]


class NoteView(TypedDict):
    """A mapping note of one row."""

    field: str
    kind: str
    reason: str
    value: str


class MappedRow(TypedDict):
    """A row and what the dictionary makes of it, as `map try --json` prints it."""

    table: str
    row: dict[str, object]
    records: NotRequired[list[RecordView]]
    notes: NotRequired[list[NoteView]]
    rejected: NotRequired[str]
    remedy: NotRequired[str]


class NoteCount(TypedDict):
    """Equal mapping notes of several rows: how many, and the value of the last one."""

    table: str
    field: str
    kind: str
    reason: str
    count: int
    last: str


def map_row(compiled: CompiledDictionary, name: str, row: object, key: object) -> MappedRow:
    """One row through the dictionary: the records that it makes, or why it is rejected."""
    table = compiled.tables[name]
    columns = {c: value for c in table.columns if (value := getattr(row, table.attribute(c))) is not UNSET}
    compiled.notes.clear()
    try:
        records = table.map(row, "r", key)
    except MappingError as error:
        return {"table": name, "row": columns, "rejected": str(error), "remedy": error.remedy}
    return {
        "table": name,
        "row": columns,
        "records": [
            {
                "entity": record.entity,
                "key": record.key,
                "id": record.id,
                "deleted": record.deleted,
                "adds_fields": record.adds_fields,
                "parent": record.parent,
                "same_as": record.same_as,
                "fields": readable_fields(record),
            }
            for record in records
        ],
        "notes": [
            {"field": note.field, "kind": note.kind, "reason": note.reason, "value": str(note.value)[:_MOST_CHARACTERS]}
            for note in compiled.notes.take()
        ],
    }


def notes_by_kind(rows: list[MappedRow]) -> list[NoteCount]:
    """The mapping notes of these rows, counted by table, field and kind, with the last reason and value."""
    counts: dict[tuple[str, str, str], NoteCount] = {}
    for row in rows:
        for note in row.get("notes", ()):
            place = (row["table"], note["field"], note["kind"])
            counts[place] = {
                "table": row["table"],
                "field": note["field"],
                "kind": note["kind"],
                "reason": note["reason"],
                "count": counts[place]["count"] + 1 if place in counts else 1,
                "last": note["value"],
            }
    return list(counts.values())
