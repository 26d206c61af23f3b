"""What an edited dictionary would make otherwise of the same rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from streams.dictionary.try_rows import MappedRow, RecordView


class ChangedValue(msgspec.Struct, frozen=True):
    """One field of one record, before and after the edit; None where it has no value."""

    entity: str
    key: str
    field: str
    before: Any
    after: Any


class RowDifference(msgspec.Struct, frozen=True):
    """What becomes of one row: values that differ, records that come or go, and why it is rejected now or no more."""

    table: str
    row: dict[str, Any]
    changed: list[ChangedValue]
    added: list[str]
    """Records that only the edited dictionary makes: entity and key."""
    removed: list[str]
    rejected: str | None = None
    """Why the edited dictionary rejects the row, where the other does not."""
    accepted: str | None = None
    """Why the other one rejected it, where the edited dictionary does not."""

    @property
    def is_empty(self) -> bool:
        return not (self.changed or self.added or self.removed or self.rejected or self.accepted)


class Differences(msgspec.Struct, frozen=True):
    """All rows that were compared; `by_field`: entity.field → rows in which it differs."""

    compared: int
    rows: list[RowDifference]
    by_field: dict[str, int]


def compare_rows(before: Sequence[MappedRow], after: Sequence[MappedRow]) -> Differences:
    """The same rows through two dictionaries. Rows that come out the same are only counted."""
    differing = [
        difference
        for old, new in zip(before, after, strict=True)
        if not (difference := _row_difference(old, new)).is_empty
    ]
    counts = Counter(field for row in differing for field in {f"{value.entity}.{value.field}" for value in row.changed})
    return Differences(len(before), differing, dict(sorted(counts.items())))


def _row_difference(before: MappedRow, after: MappedRow) -> RowDifference:
    old = {(record["entity"], record["key"]): record for record in before.get("records", ())}
    new = {(record["entity"], record["key"]): record for record in after.get("records", ())}
    changed = [value for key in old.keys() & new.keys() for value in _changed(old[key], new[key])]
    was, is_now = before.get("rejected"), after.get("rejected")
    return RowDifference(
        table=before["table"],
        row=dict(before["row"]),
        changed=sorted(changed, key=lambda value: (value.entity, value.field)),
        added=sorted(" ".join(key) for key in new.keys() - old.keys()),
        removed=sorted(" ".join(key) for key in old.keys() - new.keys()),
        rejected=is_now if is_now and not was else None,
        accepted=was if was and not is_now else None,
    )


def _changed(before: RecordView, after: RecordView) -> list[ChangedValue]:
    old, new = _flat(before), _flat(after)
    return [
        ChangedValue(before["entity"], before["key"], field, old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field)
    ]


def _flat(record: RecordView) -> dict[str, Any]:
    fields = {name: value for name, value in record["fields"].items() if name != "attributes"}
    attributes = {f"attributes.{name}": value for name, value in (record["fields"].get("attributes") or {}).items()}
    return fields | attributes | {"deleted": record["deleted"], "parent": record["parent"]}
