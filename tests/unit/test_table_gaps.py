"""When changes of one table were missed, and for how long that is remembered.

Threads: materialize#26281, electric#3322, streambed#5 (a table made again under its name is not captured).
"""

from __future__ import annotations

import msgspec
import pytest

from streams.capture.captured_tables import Leaf, TableFacts
from streams.capture.finding import Finding
from streams.capture.table_gaps import compare_table
from streams.hub.source_state import TableRecord
from streams.monitor.thresholds import was_checked

NOW = TableFacts("erp.item", 7, leaves=[Leaf("erp.item", 7)])
BEFORE = TableRecord(7, {"7": "erp.item"}, None)
PARTED = TableFacts("erp.item", 7, kind="p", leaves=[Leaf("erp.item_1", 8), Leaf("erp.item_2", 9)])
PARTED_BEFORE = TableRecord(7, {"8": "erp.item_1", "9": "erp.item_2"}, None)
UNPUBLISHED = [Finding("table-unpublished", "erp: erp.item", "it is not published", "ADD TABLE")]


def test_a_table_that_stays_as_it_is_misses_nothing() -> None:
    assert compare_table(BEFORE, NOW, [], is_new=False) == BEFORE
    assert compare_table(None, NOW, [], is_new=False) == BEFORE
    assert compare_table(PARTED_BEFORE, PARTED, [], is_new=True) == PARTED_BEFORE


@pytest.mark.parametrize(
    ("before", "now", "wrong", "is_new", "words"),
    [
        (BEFORE, msgspec.structs.replace(NOW, oid=8), [], True, "another table"),
        (BEFORE, None, [], True, "dropped or renamed"),
        (BEFORE, NOW, UNPUBLISHED, True, "it is not published"),
        (None, NOW, [], True, "only now"),
        (None, NOW, UNPUBLISHED, False, "it is not published"),
        (
            PARTED_BEFORE,
            msgspec.structs.replace(PARTED, leaves=[Leaf("erp.item_2", 9)]),
            [],
            True,
            "item_1 was detached",
        ),
        (
            PARTED_BEFORE,
            msgspec.structs.replace(PARTED, leaves=[*PARTED.leaves, Leaf("erp.old", 5, was_attached=True)]),
            [],
            True,
            "erp.old was attached",
        ),
    ],
)
def test_changes_that_were_missed_are_remembered_until_the_table_is_read_again(
    before: TableRecord | None, now: TableFacts | None, wrong: list[Finding], is_new: bool, words: str
) -> None:
    record = compare_table(before, now, wrong, is_new=is_new)
    assert words in str(record.gap)
    assert compare_table(record, now, [], is_new=True).gap == record.gap


def test_a_partition_that_is_made_or_attached_empty_misses_nothing() -> None:
    made = msgspec.structs.replace(PARTED, leaves=[*PARTED.leaves, Leaf("erp.item_3", 5)])
    assert compare_table(PARTED_BEFORE, made, [], is_new=True).gap is None
    attached = msgspec.structs.replace(PARTED, leaves=[*PARTED.leaves, Leaf("erp.item_3", 5, was_attached=True)])
    assert compare_table(PARTED_BEFORE, attached, [], is_new=True, has_rows=lambda table: False).gap is None


@pytest.mark.parametrize("code", ["source-away", "source-busy"])
def test_an_alert_of_a_table_stays_while_its_source_does_not_answer(code: str) -> None:
    away = [Finding(code, "erp", "no answer", "start it")]
    assert not was_checked("table-changed/erp: erp.item", away)
    assert was_checked("table-changed/crm: public.account", away)
