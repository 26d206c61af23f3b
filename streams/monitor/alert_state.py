"""Keeps in the hub which alerts each sink was sent, for the worker that watches next."""

from __future__ import annotations

import psycopg

from streams.hub.alerts import OpenAlert, add_open_alerts, load_open_alerts, remove_open_alerts
from streams.monitor.alerts import Alert, AlertState, Problem


def load(hub: psycopg.Connection[object]) -> AlertState:
    """All open alerts, whichever worker sent them."""
    state: AlertState = {}
    for row in load_open_alerts(hub):
        state.setdefault(row.sink, {})[row.name] = Alert("firing", Problem(row.name, row.what, row.remedy), row.since)
    return state


def save(hub: psycopg.Connection[object], before: AlertState, after: AlertState) -> None:
    """Write the difference: alerts that were opened since `before`, and those that were closed."""
    old = _by_key(before)
    new = _by_key(after)
    opened = [
        OpenAlert(sink, name, alert.problem.what, alert.problem.remedy, alert.since)
        for (sink, name), alert in new.items()
        if (sink, name) not in old
    ]
    add_open_alerts(hub, opened)
    remove_open_alerts(hub, old.keys() - new.keys())


def with_local(shared: AlertState, local: AlertState, name: str) -> AlertState:
    """The alerts in the hub, with those of the problem `name` as this worker remembers them."""
    merged = {sink: dict(shared.get(sink, {})) for sink in shared.keys() | local.keys()}
    for sink, alerts in local.items():
        if name in alerts:
            merged[sink][name] = alerts[name]
    return merged


def without(state: AlertState, name: str) -> AlertState:
    """The same without the problem `name`."""
    return {sink: {known: alert for known, alert in alerts.items() if known != name} for sink, alerts in state.items()}


def _by_key(state: AlertState) -> dict[tuple[str, str], Alert]:
    return {(sink, name): alert for sink, alerts in state.items() for name, alert in alerts.items()}
