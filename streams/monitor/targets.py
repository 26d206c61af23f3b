"""Targets of write-back that refuse everybody: one problem for each, while it lasts.

In: what deliverers wrote into the hub. Out: problems for the watcher. A short limit on the rate of requests is no
problem: it is over before anybody reads of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from streams.hub.intent_review import TargetAway
from streams.monitor.alerts import Problem

SHORT = timedelta(seconds=30)


def refusing(targets: Iterable[TargetAway], now: datetime) -> list[Problem]:
    """The targets that have refused everybody for longer than `SHORT`, or will."""
    return [
        Problem(
            f"target-refuses/{away.target}",
            f"{away.target} refuses every request, next try at {away.until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: "
            f"{away.problem}",
            "renew the credentials in its writeback.yaml, or lift the limit there; intents wait, and use up no "
            f"attempts; `opshub writeback resume {away.target}` tries at once",
        )
        for away in targets
        if away.refuses and max(now, away.until) - away.since > SHORT
    ]
