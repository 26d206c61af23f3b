"""The account of raw records: for each partition, which offsets were counted and what became of their records.

Ingest writes it (`streams/hub/accounts.py`); this module has what status, doctor, alerts and verify read of it.
"""

from __future__ import annotations

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch
from streams.model.partition import Partition


class PartitionAccount(msgspec.Struct, frozen=True):
    """One partition: the offsets from `since` to `upto` (exclusive), and how many of their records became what."""

    topic: str
    partition: int
    since: int
    upto: int
    passed: int = 0
    filtered: int = 0
    """Left out by a rule of the dictionary."""
    tombstones: int = 0
    dead: int = 0
    """Became a dead letter when they came."""
    parked: int = 0
    """Came behind a dead letter of their key."""
    control: int = 0
    """Control records of opshub itself."""

    @property
    def counted(self) -> int:
        """Records that were counted, of whatever kind."""
        return self.passed + self.filtered + self.tombstones + self.dead + self.parked + self.control


class DeadLetterCount(msgspec.Struct, frozen=True):
    """Dead letters that came as `came_as` (dead or parked) and are `state` now; `keys`: of how many different keys."""

    is_raw: bool
    came_as: str
    state: str
    records: int
    keys: int


class _PartitionCount(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    records: int


def load_raw_accounts(
    hub: psycopg.Connection[object], topics: list[str] | None = None
) -> dict[Partition, PartitionAccount]:
    """The account of each partition; of `topics` only, if they are given."""
    rows = fetch(hub, PartitionAccount, "raw_accounts", {"topics": topics})
    return {(row.topic, row.partition): row for row in rows}


def rebase_raw_account(hub: psycopg.Connection[object], partition: Partition, upto: int) -> None:
    """Let the account of a partition balance from offset `upto` on, whatever it lacked before."""
    topic, number = partition
    hub.execute(SQL["rebase_raw_account"], {"topic": topic, "partition": number, "upto": upto})


def dead_letter_counts(hub: psycopg.Connection[object]) -> list[DeadLetterCount]:
    """Dead letters in groups: of raw topics or not, what they came as, what they are now."""
    return fetch(hub, DeadLetterCount, "dead_letter_counts")


def dead_letters_by_partition(hub: psycopg.Connection[object]) -> dict[Partition, int]:
    """How many dead letters the hub holds of each partition, in whatever state."""
    rows = fetch(hub, _PartitionCount, "dead_letters_by_partition")
    return {(row.topic, row.partition): row.records for row in rows}
