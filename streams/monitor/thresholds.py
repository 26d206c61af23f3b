"""Compares what hub and Kafka report of the pipeline with the thresholds of the settings.

In: the figures of one check. Out: a problem for each that is past its threshold. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from streams.capture.finding import Finding
from streams.hub.alerts import PipelineCounts
from streams.monitor.alerts import Problem
from streams.settings import Settings

HIDDEN_BY = {
    "source-away": ("wal-ending", "wal-kept", "heartbeat-old", "table-changed", "table-incomplete"),
    "source-busy": ("wal-ending", "wal-kept", "heartbeat-old", "table-changed", "table-incomplete"),
    "connect-away": ("connector-failed", "connector-missing", "connector-stopped", "connector-idle", "connect-refuses"),
    "connector-failed": ("connect-refuses",),
    "connector-silent": ("connect-refuses",),
    "kafka-away": ("hub-went-back", "lag"),
}
"""Finding → problems of the same server that cannot be seen to be over while it lasts."""


class Figures(msgspec.Struct, frozen=True):
    """The pipeline at one check."""

    parked_keys: int = 0
    balances: bool = True
    """Whether the account of raw records balances."""
    stuck_flows: int = 0
    counts: PipelineCounts = PipelineCounts()
    stuck_numbers: Sequence[str] = ()
    """Numbers of the orders that are stuck for the longest time. Names of customers do not go into alerts: they leave
    the installation, by mail and webhooks.
    """


def stuck_limits(settings: Settings) -> dict[str, float]:
    """Stage → seconds that an order flow may stay in it."""
    return {stage: days * 86_400 for stage, days in settings.stuck_after_days.model_dump().items() if days is not None}


def exceeded(figures: Figures, settings: Settings) -> list[Problem]:
    """A problem for each figure that is past its threshold."""
    counts = figures.counts
    checks = (
        (
            "parked-keys",
            figures.parked_keys >= settings.alert_parked_keys,
            f"{figures.parked_keys:,} keys are parked behind a dead letter",
            "`opshub dlq list`",
        ),
        (
            "accounts",
            not figures.balances,
            "the raw records that were read and what became of them do not balance",
            "`opshub verify` lists the differences",
        ),
        (
            "dead-letter-rate",
            counts.dead_letters_in_a_minute >= settings.alert_dead_letters,
            f"{counts.dead_letters_in_a_minute:,} records became dead letters within a minute",
            "`opshub dlq list` says why; if a dictionary does not fit its tables any more, correct it and restart "
            "the workers",
        ),
        (
            "stuck-flows",
            figures.stuck_flows >= settings.alert_stuck_flows,
            f"{figures.stuck_flows:,} order flows are in their stage for longer than they should be"
            + (f", the longest {', '.join(figures.stuck_numbers)}" if figures.stuck_numbers else ""),
            "`opshub flow check` lists them",
        ),
        (
            "invariants",
            counts.broken_invariants >= settings.alert_broken_invariants,
            f"{counts.broken_invariants:,} business rules do not hold",
            "`opshub flow check` lists them",
        ),
        (
            "intents-dead",
            counts.intents_dead >= settings.alert_dead_intents,
            f"{counts.intents_dead:,} intents were given up within a day",
            "`opshub approvals list --state dead` shows them, and why; `opshub writeback retry` sends them again",
        ),
        (
            "intents-waiting",
            counts.intents_waiting > 0,
            f"{counts.intents_waiting:,} intents have waited for people for more than "
            f"{settings.alert_approval_hours:g} hours",
            "`opshub approvals list`",
        ),
        (
            "intents-undelivered",
            counts.intents_undelivered > 0,
            f"{counts.intents_undelivered:,} intents have waited for their target for more than "
            f"{settings.alert_undelivered_minutes:g} minutes",
            "`opshub writeback status`; the workers' log says what the target answers",
        ),
    )
    return [Problem(name, what, remedy) for name, is_exceeded, what, remedy in checks if is_exceeded]


def was_checked(name: str, findings: Iterable[Finding]) -> bool:
    """Whether a check with these findings could see that the problem `name` is over."""
    code, _, where = name.partition("/")
    where = where.partition(": ")[0]  # of a table: `system: schema.table`
    return not any(
        code in HIDDEN_BY.get(finding.code, ()) and (finding.code == "kafka-away" or finding.where == where)
        for finding in findings
    )
