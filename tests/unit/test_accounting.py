"""What came in, by offsets, against what became of it, by counters."""

from __future__ import annotations

import pytest

from streams.capture.accounting import KINDS, balance, summarize
from streams.hub.raw_accounts import DeadLetterCount, PartitionAccount
from streams.model.partition import Partition

A, B = ("raw.crm.a", 0), ("raw.crm.b", 0)


def account(since: int, upto: int, **counts: int) -> PartitionAccount:
    return PartitionAccount("raw.crm.a", 0, since, upto, **counts)


@pytest.mark.parametrize(
    ("accounts", "committed", "incoming", "unaccounted"),
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
def test_records_that_nobody_counted_are_unaccounted(
    accounts: dict[Partition, PartitionAccount], committed: dict[Partition, int], incoming: int, unaccounted: int
) -> None:
    totals = balance(accounts, committed)
    assert (totals.incoming, totals.unaccounted) == (incoming, unaccounted)
    assert sum(getattr(totals, kind) for kind in KINDS) == sum(one.counted for one in accounts.values())


def test_account_balances_when_the_hub_holds_its_dead_letters() -> None:
    accounts = {A: account(0, 100, passed=88, dead=2, parked=10)}
    held = [
        DeadLetterCount(True, "dead", "dead", 1, 1),
        DeadLetterCount(True, "dead", "retried", 1, 1),
        DeadLetterCount(True, "parked", "parked", 10, 1),
        DeadLetterCount(False, "dead", "dead", 3, 3),  # of a change topic: no raw record
    ]
    summary = summarize(accounts, {A: 100}, held)
    assert summary.balances and summary.parked_keys == 3
    assert (summary.open, summary.settled) == ({"dead": 4, "parked": 10, "retry": 0}, {"retried": 1, "dropped": 0})
    assert not summarize(accounts, {A: 100}, held[1:]).balances
