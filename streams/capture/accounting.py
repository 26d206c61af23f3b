"""The hub's account of raw records, held against where Kafka says that the workers are.

Every batch is in the hub before its offsets are committed. So an account that ends before the committed offsets, or that has a gap between
its first and its last offset, says that the hub lost what it had: an old backup was put back, or it failed over to a copy that was behind.
What came in is told by offsets, what became of it by counters: neither is made of the other. Connectors write raw topics without
transactions (source_file.py), so that each offset is a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from confluent_kafka import KafkaException

from streams.hub.session import hub_session
from streams.kafka.offsets import committed_offsets
from streams.model.dead_letter import OPEN
from streams.model.partition import Partition
from streams.settings import Settings

KINDS = ("passed", "filtered", "tombstones", "dead", "parked", "control")
"""What a raw record may become."""

_ACCOUNTS = (
    "SELECT topic, partition, since, upto, passed + filtered + tombstones + dead + parked + control FROM raw_account"
)


def lacking(hub: psycopg.Connection[Any], offsets: dict[Partition, int]) -> dict[Partition, int]:
    """By partition, how many records that were read the hub knows nothing of; `offsets` must have been asked for before."""
    found: dict[Partition, int] = {}
    ends: dict[Partition, int] = {}
    for topic, partition, since, upto, counted in hub.execute(_ACCOUNTS.encode()):
        ends[topic, partition] = upto
        if upto - since > counted:
            found[topic, partition] = upto - since - counted
    for tp, offset in offsets.items():
        if offset > ends.get(tp, 0):
            found[tp] = found.get(tp, 0) + offset - ends.get(tp, 0)
    return found


def accounting(settings: Settings) -> dict[str, Any]:
    """What became of all raw records that were read: `in` = passed + dropped by rule + tombstones + dead + parked + control.

    `in` is told by offsets: of the hub's account, and of what the workers committed where Kafka answers and that is more. `unaccounted`:
    offsets of which nobody counted a record, or too many. `dead` and `parked` count records as they came; `open` says how many of them
    still wait, and `settled` what became of the others.
    """
    try:
        read = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
    except (KafkaException, TimeoutError):
        read = {}
    with hub_session(settings.hub) as connection:
        # One look at both: a letter and its count are written together.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = connection.execute(
            "SELECT topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control FROM raw_account"
        ).fetchall()
        states = connection.execute(
            "SELECT topic LIKE 'raw.%', came_as, state, count(*), count(DISTINCT (topic, key)) FROM dead_letter GROUP BY 1, 2, 3"
        ).fetchall()
    told = balance({(topic, partition): tuple(counts) for topic, partition, *counts in rows}, read)
    raw = [(came, state, count) for is_raw, came, state, count, _ in states if is_raw]
    stored = {came: sum(count for one, _, count in raw if one == came) for came in ("dead", "parked")}
    told["open"] = {state: sum(count for _, _, one, count, _ in states if one == state) for state in OPEN}
    told["settled"] = {
        state: sum(count for _, _, one, count, _ in states if one == state) for state in ("retried", "dropped")
    }
    told["parked_keys"] = max((keys for _, _, one, _, keys in states if one == "dead"), default=0)
    told["balances"] = not told["unaccounted"] and stored["dead"] == told["dead"] and stored["parked"] == told["parked"]
    return told


def balance(counted: Mapping[Partition, tuple[int, ...]], read: Mapping[Partition, int]) -> dict[str, Any]:
    """Sums over all partitions. `counted`: since, upto and each of KINDS; `read`: the committed offsets, asked for before."""
    came = {tp: max(upto, read.get(tp, upto)) - since for tp, (since, upto, *_) in counted.items()} | {
        tp: offset for tp, offset in read.items() if tp not in counted
    }
    told: dict[str, Any] = {"in": sum(came.values())}
    told |= {kind: sum(one[2 + at] for one in counted.values()) for at, kind in enumerate(KINDS)}
    told["unaccounted"] = sum(abs(offsets - sum(counted.get(tp, ())[2:])) for tp, offsets in came.items())
    return told


def start_again(hub: psycopg.Connection[Any], offsets: dict[Partition, int], topics: Iterable[str]) -> None:
    """These topics are captured anew, whatever the hub lacks of them: their account balances from here on."""
    wanted = set(topics)
    lost = {tp for tp in lacking(hub, offsets) if tp[0] in wanted}
    for tp in lost:
        hub.execute(
            "INSERT INTO raw_account AS a (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control) "
            "VALUES (%s, %s, %s, %s, 0, 0, 0, 0, 0, 0) ON CONFLICT (topic, partition) DO UPDATE SET "
            "upto = greatest(a.upto, excluded.upto), "
            "since = greatest(a.upto, excluded.upto) - (a.passed + a.filtered + a.tombstones + a.dead + a.parked + a.control)",
            [*tp, offsets.get(tp, 0), offsets.get(tp, 0)],
        )
