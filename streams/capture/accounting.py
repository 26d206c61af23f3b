"""The account of raw records: what came in, by offsets, against what became of it, by counters.

In: the hub's account of each raw partition, and the offsets that the workers committed in Kafka. Out: sums for
`opshub status`, and the records that the hub lost. What came in is known from offsets, what became of it from counters:
neither is computed from the other, so a difference means something.

Each batch is in the hub before its offsets are committed. So an account that ends before the committed offsets, or has
fewer records than offsets, means that the hub lost data: an old backup was restored, or the hub failed over to a copy
that was behind. Connectors write raw topics without transactions (`connector_config.py` refuses the setting), so each
offset is a record and no transaction marker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import psycopg
from confluent_kafka import KafkaException

from streams.hub.raw_accounts import (
    DeadLetterCount,
    PartitionAccount,
    dead_letter_counts,
    load_raw_accounts,
    rebase_raw_account,
)
from streams.hub.session import hub_session
from streams.kafka.offsets import committed_offsets
from streams.model.dead_letter import OPEN, SETTLED
from streams.model.partition import Partition
from streams.settings import Settings

KINDS = ("passed", "filtered", "tombstones", "dead", "parked", "control")
"""What a raw record may become: fields of `PartitionAccount`."""


class Totals(msgspec.Struct, frozen=True, rename={"incoming": "in"}):
    """Sums over all raw partitions. It should hold that incoming = passed + filtered + tombstones + dead + parked +
    control.
    """

    incoming: int
    """Offsets that were read: by the hub's account, or by the workers' committed offsets where those are further."""
    passed: int
    filtered: int
    tombstones: int
    dead: int
    parked: int
    control: int
    unaccounted: int
    """Offsets at which no record was counted, or too many."""


class AccountSummary(Totals, frozen=True, rename={"incoming": "in"}):
    """The account with the dead letters that the hub holds. `dead` and `parked` say what a record was when it came."""

    open: dict[str, int]
    """State → dead letters that still wait."""
    settled: dict[str, int]
    """State → dead letters that were retried or dropped."""
    parked_keys: int
    """Keys that wait behind a dead letter."""
    balances: bool


def missing_records(hub: psycopg.Connection[object], offsets: Mapping[Partition, int]) -> dict[Partition, int]:
    """Partition → how many records were read that the hub does not know, where there are any.

    `offsets`: what the workers committed. Read it before this call: an account may be ahead of it, never behind.
    """
    accounts = load_raw_accounts(hub)
    missing = {
        partition: account.upto - account.since - account.counted
        for partition, account in accounts.items()
        if account.upto - account.since > account.counted
    }
    for partition, offset in offsets.items():
        upto = accounts[partition].upto if partition in accounts else 0
        if offset > upto:
            missing[partition] = missing.get(partition, 0) + offset - upto
    return missing


def account_summary(settings: Settings) -> AccountSummary:
    """What became of all raw records that were read. Without Kafka, by the hub's account alone.

    Raises EnvironmentFault while the hub does not answer.
    """
    try:
        committed = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
    except (KafkaException, TimeoutError):
        committed = {}
    with hub_session(settings.hub) as hub:
        # One snapshot for both: a dead letter and its count are written in one transaction.
        hub.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        accounts = load_raw_accounts(hub)
        dead_letters = dead_letter_counts(hub)
    return summarize(accounts, committed, dead_letters)


def summarize(
    accounts: Mapping[Partition, PartitionAccount],
    committed: Mapping[Partition, int],
    dead_letters: Iterable[DeadLetterCount],
) -> AccountSummary:
    """The account with its dead letters; `committed` must have been read before the other two."""
    totals = balance(accounts, committed)
    groups = list(dead_letters)
    came_as = {
        kind: sum(group.records for group in groups if group.is_raw and group.came_as == kind)
        for kind in ("dead", "parked")
    }
    in_state = {state: sum(group.records for group in groups if group.state == state) for state in (*OPEN, *SETTLED)}
    return AccountSummary(
        **msgspec.structs.asdict(totals),
        open={state: in_state[state] for state in OPEN},
        settled={state: in_state[state] for state in SETTLED},
        # A lower bound: the same key may be in several groups.
        parked_keys=max((group.keys for group in groups if group.state == "dead"), default=0),
        balances=not totals.unaccounted and came_as == {"dead": totals.dead, "parked": totals.parked},
    )


def balance(accounts: Mapping[Partition, PartitionAccount], committed: Mapping[Partition, int]) -> Totals:
    """Sums over all partitions. `committed` must have been read before the accounts."""
    incoming = {
        partition: max(account.upto, committed.get(partition, account.upto)) - account.since
        for partition, account in accounts.items()
    }
    incoming |= {partition: offset for partition, offset in committed.items() if partition not in accounts}
    counted = {partition: account.counted for partition, account in accounts.items()}
    return Totals(
        incoming=sum(incoming.values()),
        **{kind: sum(getattr(account, kind) for account in accounts.values()) for kind in KINDS},
        # By partition: one record too many in one does not make up for one too few in another.
        unaccounted=sum(abs(came - counted.get(partition, 0)) for partition, came in incoming.items()),
    )


def rebase_accounts(hub: psycopg.Connection[object], offsets: Mapping[Partition, int], topics: Iterable[str]) -> None:
    """Let the accounts of these topics balance from here on, whatever the hub lacks: they are captured again as a
    whole.
    """
    wanted = set(topics)
    for partition in missing_records(hub, offsets):
        if partition[0] in wanted:
            rebase_raw_account(hub, partition, offsets.get(partition, 0))
