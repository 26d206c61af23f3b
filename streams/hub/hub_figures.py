"""Counts of what is open in the hub, for metrics. One function for each statement of `sql/hub_figures.sql`."""

from __future__ import annotations

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs


class LabelledCount(msgspec.Struct, frozen=True):
    """How many have these labels."""

    labels: dict[str, str]
    count: int


def unfinished_intents(hub: Hub) -> list[LabelledCount]:
    """Intents that are not delivered, by target and state; also those given up within seven days."""
    return fetch_structs(hub, LabelledCount, "count_unfinished_intents")


def open_conflicts(hub: Hub) -> list[LabelledCount]:
    """Conflicts that stand, by kind and entity."""
    return fetch_structs(hub, LabelledCount, "count_open_conflicts")


def open_dead_letters(hub: Hub) -> list[LabelledCount]:
    """Dead letters and what is parked behind them, by state."""
    return fetch_structs(hub, LabelledCount, "count_open_dead_letters")
