"""Dead letters: Kafka records that could not be processed, and records that wait behind one of their key.

Ingest and assemble make them, the hub keeps them, `opshub dlq` shows, edits, retries and drops them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import msgspec

from streams.errors import BadRecord, OpshubError
from streams.model.kafka_record import KafkaRecord

OpenState = Literal["dead", "parked", "retry"]
"""Not settled yet: it failed; it waits behind a record of its key that failed; it waits for a retry."""

SettledState = Literal["retried", "dropped"]

State = OpenState | SettledState

OPEN: tuple[OpenState, ...] = get_args(OpenState)
SETTLED: tuple[SettledState, ...] = get_args(SettledState)
STATES: tuple[State, ...] = (*OPEN, *SETTLED)

MAX_REASON = 2000
"""Characters of a reason that are kept: an error may quote a whole row."""


class Failure(NamedTuple):
    """Why a record failed, for a person: the stage (decode, mapping, encode, unknown), the error's class, its text."""

    stage: str
    error_class: str
    reason: str


class DeadLetter(msgspec.Struct, frozen=True):
    """One Kafka record that was not processed, with the reason. An output of a step, not an exception."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    stage: str
    error_class: str
    reason: str
    state: State = "dead"


def describe_error(error: BaseException) -> Failure:
    """The error with its remedy, in a form that Postgres takes: its text columns refuse NUL characters."""
    stage = error.stage if isinstance(error, BadRecord) else "unknown"
    reason = f"{error}; {error.remedy}" if isinstance(error, OpshubError) and error.remedy else str(error)
    return Failure(stage, type(error).__name__, reason[:MAX_REASON].replace("\0", "\\0"))


def dead_letter_of(record: KafkaRecord, error: BaseException) -> DeadLetter:
    """The dead letter of a record that failed with this error."""
    return DeadLetter(
        record.topic(), record.partition(), record.offset(), record.key(), record.value(), *describe_error(error)
    )


def parked_record(record: KafkaRecord) -> DeadLetter:
    """A record that waits, since an earlier record of its key is a dead letter."""
    return DeadLetter(
        record.topic(), record.partition(), record.offset(), record.key(), record.value(),
        "", "", "waits for an earlier record of its key", "parked",
    )  # fmt: skip
