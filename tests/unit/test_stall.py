"""Which partitions are stalled, from what was read of them and where they end, check after check."""

from __future__ import annotations

from streams.runtime.stall import CHECK_EVERY, MIN_CHECKS, STALLED_AFTER, Unread, stalled_partitions, unread_partitions

A, B = ("t", 0), ("t", 1)


def checks(
    *observed: tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]],
) -> tuple[dict[tuple[str, int], Unread], float]:
    unread: dict[tuple[str, int], Unread] = {}
    now = 1000.0
    for read, ends in observed:
        now += CHECK_EVERY
        unread = unread_partitions(unread, read, ends, now)
    return unread, now


def test_partition_that_is_not_read_any_more_is_stalled() -> None:
    unread, now = checks(*[({A: 7, B: 5}, {A: 1_000_000, B: 5})] * (MIN_CHECKS + 1))
    assert stalled_partitions(unread, now) == {A: Unread(7, 1_000_000, 1000.0 + CHECK_EVERY, MIN_CHECKS)}
    assert now - 1000.0 - CHECK_EVERY == STALLED_AFTER


def test_partition_that_moves_slowly_is_not_stalled() -> None:
    unread, now = checks(*[({A: at}, {A: 1_000_000}) for at in range(7, 40)])
    assert unread and not stalled_partitions(unread, now)


def test_partition_read_to_its_end_is_not_stalled_by_transaction_markers() -> None:
    # 8 was the last record, 9 is a marker: what is told of the end says 10, and so do the brokers.
    unread, now = checks(*[({A: 10}, {A: 10})] * 20)
    assert not unread and not stalled_partitions(unread, now)


def test_partition_without_any_record_read_is_stalled_while_others_are_busy() -> None:
    unread, now = checks(*[({A: at}, {A: at + 5, B: 0}) for at in range(MIN_CHECKS + 1)])
    assert stalled_partitions(unread, now).keys() == {B}


def test_long_batch_and_silent_broker_do_not_count() -> None:
    unread = unread_partitions({}, {A: 7}, {A: 9}, 0.0)
    unread = unread_partitions(unread, {A: 7}, {A: 9}, 900.0)
    assert not stalled_partitions(unread, 900.0), "the lane worked on one batch for a quarter of an hour"
    for _ in range(10):
        unread = unread_partitions(unread, {A: 7}, {}, 1000.0)
    assert unread[A].checks == 1 and not stalled_partitions(unread, 1000.0)
    assert unread_partitions(unread, {A: 8}, {}, 1000.0) == {}
