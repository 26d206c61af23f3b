"""What the worker does about an error: one table from its class to an action and advice for people.

In: an exception. Out: the action of its nearest class, in the order of inheritance. Every error that leaves the work on
a record (`is_bad_record`) or on a batch (`action_for_batch`) is looked up here, and nowhere else.
"""

from __future__ import annotations

from asyncio import CancelledError
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
    RetryLater,
)


class Action(StrEnum):
    """What the worker does next."""

    RETRY = "retry"
    """Do the same batch once more after a pause, as long as it takes; /readyz says what the worker waits for."""
    REJOIN = "rejoin"
    """Drop the batch in hand: another worker owns its partitions."""
    DEAD_LETTER = "dead-letter"
    """Store the record, park its key, go on with other keys."""
    STOP_WORKER = "stop-worker"
    """End with nothing committed; the supervisor decides by the exit code whether to start the worker again."""
    LEAVE = "leave"
    """End this task: the worker is stopping."""


class ErrorRule(NamedTuple):
    """What the worker does, and what a person can do."""

    action: Action
    advice: str


TABLE: dict[type[BaseException], ErrorRule] = {
    Fenced: ErrorRule(
        Action.REJOIN, "nothing: another worker took over; if it comes often, raise OPSHUB_SESSION_TIMEOUT_MS"
    ),
    RetryLater: ErrorRule(
        Action.RETRY, "bring the server back that the message names; the worker catches up by itself"
    ),
    DecodeError: ErrorRule(
        Action.DEAD_LETTER, "`opshub dlq show`: mend the connector's settings or the record, then `opshub dlq retry`"
    ),
    MappingError: ErrorRule(
        Action.DEAD_LETTER, "mend the dictionary (`opshub map try`), start the workers again, then `opshub dlq retry`"
    ),
    EncodeError: ErrorRule(
        Action.DEAD_LETTER, "mend the value at its source or the dictionary, then `opshub dlq retry`"
    ),
    BadRecord: ErrorRule(Action.DEAD_LETTER, "`opshub dlq show`, then edit, retry or drop it"),
    ConfigError: ErrorRule(
        Action.STOP_WORKER, "mend what the message names; exit code 2, the worker is not started again by itself"
    ),
    EnvironmentFault: ErrorRule(
        Action.STOP_WORKER, "mend what the message names; exit code 3, the supervisor tries again"
    ),
    MemoryError: ErrorRule(Action.STOP_WORKER, "give the worker more memory or a smaller OPSHUB_BATCH_SIZE"),
    # No class of ours: a fault of this program at this record. The other keys must not wait for its repair.
    Exception: ErrorRule(
        Action.DEAD_LETTER, "a fault of opshub at this record: report it with `opshub dlq show --json`"
    ),
    CancelledError: ErrorRule(Action.LEAVE, "nothing: the worker is stopping"),
    BaseException: ErrorRule(Action.STOP_WORKER, "nothing: the worker was asked to end"),
}


def rule_for(error: BaseException) -> ErrorRule:
    """The rule of an error's nearest class."""
    for kind in type(error).__mro__:
        rule = TABLE.get(kind)
        if rule is not None:
            return rule
    return TABLE[BaseException]


def is_bad_record(error: BaseException) -> bool:
    """Whether the record that raised it becomes a dead letter, and everything else goes on."""
    return rule_for(error).action is Action.DEAD_LETTER


def action_for_batch(error: BaseException) -> Action:
    """What is done when an error left the work on a whole batch.

    Such an error names no record that could become a dead letter, and to commit the batch would lose it. So the worker
    stops instead.
    """
    action = rule_for(error).action
    return Action.STOP_WORKER if action is Action.DEAD_LETTER else action
