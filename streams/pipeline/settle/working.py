"""The working state of one call of `settle`, and the small steps that its modules share.

It is created and dropped within one call. `Working.out` is what the call returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from streams.hub.save import EntityWrite, IdentityLink
from streams.model.change import Change, Position
from streams.model.entities import ENTITIES
from streams.model.kafka_record import KafkaRecord
from streams.model.names import changes_topic
from streams.model.state import NOWHERE, AggregateState, Conflict, EntityState
from streams.pipeline.conflicts import conflicts_to_log
from streams.pipeline.settle.batch import Emit, Fields, Message, SettleBatch, Settled
from streams.resolve.golden import golden
from streams.resolve.rules import Ownership
from streams.writeback.planner import ChangedEntity, IntentPlanner

DOCUMENT_OF = {entity.lines: name for name, entity in ENTITIES.items() if entity.lines}
"""Entity of lines → the entity of the document that they stand in."""


@dataclass(slots=True)
class AggregateWork:
    """One aggregate of the batch."""

    state: AggregateState
    source: KafkaRecord
    """The last Kafka record of the aggregate in this batch."""
    changed: dict[str, None] = field(default_factory=dict)
    """Ids of entities that got news, in order."""
    repeated: dict[str, None] = field(default_factory=dict)
    """Ids of entities whose changes were all known: a worker may have died before it emitted them."""
    causes: dict[str, int] = field(default_factory=dict)
    """system → commit time (µs) of the newest change that people made there."""
    plans: list[ChangedEntity] = field(default_factory=list)
    """Changed entities that write-back has rules for."""
    members_moved: bool = False
    """Whether entities left or joined the aggregate, so that its flow must be joined again."""
    joined: bool = False
    """Whether entities came from another aggregate: what they were before is not known here."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Order lines that documents here name → the aggregates that they live in, as messages of this batch say."""
    refreshed: bool = False
    """Whether a refresh came: the hub knows more than this aggregate settled."""


@dataclass(slots=True)
class Working:
    """One batch while it is settled."""

    batch: SettleBatch
    ownership: Ownership
    planner: IntentPlanner
    out: Settled = field(default_factory=Settled)
    aggregates: list[AggregateWork] = field(default_factory=list)
    known_links: dict[str, IdentityLink] = field(default_factory=dict)
    """`SettleBatch.known_links`, and those of rows that must wait since this batch."""
    unmerged: set[str] = field(default_factory=set)
    """Sources that a person took out of a record, also in this batch."""
    unchecked: set[str] = field(default_factory=set)
    """Entities that somebody other than write-back changed, and whose conflicts were not looked for since."""
    contributions_before: dict[str, dict[str, Fields]] = field(default_factory=dict)
    """entity id → system → fields, as they were before the batch; only of entities that write-back has rules for."""
    golden: dict[str, Fields] = field(default_factory=dict)
    """entity id → its golden record, with references as the sources name them."""
    sources_changed: set[str] = field(default_factory=set)
    """Entities to emit even if no field changed: the set of their sources, their parent or their lines did."""
    bumped: set[str] = field(default_factory=set)
    """Entities whose version this batch raised: a batch raises a version once."""
    entangled: set[str] = field(default_factory=set)


def position_of(change: Change) -> Position:
    return Position(change.epoch, change.major, change.minor)


def resolve(work: Working, state: AggregateState, entity: EntityState) -> tuple[Fields, list[Conflict]]:
    """The golden record and its conflicts as they are now. Those to log are kept, if somebody changed the entity since
    the last look.
    """
    record, conflicts = golden(entity, work.ownership)
    if entity.id in work.unchecked:
        work.unchecked.discard(entity.id)
        for conflict in conflicts_to_log(state, entity, record, conflicts, work.planner):
            work.out.conflicts[conflict.id] = conflict
    return record, conflicts


def check_conflicts_first(work: Working, state: AggregateState, entity: EntityState) -> None:
    """Look for conflicts before the next change of an entity is merged.

    So what is logged does not depend on which changes came in one batch.
    """
    if entity.id in work.unchecked:
        resolve(work, state, entity)


def write(work: Working, aggregate: AggregateWork, entity: EntityState, aggregate_id: str) -> None:
    """Write the row of an entity, which lives in `aggregate_id` from now on."""
    known = work.out.entities.get(entity.id)
    if known is None:
        entity.revision += 1
    elif known.entity is not entity:
        # Another aggregate of this batch has a copy of the same entity, which one of the two moved here.
        work.entangled.add(aggregate.state.id)
        return
    customer_ref: str | None = None
    for contribution in entity.contributions.values():
        if contribution.fields and (customer_ref := contribution.fields.get("customer_id") or None):
            break
    work.out.entities[entity.id] = EntityWrite(entity, aggregate_id, customer_ref)


def emit(work: Working, aggregate: AggregateWork, entity: EntityState) -> None:
    work.out.emits[entity.id] = Emit(aggregate.state, entity, aggregate.source)


def emit_without(work: Working, aggregate: AggregateWork, line: EntityState) -> None:
    """Emit the document that `line` stood in until now."""
    document = aggregate.state.members.get(line.parent or "")
    if document is not None and line.entity in DOCUMENT_OF:
        work.sources_changed.add(document.id)
        aggregate.changed[document.id] = None


def link_id(
    work: Working,
    source: str,
    target: str,
    *,
    same: bool,
    at: Position = NOWHERE,
    waits_for: str | None = None,
    from_source: bool = False,
    left: tuple[str, ...] = (),
) -> None:
    """Record where an id lives from now on, and the position at which its source said so."""
    work.out.links[source] = IdentityLink(source, target, same, at, waits_for, from_source, left)


def send_on(work: Working, kind: str, target: str, change: Change) -> None:
    """Pass a change on to the writer of another aggregate."""
    work.out.counts["sent_on"] += 1
    passed = msgspec.structs.replace(change, hops=change.hops + 1)
    work.out.sent_on.append(Message(changes_topic(kind), target, passed))


def send_refresh(work: Working, state: AggregateState, target: str) -> None:
    """Have the writer of `target` read the entities that moved there."""
    work.out.sent_on.append(Message(changes_topic(state.kind), target, Change("refresh", "", target, target=target)))


def resend_if_in_doubt(work: Working, state: AggregateState, target: str) -> None:
    """Send a refresh again where the worker that moved the entities to `target` may have died before it sent one."""
    if state.id in work.batch.in_doubt:
        send_refresh(work, state, target)
