"""Marks of what is due: each change is committed before the mark that stands for it is acted upon, or is marked itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.pipeline.due import MARK_AGAIN, WITHIN, Marked, Marks, due_rows

ADA: Marked = ("customer", "ada")


def test_a_mark_stands_for_batches_that_begin_soon() -> None:
    marks = Marks()
    assert marks.missing([ADA], 100.0) == [ADA]
    marks.note([ADA], 100.0)
    assert marks.missing([ADA, ("flow", "f")], 101.0) == [("flow", "f")]
    assert marks.missing([ADA], 100.0 + MARK_AGAIN["customer"]) == [ADA]
    assert due_rows([ADA]) == [("customer", "ada", WITHIN["customer"])]


def test_a_batch_that_takes_long_to_commit_is_marked_once_more() -> None:
    marks = Marks()
    marks.note([ADA], 100.0)
    assert marks.missing([ADA], 101.9) == []
    assert marks.outlived([ADA], 102.9) == []
    assert marks.outlived([ADA], 103.0) == [ADA]


def test_what_was_done_or_is_somebody_elses_is_marked_anew() -> None:
    marks = Marks()
    marks.note([ADA, ("flow", "f")], 100.0)
    marks.done(("flow", "f"))
    assert marks.missing([("flow", "f"), ADA], 100.5) == [("flow", "f")]
    marks.clear()
    assert marks.missing([ADA], 100.5) == [ADA]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, 8)), min_size=1, max_size=12))
def test_every_commit_is_before_a_sum_that_is_still_to_come(batches: list[tuple[float, float]]) -> None:
    marks, now, due = Marks(), 0.0, float("-inf")
    for pause, takes in batches:
        begun = now + pause
        marked = marks.missing([ADA], begun)
        now = begun + takes
        if marked:
            due = max(due, begun + WITHIN["customer"], now)  # its row is locked until the commit
        marks.note(marked, begun)
        if marks.outlived([ADA], now):
            due = now + WITHIN["customer"]
        assert due >= now
