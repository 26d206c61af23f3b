"""Sends alerts: one when a problem starts and one when it ends, to each sink.

In: the problems that exist now, each with a name that stays the same while it lasts. Out: alerts to every sink
(`streams/monitor/sinks.py`). A sink that fails gets at the next check what it missed. What was sent is in `sent`, which
the watcher keeps in the hub (`streams/monitor/alert_state.py`), so that the next watcher repeats nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import httpx
import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong now. `name` identifies it: `<code>` or `<code>/<where>`."""

    name: str
    what: str
    remedy: str = ""


class Alert(msgspec.Struct, frozen=True):
    """A message to people: a problem has started, or has ended."""

    state: Literal["firing", "resolved"]
    problem: Problem
    since: float
    """When the problem started, in seconds since 1970."""


Sink = Callable[[list[Alert]], None]
"""Sends alerts; raises OSError or httpx.HTTPError when they did not arrive."""

AlertState = dict[str, dict[str, Alert]]
"""Sink → name of a problem → the alert that it was sent, until it was sent the end."""


def _everything(_: str) -> bool:
    return True


class AlertSender:
    """Call `send` with all problems at each check."""

    def __init__(self, sinks: Mapping[str, Sink], clock: Callable[[], float] = time.time) -> None:
        self._sinks = sinks
        self._clock = clock
        self.sent: AlertState = {}
        self._since: dict[str, float] = {}
        """Problem → when it was first seen; so that a sink that fails at first gets the right time later."""
        self.failures: dict[str, str] = {}
        """Sink → why it could not be reached at the last try."""

    def send(self, problems: Iterable[Problem], was_checked: Callable[[str], bool] = _everything) -> list[Alert]:
        """Send what has started and what has ended; the alerts that at least one sink took.

        `was_checked(name)`: whether this check could see that a problem is over. If not, the alert stays open.
        """
        present = {problem.name: problem for problem in problems}
        known = {name: alert.since for alerts in self.sent.values() for name, alert in alerts.items()}
        since = {name: known.get(name, self._since.get(name, self._clock())) for name in present}
        delivered: dict[tuple[str, str], Alert] = {}
        for sink, send in self._sinks.items():
            sent = self.sent.setdefault(sink, {})
            alerts = due_alerts(sent, present, since, was_checked)
            if not alerts:
                continue
            try:
                send(alerts)
            except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
                self.failures[sink] = str(error) or type(error).__name__
                continue
            self.failures.pop(sink, None)
            for alert in alerts:
                if alert.state == "firing":
                    sent[alert.problem.name] = alert
                else:
                    del sent[alert.problem.name]
                delivered[alert.problem.name, alert.state] = alert
        self._since = since
        return list(delivered.values())


def due_alerts(
    sent: Mapping[str, Alert],
    present: Mapping[str, Problem],
    since: Mapping[str, float],
    was_checked: Callable[[str], bool],
) -> list[Alert]:
    """What one sink should get: problems that it does not know, then the ends of those that it knows."""
    firing = [Alert("firing", problem, since[name]) for name, problem in present.items() if name not in sent]
    resolved = [
        Alert("resolved", alert.problem, alert.since)
        for name, alert in sent.items()
        if name not in present and was_checked(name)
    ]
    return firing + resolved
