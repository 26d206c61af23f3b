"""What came in, by offsets, against what became of it, by counters."""

from __future__ import annotations

import pytest

from streams.capture.accounting import KINDS, balance
from streams.model.partition import Partition

A, B = ("raw.crm.a", 0), ("raw.crm.b", 0)


def account(since: int, upto: int, **counts: int) -> tuple[int, ...]:
    return (since, upto, *(counts.get(kind, 0) for kind in KINDS))


@pytest.mark.parametrize(
    ("counted", "read", "came", "unaccounted"),
    [
        ({A: account(0, 100, passed=88, dead=2, parked=10)}, {A: 100}, 100, 0),
        ({A: account(0, 100, passed=90)}, {A: 100}, 100, 10),  # ten that nobody counted
        ({A: account(0, 100, passed=101)}, {A: 100}, 100, 1),  # one counted twice
        (
            {A: account(0, 100, passed=90), B: account(0, 10, passed=20)},
            {},
            110,
            20,
        ),  # one does not make up for the other
        ({A: account(40, 100, passed=60)}, {A: 90}, 60, 0),  # it is in the hub before its offset is committed
        ({A: account(0, 100, passed=100)}, {A: 130}, 130, 30),  # the hub went back
        ({}, {A: 7}, 7, 7),
    ],
)
def test_a_gap_is_seen(
    counted: dict[Partition, tuple[int, ...]], read: dict[Partition, int], came: int, unaccounted: int
) -> None:
    told = balance(counted, read)
    assert (told["in"], told["unaccounted"]) == (came, unaccounted)
    assert sum(told[kind] for kind in KINDS) == sum(sum(one[2:]) for one in counted.values())
