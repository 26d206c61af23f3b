"""Which partitions stand still, from what was read of them and where they end, look after look."""

from __future__ import annotations

from streams.runtime.stall import LEAST_LOOKS, LOOK_EVERY, STILL_AFTER, Still, look, stuck

A, B = ("t", 0), ("t", 1)


def looks(
    *told: tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]],
) -> tuple[dict[tuple[str, int], Still], float]:
    found: dict[tuple[str, int], Still] = {}
    now = 1000.0
    for read, ends in told:
        now += LOOK_EVERY
        found = look(found, read, ends, now)
    return found, now


def test_a_partition_that_was_read_once_and_then_no_more_is_stuck() -> None:
    found, now = looks(*[({A: 7, B: 5}, {A: 1_000_000, B: 5})] * (LEAST_LOOKS + 1))
    assert stuck(found, now) == {A: Still(7, 1_000_000, 1000.0 + LOOK_EVERY, LEAST_LOOKS)}
    assert now - 1000.0 - LOOK_EVERY == STILL_AFTER


def test_one_that_moves_however_little_is_not() -> None:
    found, now = looks(*[({A: at}, {A: 1_000_000}) for at in range(7, 40)])
    assert found and not stuck(found, now)


def test_one_that_was_read_to_its_end_is_not_though_markers_of_transactions_follow_its_last_record() -> None:
    # 8 was the last record, 9 is a marker: what is told of the end says 10, and so do the brokers.
    found, now = looks(*[({A: 10}, {A: 10})] * 20)
    assert not found and not stuck(found, now)


def test_one_of_which_nothing_ever_came_is_stuck_though_others_are_busy() -> None:
    found, now = looks(*[({A: at}, {A: at + 5, B: 0}) for at in range(LEAST_LOOKS + 1)])
    assert stuck(found, now).keys() == {B}


def test_a_long_batch_and_a_broker_that_does_not_answer_count_for_nothing() -> None:
    found = look({}, {A: 7}, {A: 9}, 0.0)
    found = look(found, {A: 7}, {A: 9}, 900.0)
    assert not stuck(found, 900.0), "the lane worked on one batch for a quarter of an hour"
    for _ in range(10):
        found = look(found, {A: 7}, {}, 1000.0)
    assert found[A].looks == 1 and not stuck(found, 1000.0)
    assert look(found, {A: 8}, {}, 1000.0) == {}
