"""What the hub and Kafka say of the walk, held against the thresholds of the settings.

In: figures of one look. Out: a problem for each that is past its threshold. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from streams.capture.finding import Finding
from streams.monitor.alerts import Problem
from streams.settings import Settings

HIDES = {
    "source-away": ("wal-ending", "wal-kept", "heartbeat-old"),
    "connect-away": ("connector-failed", "connector-missing", "connect-deaf"),
    "connector-failed": ("connect-deaf",),
    "connector-silent": ("connect-deaf",),
    "kafka-away": ("hub-went-back", "lag"),
}
"""What nobody can tell to be over while something else is wrong with the same server."""


class Figures(msgspec.Struct, frozen=True):
    """One look at the walk."""

    parked_keys: int = 0
    balances: bool = True
    dead_a_minute: int = 0
    broken: int = 0
    stuck: int = 0
    intents_dead: int = 0
    intents_waiting: int = 0
    intents_undelivered: int = 0


def stuck_limits(settings: Settings) -> dict[str, float]:
    """Stage → seconds that a flow may be in it."""
    return {stage: days * 86_400 for stage, days in settings.stuck_after_days.model_dump().items() if days is not None}


def past(found: Figures, settings: Settings) -> list[Problem]:
    """What is past its threshold."""
    told = (
        (
            "parked-keys",
            found.parked_keys >= settings.alert_parked_keys,
            f"{found.parked_keys:,} keys wait behind a dead letter",
            "`opshub dlq list`",
        ),
        ("accounts", not found.balances, "what was read and what became of it do not balance", "`opshub verify`"),
        (
            "errors",
            found.dead_a_minute >= settings.alert_dead_letters,
            f"{found.dead_a_minute:,} records became dead letters within a minute",
            "`opshub dlq list` says why; a dictionary that does not fit its tables any more is mended and the workers started again",
        ),
        (
            "stuck-flows",
            found.stuck >= settings.alert_stuck_flows,
            f"{found.stuck:,} flows are in their stage for longer than it may take",
            "`opshub flow check` lists them",
        ),
        (
            "invariants",
            found.broken >= settings.alert_broken_invariants,
            f"{found.broken:,} rules of the business do not hold",
            "`opshub flow check` lists them",
        ),
        (
            "intents-dead",
            found.intents_dead >= settings.alert_dead_intents,
            f"{found.intents_dead:,} intents were given up within a day",
            "`opshub approvals list --all` shows them, and why",
        ),
        (
            "intents-waiting",
            found.intents_waiting > 0,
            f"{found.intents_waiting:,} intents have waited for people for more than {settings.alert_approval_hours:g} hours",
            "`opshub approvals list`",
        ),
        (
            "intents-undelivered",
            found.intents_undelivered > 0,
            f"{found.intents_undelivered:,} intents have waited for their target for more than "
            f"{settings.alert_undelivered_minutes:g} minutes",
            "`opshub writeback status`; the workers' log says what the target answers",
        ),
    )
    return [Problem(name, what, remedy) for name, is_past, what, remedy in told if is_past]


def behind_since(
    lags: Mapping[str, int], before: Mapping[str, float], now: float, settings: Settings
) -> dict[str, float]:
    """Lane → since when it has been behind by more than the threshold."""
    return {lane: before.get(lane, now) for lane, lag in lags.items() if lag >= settings.alert_lag_records}


def late(lags: Mapping[str, int], since: Mapping[str, float], now: float, settings: Settings) -> list[Problem]:
    """Lanes that have been behind for too long."""
    return [
        Problem(
            f"lag/{lane}",
            f"{lane} is {lags[lane]:,} records behind, for {(now - began) / 60:.0f} min",
            "see what the workers' /readyz says; start another worker",
        )
        for lane, began in sorted(since.items())
        if now - began >= settings.alert_lag_seconds
    ]


def is_seen(name: str, findings: Iterable[Finding]) -> bool:
    """Whether a look that found these can tell that the problem `name` is over."""
    code, _, where = name.partition("/")
    return not any(
        code in HIDES.get(one.code, ()) and (one.code == "kafka-away" or one.where == where) for one in findings
    )
