"""What needs a person, with the names of whom it concerns: a class for each row, a function for each statement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg

from streams.hub.statements import fetch_structs

LOOKED_AT = 200
"""Rows that are looked at of each kind. Who has more needs the inbox, not the overview."""


class IntentNeed(msgspec.Struct, frozen=True):
    """A write-back that waits for people, or was given up. `amount` is unscaled."""

    reason: str
    target: str
    since: datetime
    id: int
    number: str | None
    name: str | None
    amount: int | None
    currency: str | None


class ConflictNeed(msgspec.Struct, frozen=True):
    """A conflict that waits for people."""

    kind: str
    entity: str
    field: str
    rule: str
    since: datetime
    number: str | None
    name: str | None


class DeadLetterNeed(msgspec.Struct, frozen=True):
    """Records of one topic that failed for one reason."""

    topic: str
    reason: str
    records: int
    since: datetime


def approvals_needed(hub: psycopg.Connection[Any]) -> list[IntentNeed]:
    return fetch_structs(hub, IntentNeed, "approvals_needed", {"most": LOOKED_AT})


def write_backs_refused(hub: psycopg.Connection[Any]) -> list[IntentNeed]:
    return fetch_structs(hub, IntentNeed, "write_backs_refused", {"most": LOOKED_AT})


def conflicts_needed(hub: psycopg.Connection[Any]) -> list[ConflictNeed]:
    return fetch_structs(hub, ConflictNeed, "conflicts_needed", {"most": LOOKED_AT})


def dead_letters_needed(hub: psycopg.Connection[Any]) -> list[DeadLetterNeed]:
    return fetch_structs(hub, DeadLetterNeed, "dead_letters_needed", {"most": LOOKED_AT})
