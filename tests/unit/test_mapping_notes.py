"""A value that a dictionary changes or forgives makes a mapping note: its field, its kind and a key, once for each record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.agents.ingest import route_of
from streams.emit.change_codec import encode_change
from streams.hub.accounts import MappingNoteTally
from streams.mapping.notes import MappingNotes
from streams.pipeline.ingest import Ingest
from streams.pipeline.row_route import readable
from streams.provision.systems import System
from streams.runtime.metrics import WorkerMetrics
from streams.runtime.worker_state import WorkerState
from tests.factories import compiled

DICTIONARY = """\
system: crm
timezone: Europe/Berlin
tables:
  public.firm:
    key: id
    to:
      - entity: customer
        fields:
          name: {column: name, steps: [mojibake]}
          tax_id: {column: tax, steps: [{tax_id: {country: DE}}], bad: "null"}
          created_at: made
        attributes: {phone_2: {column: tel, steps: [strip_control]}}
"""
TOPIC = "raw.crm.public.firm"
BAD = {"id": 7, "name": "MÃ¼ller", "tax": "123", "made": 1_729_996_200_000_000, "tel": "1\x07"}
GOOD = {"id": 8, "name": "Meier", "tax": "DE136695976", "made": 1_700_000_000_000_000, "tel": "1"}


class Record:
    def __init__(self, offset: int, row: dict[str, Any], key: str | None = None) -> None:
        self._offset, self._row, self._key = offset, row, key or json.dumps({"id": row.get("id")})

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)

    def key(self) -> bytes:
        return self._key.encode()

    def value(self) -> bytes:
        source = {
            "ts_us": 1,
            "sequence": f'["1","{self._offset}"]',
            "lsn": self._offset,
            "txId": 1,
            "snapshot": "false",
        }
        return json.dumps({"op": "c", "before": None, "after": self._row, "source": source}).encode()


async def nothing(name: str, *parameters: Any) -> list[Any]:
    return []


@pytest.fixture
def ingest() -> Ingest:
    system = System("crm", Path("crm"), {"name": "crm", "config": {"topic.prefix": "raw.crm"}}, compiled(DICTIONARY))
    return Ingest({TOPIC: route_of(system)}, encode_change)


MENDED = {
    ("customer.name", "wrong encoding repaired"),
    ("customer.tax_id", "taken as null"),
    ("customer.created_at", "ambiguous local time in Europe/Berlin, read as the earlier one"),
    ("customer.attributes.phone_2", "control characters removed"),
}


async def test_what_was_mended_is_counted_with_a_key_and_a_reason(ingest: Ingest) -> None:
    _, outcome = await ingest.step([Record(1, BAD), Record(2, GOOD), Record(3, BAD | {"id": 9})], nothing)
    assert {(one.field, one.kind) for one in outcome.notes} == MENDED
    assert {(one.system, one.table_name, one.count, one.example) for one in outcome.notes} == {
        ("crm", "public.firm", 2, "9")
    }
    (tax,) = [one for one in outcome.notes if one.field == "customer.tax_id"]
    assert tax.reason == "a tax number of DE with too many or too few digits"
    assert not ingest.notes, "nothing is counted before it is committed"
    ingest.committed(outcome)
    assert {name[2:]: count for name, count in ingest.notes.items()} == dict.fromkeys(MENDED, 2)


async def test_a_batch_without_notes_has_none(ingest: Ingest) -> None:
    _, outcome = await ingest.step([Record(1, GOOD)], nothing)
    assert outcome.notes == []


async def test_a_batch_that_comes_again_is_counted_once(ingest: Ingest) -> None:
    _, outcome = await ingest.step([Record(1, BAD)], nothing)
    ingest.committed(outcome)
    _, outcome = await ingest.step([Record(1, BAD), Record(2, GOOD), Record(3, BAD)], nothing)
    assert {one.count for one in outcome.notes} == {1}


async def test_a_rejected_row_leaves_no_notes_to_the_next(ingest: Ingest) -> None:
    # `created_at` is rejected after the name was mended.
    _, outcome = await ingest.step([Record(1, BAD | {"id": 6, "made": "never"}), Record(2, GOOD)], nothing)
    assert len(outcome.dead_letters) == 1
    assert outcome.notes == []


async def test_a_parked_record_has_no_notes_before_it_passes(ingest: Ingest) -> None:
    _, outcome = await ingest.step([Record(1, BAD | {"made": "never"}), Record(2, BAD)], nothing)
    assert [letter.state for letter in outcome.dead_letters] == ["dead", "parked"]
    assert outcome.notes == []


async def test_a_key_in_a_note_fits_a_line_and_postgres(ingest: Ingest) -> None:
    assert readable("a\0b") == "a\\0b"
    _, outcome = await ingest.step([Record(1, BAD | {"id": "a" * 300})], nothing)
    assert {one.example for one in outcome.notes} == {"a" * 200}


def test_kinds_without_end_become_one() -> None:
    notes = MappingNotes()
    for number in range(MappingNotes.MOST_KINDS + 5):
        notes("t", "f", f"value {number} mended", "", number)
        notes.take()
    notes("t", "f", "one more", "", 1)
    assert notes.take() == [("t", "f", "other", "", 1)]


async def test_worker_exports_its_mapping_notes(ingest: Ingest) -> None:
    metrics = WorkerMetrics(WorkerState("w", {}), {}, [], lambda _: (0, ""), ingest.notes)
    _, outcome = await ingest.step([Record(1, BAD)], nothing)
    ingest.committed(outcome)
    notes = metrics.stats()["mapping_notes"]
    assert {(note["field"], note["kind"]) for note in notes} == MENDED
    assert notes[0] | {"field": "", "kind": ""} == {
        "system": "crm", "table": "public.firm", "field": "", "kind": "", "count": 1
    }  # fmt: skip
    for _ in range(2):  # a second look counts nothing twice
        exported = metrics.prometheus(ready=True).decode()
    assert (
        'opshub_mapping_notes_total{field="customer.tax_id",kind="taken as null",system="crm",table="public.firm"} 1.0'
        in exported
    )


def test_a_note_holds_no_value() -> None:
    assert set(MappingNoteTally.__struct_fields__) == {
        "system",
        "table_name",
        "field",
        "kind",
        "reason",
        "example",
        "count",
    }
