"""What becomes of raw records: of one by itself, and of a whole batch. Values only; `ingest` and `parking` make
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.hub.accounts import MappingNoteTally, OutcomeKind
from streams.hub.ingest_checkpoint import CheckpointData, Sweep
from streams.kafka.control import Control
from streams.model.change import Position

Key = tuple[str, bytes]
"""(raw topic, key of the Kafka record)."""


class EmittedChange(NamedTuple):
    """One encoded change, with what routing needs to know of it.

    The source row is not kept: the rows of a batch take many times the memory of its encoded changes.
    """

    entity: str
    id: str
    parent: str | None
    same_as: str | None
    deleted: bool
    value: bytes
    """The change, as a message to assemble."""
    key: str
    system: str
    position: Position
    source_us: int


class RecordOutcome(NamedTuple):
    """What became of one record by itself."""

    kind: OutcomeKind
    changes: Sequence[EmittedChange] = ()
    error: Exception | None = None
    control: Control | None = None
    notes: Sequence[MappingNoteTally] = ()
    sweep: Sweep | None = None
    """For a table that was truncated."""


class BatchOutcome(CheckpointData):
    """What became of a batch: what the hub keeps of it, and what is emitted and remembered."""

    changes: list[EmittedChange] = msgspec.field(default_factory=list)
    parked_from: dict[Key, int | None] = msgspec.field(default_factory=dict)
    """Keys whose state changed: the offset of the first open record, or None once nothing is parked."""
    links: dict[str, str] = msgspec.field(default_factory=dict)
    """Record → the aggregate in which it lives, as a link of this batch says."""
