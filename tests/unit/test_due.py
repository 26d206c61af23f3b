"""Rows of `due`: each change is committed before the row that covers it is acted upon, or writes a row of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.pipeline.due import DUE_SECONDS, REPEAT_SECONDS, DueKey, WrittenDue, due_rows

ADA: DueKey = ("customer", "ada")


def test_a_row_covers_batches_that_begin_soon() -> None:
    written = WrittenDue()
    assert written.missing([ADA], 100.0) == [ADA]
    written.record([ADA], 100.0)
    assert written.missing([ADA, ("flow", "f")], 101.0) == [("flow", "f")]
    assert written.missing([ADA], 100.0 + REPEAT_SECONDS["customer"]) == [ADA]
    assert due_rows([ADA]) == [("customer", "ada", DUE_SECONDS["customer"])]


def test_a_batch_that_commits_late_writes_its_row_again() -> None:
    written = WrittenDue()
    written.record([ADA], 100.0)
    assert written.missing([ADA], 101.9) == []
    assert written.outlived([ADA], 102.9) == []
    assert written.outlived([ADA], 103.0) == [ADA]


def test_a_row_that_was_acted_upon_covers_nothing() -> None:
    written = WrittenDue()
    written.record([ADA, ("flow", "f")], 100.0)
    written.done(("flow", "f"))
    assert written.missing([("flow", "f"), ADA], 100.5) == [("flow", "f")]
    written.clear()
    assert written.missing([ADA], 100.5) == [ADA]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, 8)), min_size=1, max_size=12))
def test_every_commit_is_before_a_sum_that_is_still_to_come(batches: list[tuple[float, float]]) -> None:
    written, now, due = WrittenDue(), 0.0, float("-inf")
    for pause, takes in batches:
        begun = now + pause
        marked = written.missing([ADA], begun)
        now = begun + takes
        if marked:
            due = max(due, begun + DUE_SECONDS["customer"], now)  # its row is locked until the commit
        written.record(marked, begun)
        if written.outlived([ADA], now):
            due = now + DUE_SECONDS["customer"]
        assert due >= now
