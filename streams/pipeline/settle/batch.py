"""What goes into the settling of one batch, and what comes out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from streams.hub.save import EntityName, EntityWrite, IdentityLink
from streams.model.change import Change
from streams.model.intent import NewIntent
from streams.model.kafka_record import KafkaRecord
from streams.model.state import AggregateState, Conflict, EntityState, Turn
from streams.pipeline.matching import Claimant

Group = tuple[str, list[tuple[Change, KafkaRecord]]]
"""(kind of the aggregate, its changes in order, each with the Kafka record that brought it)."""


class SettleBatch(msgspec.Struct, frozen=True):
    """The changes of one batch by aggregate, and what the hub knows about them."""

    groups: Mapping[str, Group]
    """aggregate id → its changes."""
    homes: Mapping[str, str] = {}
    """entity id → the aggregate in which the hub has it, for entities that a former attempt expected elsewhere."""
    echoes: Collection[tuple[str, str]] = frozenset()
    """(source id, transaction) of changes that write-back made, where the rows themselves do not say who wrote them."""
    known_links: Mapping[str, IdentityLink] = {}
    """Source ids that are new to the record that this batch names for them → their link in the hub."""
    in_doubt: Collection[str] = frozenset()
    """Aggregates whose last batch may be committed in the hub but was never emitted (the worker died in between).

    A link, a give or a refresh leaves no trace that shows it came before. So what these cause is emitted once more.
    """
    refused_links: Collection[str] = frozenset()
    """Source ids whose link would close a circle, as the hub found: such a link is ignored."""


class Message(NamedTuple):
    """A change for the writer of another aggregate."""

    topic: str
    key: str
    change: Change


class Emit(NamedTuple):
    """One entity whose canonical record is emitted, and the Kafka record to blame if it cannot be encoded."""

    state: AggregateState
    entity: EntityState
    source: KafkaRecord


class CircularChange(NamedTuple):
    """A change that was sent on too often: its parents form a circle."""

    change: Change
    source: KafkaRecord


class Settled(msgspec.Struct, frozen=True):
    """All that one batch leads to. Its containers are filled while the batch is settled, and never changed
    afterwards.
    """

    entities: dict[str, EntityWrite] = {}
    """entity id → the row to write, with the revision that it will have."""
    links: dict[str, IdentityLink] = {}
    """source id → where it lives from now on. Of several links of one id in a batch the last counts."""
    conflicts: dict[str, Conflict] = {}
    """Conflict id → what was in conflict at any time within this batch."""
    repeated_conflicts: list[Conflict] = []
    """Conflicts of changes that were known already: they are emitted again, but not logged again."""
    contested: set[str] = set()
    """Entities of more than one source. Of their logged conflicts only `standing` remain open."""
    standing: set[str] = set()
    """Ids of the conflicts that exist after this batch."""
    unclaimed: set[str] = set()
    """Entities that name no other record any more, or another than before."""
    released: set[EntityName] = set()
    """Names of entities that lost a source: others may wait to be them."""
    turns: list[Turn] = []
    intents: list[NewIntent] = []
    claimants: list[Claimant] = []
    """Master records that may carry the match keys of others."""
    split_records: set[str] = set()
    """Records that a person took another record out of."""
    emits: dict[str, Emit] = {}
    sent_on: list[Message] = []
    moved: set[str] = set()
    """Aggregates that gave or got entities: caches must drop them."""
    references: set[str] = set()
    """Source ids that the changed records refer to."""
    asked_order_lines: set[tuple[str, str]] = set()
    """(aggregate, order line) where lines of documents name an order line that the aggregate does not know: the hub is
    asked where it lives."""
    new_order_lines: set[str] = set()
    """Order lines that documents of other aggregates may have named before."""
    circular: list[CircularChange] = []
    sums_due: set[tuple[str, str]] = set()
    """(kind, id) of the customers and products whose sums must be computed again."""
    source_times: list[tuple[int, str]] = []
    """(commit time at the source in µs, aggregate id) of each change that was news."""
    counts: Counter[str] = msgspec.field(default_factory=Counter)


class Entangled(msgspec.Struct, frozen=True):
    """The batch moves an entity into an aggregate that it also changes: settle the aggregates `keys` after the
    others.
    """

    keys: frozenset[str]


def transaction_of(change: Change) -> str:
    """The source transaction that made a change; its position where the source names no transaction."""
    return change.tx or f"{change.epoch}/{change.major}/{change.minor}"


Fields = dict[str, Any]
"""Canonical field → value; see streams/model/change.py."""
