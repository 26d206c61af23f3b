"""What is done about an error: one table from its class to a policy and advice.

In: an exception. Out: the policy of its nearest class. The walk asks it for every error that leaves a step; an error
that no class of ours stands for is a fault of this program at this record: the record is set aside, the worker goes on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from streams.errors import (
    BadRecord,
    ConfigError,
    DecodeError,
    EncodeError,
    EnvironmentFault,
    Fenced,
    MappingError,
    OpshubError,
    RetryLater,
    SkipRecord,
)


class Policy(StrEnum):
    """What the caller does next."""

    SKIP = "skip"
    """Count the record and go on."""
    RETRY = "retry"
    """Do the same batch again after a pause, as long as it takes; say so in /readyz."""
    REJOIN = "rejoin"
    """Drop what is in hand: another worker has it."""
    DEAD_LETTER = "dead-letter"
    """Store the record, park its key, go on with other keys."""
    STOP_TABLE = "stop-table"
    """Take no more of this table until a person or a new snapshot has mended it; raise an alarm."""
    STOP_WORKER = "stop-worker"
    """Leave with nothing committed; the supervisor starts the worker again."""


class Rule(NamedTuple):
    """A policy, and what a person can do."""

    policy: Policy
    advice: str


class CaptureLost(OpshubError):
    """Changes of a source may be missing: its slot was lost or made again, or the database is another than before."""

    exit_code = 1


TABLE: dict[type[BaseException], Rule] = {
    SkipRecord: Rule(Policy.SKIP, "nothing: a rule of the dictionary leaves this record out"),
    Fenced: Rule(
        Policy.REJOIN, "nothing: another worker took over; if it comes often, raise OPSHUB_SESSION_TIMEOUT_MS"
    ),
    RetryLater: Rule(Policy.RETRY, "bring the server back that the message names; the worker catches up by itself"),
    DecodeError: Rule(
        Policy.DEAD_LETTER, "`opshub dlq show`: mend the connector's settings or the record, then `opshub dlq retry`"
    ),
    MappingError: Rule(
        Policy.DEAD_LETTER, "mend the dictionary (`opshub map try`), start the workers again, then `opshub dlq retry`"
    ),
    EncodeError: Rule(Policy.DEAD_LETTER, "mend the value at its source or the dictionary, then `opshub dlq retry`"),
    BadRecord: Rule(Policy.DEAD_LETTER, "`opshub dlq show`, then edit, retry or drop it"),
    CaptureLost: Rule(
        Policy.STOP_TABLE, "`opshub doctor`, then `opshub resync` takes a new snapshot of what is affected"
    ),
    ConfigError: Rule(
        Policy.STOP_WORKER, "mend what the message names; exit code 2, the worker is not started again by itself"
    ),
    EnvironmentFault: Rule(Policy.STOP_WORKER, "mend what the message names; exit code 3, the supervisor tries again"),
    MemoryError: Rule(Policy.STOP_WORKER, "give the worker more memory or a smaller OPSHUB_BATCH_SIZE"),
    Exception: Rule(Policy.DEAD_LETTER, "a fault of opshub at this record: report it with `opshub dlq show --json`"),
    BaseException: Rule(Policy.STOP_WORKER, "nothing: the worker was told to end"),
}
"""The nearest class in the order of inheritance counts."""


def rule_for(error: BaseException) -> Rule:
    """The rule of an error's nearest class."""
    for kind in type(error).__mro__:
        rule = TABLE.get(kind)
        if rule is not None:
            return rule
    return TABLE[BaseException]


def is_bad_record(error: BaseException) -> bool:
    """Whether the record that raised it is to be set aside, and all else goes on."""
    return rule_for(error).policy is Policy.DEAD_LETTER
