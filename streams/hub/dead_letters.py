"""Dead letters in the hub: one typed function for each statement of `sql/dead_letters.sql`.

Workers call those with a `Lookup`; the command calls those with a connection, in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import psycopg

from streams.hub.statements import SQL, Lookup, columns, fetch
from streams.model.dead_letter import DeadLetter, Failure, State
from streams.model.kafka_record import RecordId


class StoredDeadLetter(DeadLetter, frozen=True, kw_only=True):
    """A dead letter as the hub keeps it. `value` is the edited value where somebody edited it."""

    id: int
    is_edited: bool
    tried: int
    """How often it failed."""
    came_as: State
    """dead or parked: its first state."""
    seen_at: str
    """When the hub first got it: ISO 8601, UTC."""


class Filter(msgspec.Struct, frozen=True):
    """Which dead letters; a field that is None or empty does not narrow them."""

    ids: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    topic: str | None = None
    """`*` stands for any text."""
    key: str | None = None
    stage: str | None = None
    error_class: str | None = None
    reason: str | None = None
    """A part of the reason, in any case."""


class ParkedKey(NamedTuple):
    """A key whose later records must wait for the one at `first_offset`."""

    topic: str
    key: bytes
    first_offset: int


class OpenDeadLetter(NamedTuple):
    """An open record of one key; `value` is the edited value where somebody edited it."""

    partition: int
    offset: int
    state: State
    value: bytes | None
    key: bytes | None


class RetryFailure(NamedTuple):
    """A record that was retried and failed again."""

    record: RecordId
    failure: Failure


class RetryKey(NamedTuple):
    """A key whose records the worker that owns its partition is to retry."""

    topic: str
    partition: int
    key: bytes | None


class Original(msgspec.Struct, frozen=True):
    """What `opshub dlq show` adds to a dead letter."""

    value: bytes | None
    """As the record came, whatever it was edited to."""
    edited_by: str | None
    waiting_behind: int
    """Records of its key that are parked behind it."""


class AuditEntry(msgspec.Struct, frozen=True):
    """What a person did to a dead letter."""

    at: str
    who: str
    verb: str
    detail: str


def dead_letter_row(record: DeadLetter) -> tuple[str, int, int, bytes | None, bytes | None, str, str, str]:
    """The parameters of `add_dead_letter`."""
    where = record.topic, record.partition, record.offset
    return (*where, record.key, record.value, record.stage, record.error_class, record.reason)


async def add_dead_letter(lookup: Lookup, dead_letter: DeadLetter) -> None:
    """Keep one; if the hub has it already, only its tries and its reason change."""
    await lookup("add_dead_letter", *dead_letter_row(dead_letter))


def dead_letter_columns(dead_letters: Sequence[DeadLetter]) -> list[list[object]]:
    """The parameters of `add_dead_letters`."""
    return columns([(*dead_letter_row(dead_letter), dead_letter.state) for dead_letter in dead_letters])


async def parked_keys(lookup: Lookup, topics: Sequence[str]) -> list[ParkedKey]:
    """The keys of these topics that have open records."""
    return [ParkedKey(*row) for row in await lookup("parked_keys", topics)]


async def dead_letter_states(lookup: Lookup, records: Sequence[RecordId]) -> dict[RecordId, State]:
    """The states of these records, as far as they are dead letters."""
    if not records:
        return {}
    rows = await lookup("dead_letter_states", *columns(records))
    return {RecordId(topic, partition, offset): state for topic, partition, offset, state in rows}


async def open_dead_letters(lookup: Lookup, topic: str, key: bytes | None) -> list[OpenDeadLetter]:
    """The open records of one key, in order."""
    return [OpenDeadLetter(*row) for row in await lookup("open_dead_letters", topic, key)]


async def mark_missing_lookups(lookup: Lookup) -> list[RetryKey]:
    """Mark for a retry the records whose code was missing and whose pause is over; their keys."""
    return [RetryKey(*row) for row in await lookup("retry_missing_lookups")]


async def overdue_retries(lookup: Lookup) -> list[RetryKey]:
    """Keys that were marked for a retry more than ten seconds ago and that no worker retried."""
    return [RetryKey(*row) for row in await lookup("overdue_retries")]


def find_dead_letters(connection: psycopg.Connection, wanted: Filter, limit: int) -> list[StoredDeadLetter]:
    """The oldest first."""
    return fetch(connection, StoredDeadLetter, "find_dead_letters", _parameters(wanted) | {"limit": limit})


def count_dead_letters(connection: psycopg.Connection, wanted: Filter) -> int:
    """How many match, whatever a list shows of them."""
    ((count,),) = connection.execute(SQL["count_dead_letters"], _parameters(wanted)).fetchall()
    return int(count)


def original(connection: psycopg.Connection, dead_letter_id: int) -> Original:
    return fetch(connection, Original, "dead_letter_original", [dead_letter_id])[0]


def audit_entries(connection: psycopg.Connection, dead_letter_id: int) -> list[AuditEntry]:
    """The oldest first."""
    return fetch(connection, AuditEntry, "dead_letter_audit", [dead_letter_id])


def save_edit(connection: psycopg.Connection, dead_letter_id: int, value: bytes, who: str) -> None:
    connection.execute(SQL["edit_dead_letter"], [value, who, dead_letter_id])


def set_state(connection: psycopg.Connection, ids: Sequence[int], state: State) -> None:
    connection.execute(SQL["set_dead_letter_state"], [state, list(ids)])


def audit(connection: psycopg.Connection, ids: Sequence[int], who: str, verb: str, detail: str) -> None:
    """Keep who did what to these dead letters."""
    connection.execute(SQL["audit_dead_letters"], [who, verb, detail, list(ids)])


def _parameters(wanted: Filter) -> dict[str, object]:
    """The parameters of a filter; null where it does not narrow."""
    return {
        "ids": list(wanted.ids) or None,
        "states": list(wanted.states) or None,
        "topic": wanted.topic and wanted.topic.replace("_", r"\_").replace("*", "%"),
        "key": None if wanted.key is None else wanted.key.encode(),
        "stage": wanted.stage or None,
        "error_class": wanted.error_class or None,
        "reason": wanted.reason or None,
    }
