"""Names that come from the model, not from a template: pages show them translated, so the catalogs must have them.

A page writes `_(stage|words)` or `_(field|words)`; the words of every such name are collected here.
"""

from __future__ import annotations

from typing import get_args

from streams.console.alert_texts import alert_texts
from streams.console.people import ROLES, Permission
from streams.console.tours import tour_texts
from streams.flow.case_waiting import CaseWait
from streams.flow.timeline import EVENTS
from streams.hub.flow_lists import STAGES
from streams.hub.intents import State as IntentState
from streams.model.dead_letter import OPEN, SettledState
from streams.model.entities import ENTITIES, HEADER
from streams.resolve.rules import FieldPolicy
from streams.training.exercises import EXERCISES

OTHERS = (
    # Themes
    "auto", "light", "dark",
    # Units of durations
    "s", "min", "h", "d",
    # Outcomes and kinds of conflicts and matches
    "open", "settled", "resolved", "differs", "match", "unmerged", "merged", "flip flop",
    # Systems of the demo
    "demo-crm", "demo-erp", "prospect",
    # Modes of write-back rules
    "live", "off", "shadow",
    # Parts of an installation
    "written back", "capture", "hub", "kafka", "connect", "registry", "worker", "workers", "write-back", "source",
    "topic", "table",
)  # fmt: skip
"""Names that no type of the code lists."""

MESSAGES = (
    # Why the hub gives nothing (place.py), and what to do about servers that are away (live_reading.py).
    "the hub does not answer", "`opshub status` shows the servers", "the hub has no tables for this yet",
    "the hub took too long for this", "ask for less, or try again", "load the page again: it is asked on",
    "`opshub status` shows the servers; workers go on by themselves when it is back",
    "`opshub status` shows the servers; nothing is lost, it reads on from its slots",
    # What is wrong with a table or a source (table_status.py, capture/progress.py), where it has no figure in it.
    "it has no raw topic: nothing of it can come", "it is paused: its records wait in order",
    "Kafka does not answer: what waits is not known", "it is not captured: `opshub apply` registers its connector",
    "no record of its tables has come: they are empty, or `opshub doctor` says why",
)  # fmt: skip
"""Messages of the code that pages show as they are."""


def model_names() -> list[str]:
    """Every name of the model that a page may show, as words, in alphabetical order."""
    names = {*STAGES, *ROLES, *get_args(Permission), *get_args(IntentState), *OPEN, *get_args(SettledState), *OTHERS}
    names |= {*get_args(CaseWait), *EVENTS, *get_args(FieldPolicy), *HEADER, "lines", "timeline", "at", "what"}
    for entity in ENTITIES.values():
        names.add(entity.name)
        for name, field in entity.fields.items():
            names |= {name, *field.values}
    tasks = {exercise.task for exercise in EXERCISES.values()}
    return sorted({name.replace("_", " ") for name in names} | {*MESSAGES} | tasks | tour_texts() | alert_texts())
