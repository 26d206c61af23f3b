"""The hub and the pipeline in memory: test your ownership rules, write-back rules and dictionaries without servers.

    pipeline = MemoryPipeline(load_ownership(Path("connectors/ownership.yaml")))
    ada = source_id("crm", "customer", "1")
    pipeline.send_change(Change("change", "customer", ada, "crm", "1", fields={"name": "Ada Ltd"}))
    pipeline.run()
    pipeline.records["customer", ada]     # (version, canonical record)
    pipeline.hub.conflicts, pipeline.hub.intents

`MemoryHub` offers what `streams.pipeline.commit.Hub` asks for, and refuses what the hub refuses: stale rows, circles of
links, references that were linked meanwhile. `MemoryPipeline` runs the loop that `Assemble` runs, without Kafka: one
queue for each aggregate, served in any order. Match keys, fencing tokens and echoes over HTTP need the hub's SQL and
are left out; tests on a real hub cover them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from streams.errors import OpshubError
from streams.hub.save import (
    Answers,
    DueTime,
    EntityId,
    IdentityLink,
    Referring,
    SameLink,
    Saved,
    SaveRequest,
    raise_if_refused,
)
from streams.hub.store import OrderLineElsewhere, add_member
from streams.model.change import Change
from streams.model.dead_letter import DeadLetter
from streams.model.entities import ENTITIES
from streams.model.intent import NewIntent
from streams.model.names import aggregate_of_topic, changes_topic
from streams.model.state import AggregateState, Conflict, EntityState, Turn
from streams.pipeline.aggregate_cache import AggregateCache
from streams.pipeline.commit import BatchCommitter, Incoming
from streams.pipeline.refreshes import refreshes
from streams.pipeline.settle.batch import Fields, Group
from streams.pipeline.settle.emitted import records_to_emit
from streams.resolve.rules import Ownership
from streams.writeback.planner import NO_RULES, IntentPlanner

T = TypeVar("T")


class EntityInHub(NamedTuple):
    entity: EntityState
    aggregate_id: str
    customer_ref: str | None


class MemoryHub:
    """What the hub holds, by id. Nothing that is read or written is shared with the caller."""

    def __init__(self) -> None:
        self.entities: dict[str, EntityInHub] = {}
        self.links: dict[str, IdentityLink] = {}
        """source id → where it lives."""
        self.conflicts: dict[str, Conflict] = {}
        """Conflicts that are not over, by id."""
        self.intents: list[NewIntent] = []
        self.turns: list[Turn] = []
        self.dead_letters: list[DeadLetter] = []
        self.due: list[DueTime] = []
        self._generations: dict[str, int] = {}
        """source id → the generation of its link, if that makes it the same as another record."""

    async def load(self, kinds: Mapping[str, str]) -> dict[str, AggregateState]:
        """These aggregates, id → kind; an aggregate that is not known is empty."""
        states = {key: AggregateState(key, kind, members={}, sources={}) for key, kind in kinds.items()}
        for key, state in states.items():
            link = self.links.get(key)
            if link is not None:
                state.left = link.left
            if link is not None and link.waits_for is not None:
                state.waits_for, state.waits_since = link.waits_for, link.linked_at
            elif link is not None and link.target == key:
                state.unmerged = True
            elif link is not None:
                state.forward, state.forward_at = link.target, link.linked_at
        for stored in self.entities.values():
            if stored.aggregate_id in states:
                add_member(states[stored.aggregate_id], copy.deepcopy(stored.entity))
        return states

    async def save(self, request: SaveRequest) -> Saved:
        """Write one batch, or nothing. Raises Circle, NewlySame and Stale as the hub does."""
        answers = self._answers(request)
        raise_if_refused(request, answers)
        for write in request.entities:
            self.entities[write.entity.id] = EntityInHub(copy.deepcopy(write.entity), *write[1:])
        for link in request.links:
            known = self.links.get(link.source_id)
            if known is not None and link.waits_for and known.linked_at > link.linked_at:
                continue
            self.links[link.source_id] = link
            self._generations.pop(link.source_id, None)
            if link.same:
                self._generations[link.source_id] = 1 + max(self._generations.values(), default=0)
        logged = self._log(request.conflicts)
        for entity_id in request.contested:
            over = [id_ for id_, conflict in self.conflicts.items() if conflict.entity_id == entity_id]
            for conflict_id in over:
                if conflict_id not in request.standing and self._may_end(conflict_id):
                    del self.conflicts[conflict_id]
        for conflict in list(self.conflicts.values()):
            is_unclaimed = conflict.kind == "reference" and conflict.entity_id in request.unclaimed
            if is_unclaimed and conflict.id not in request.standing:
                del self.conflicts[conflict.id]
        self.intents += request.intents
        self.turns += request.turns
        self.dead_letters += request.dead_letters
        self.due += request.due
        referring = self._referring({link.source_id for link in request.links if link.same})
        referring += [
            Referring(link.source_id, link.source_id, gone.entity)
            for gone in request.released
            for link in self.links.values()
            if link.waits_for == gone.id != link.source_id
        ]
        return Saved(
            answers.all("same_since"), referring, logged, [[] for claims in request.claims if claims.wanted], []
        )

    async def homes(self, ids: Sequence[str]) -> dict[str, str]:
        """entity id → the aggregate in which it lives."""
        return {key: self.entities[key].aggregate_id for key in ids if key in self.entities}

    async def order_lines_elsewhere(
        self, named: Collection[tuple[str, str]], new: Collection[str]
    ) -> list[OrderLineElsewhere]:
        """Which order lines live in another aggregate than the lines of documents that name them."""
        answers = []
        for home, order_line in sorted(named):
            line = self.entities.get(order_line)
            if line is not None and line.entity.version and line.aggregate_id != home:
                answers.append(OrderLineElsewhere(home, order_line, line.aggregate_id))
        for home, order_line in sorted(
            {(naming.aggregate_id, order_line) for naming in self.entities.values()
             if (order_line := str(naming.entity.record.get("order_line_id"))) in new and not naming.entity.deleted}
        ):  # fmt: skip
            line = self.entities[order_line]
            if line.aggregate_id != home:
                answers.append(OrderLineElsewhere(home, order_line, line.aggregate_id))
        return answers

    async def known_links(self, ids: Sequence[str]) -> dict[str, IdentityLink]:
        """Where these records were linked to, of those that were."""
        return {key: self.links[key] for key in ids if key in self.links}

    async def claim_echoes(self, changes: bytes, skew_us: int) -> set[tuple[str, str]]:
        """None: this hub requests nothing over HTTP."""
        return set()

    async def add_dead_letter(self, dead_letter: DeadLetter) -> None:
        self.dead_letters.append(dead_letter)

    async def mark_due(self, due: Sequence[DueTime]) -> None:
        self.due += due

    async def rows(self, name: str, *parameters: Any) -> list[Any]:
        """The statements that `Sameness` runs."""
        if name == "generation":
            return [(max(self._generations.values(), default=0),)]
        if name == "same":
            steps = {step for source in parameters[0] for step in self._chain(source)}
            return [(step, self.links[step].target) for step in steps if self._is_same(step)]
        raise NotImplementedError(f"the statement {name}")

    def same(self, source: str) -> str:
        """The record that a source id is."""
        return self._chain(source)[-1]

    def _is_same(self, source: str) -> bool:
        return source in self.links and self.links[source].same

    def _chain(self, source: str) -> list[str]:
        chain = [source]
        while self._is_same(chain[-1]) and (target := self.links[chain[-1]].target) not in chain:
            chain.append(target)
        return chain

    def _answers(self, request: SaveRequest) -> Answers:
        """What the hub's statements would return, of those that can refuse a batch."""
        answers = Answers()
        news = {source: at for source, at in self._generations.items() if at > request.same_known}
        newest = [SameLink(source, self.links[source].target, at) for source, at in news.items()]
        answers.add("same_since", sorted(newest, key=lambda link: link.generation))
        closing = [
            EntityId(link.source_id)
            for link in request.links
            if link.same
            and link.source_id != link.target
            and (self.same(link.target) == link.source_id or self._comes_too_late(link))
        ]
        answers.add("circles", closing)
        written = [EntityId(write.entity.id) for write in request.entities if self._is_current(write.entity)]
        answers.add("upsert_entities", written)
        return answers

    def _comes_too_late(self, link: IdentityLink) -> bool:
        """Whether a source's link is of a record that a person took out of another meanwhile, or that waits since."""
        known = self.links.get(link.source_id)
        if known is None or known.target != known.source_id or not link.from_source:
            return False
        return known.waits_for is None or known.linked_at >= link.linked_at

    def _may_end(self, conflict_id: str) -> bool:
        """Whether a conflict ends when its entity is settled without it."""
        conflict = self.conflicts[conflict_id]
        return conflict.kind != "reference" or self.entities[conflict.entity_id].entity.merged_into is not None

    def _is_current(self, entity: EntityState) -> bool:
        """Whether the entity was read as it is, so that it may be written."""
        stored = self.entities.get(entity.id)
        return stored is None or stored.entity.revision == entity.revision - 1

    def _log(self, conflicts: Sequence[Conflict]) -> dict[str, str]:
        """Conflicts that are new, or differ from what was logged: id → outcome."""
        logged = {}
        for conflict in conflicts:
            if self.conflicts.get(conflict.id) != conflict:
                self.conflicts[conflict.id] = conflict
                logged[conflict.id] = conflict.outcome
        return logged

    def _referring(self, linked: set[str]) -> list[Referring]:
        """Aggregates with an entity that refers to a linked customer, or to one that was linked to it before."""
        if not linked:
            return []
        return [
            Referring(stored.aggregate_id, stored.customer_ref, stored.entity.entity)
            for stored in self.entities.values()
            if stored.customer_ref is not None and not linked.isdisjoint(self._chain(stored.customer_ref))
        ]


class MemoryRecord(NamedTuple):
    """A change as Kafka would hand it over; the change itself stands for its bytes."""

    kind: str
    aggregate: str
    change: Change

    def topic(self) -> str:
        return changes_topic(self.kind)

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0

    def key(self) -> bytes:
        return self.aggregate.encode()

    def value(self) -> bytes:
        return repr(self.change).encode()

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


class MemoryPipeline:
    """Ingest's routing without its caches, the settling of every aggregate, and what is emitted."""

    def __init__(self, ownership: Ownership | None = None, planner: IntentPlanner = NO_RULES) -> None:
        self.hub = MemoryHub()
        self.queues: dict[str, list[tuple[str, Change]]] = {}
        """aggregate id → (kind, change) of what waits for its writer."""
        self.records: dict[tuple[str, str], tuple[int, Fields | None]] = {}
        """(entity, id) → (version, canonical record or None for a tombstone), as a compacted topic holds it."""
        self.reversions: list[str] = []
        """Records that were emitted with an older version, or with another content under the same version."""
        self.dead_letters: list[DeadLetter] = []
        self._ownership = Ownership() if ownership is None else ownership
        self._planner = planner
        self._crashed = False

    def send(self, topic: str, aggregate: str, change: Change) -> None:
        """Put a message into the queue of an aggregate."""
        self.queues.setdefault(aggregate, []).append((aggregate_of_topic(topic), change))

    def send_change(self, change: Change) -> None:
        """Send a change as ingest does with an empty cache: to its parent, or to itself."""
        home = (change.same_as or change.parent) if change.parent else change.id
        topic = changes_topic(ENTITIES[change.entity].aggregate)
        self.send(topic, home, change)
        if home != change.id:
            link = Change(
                "link", change.entity, change.id, change.system, change.key, "u",
                change.epoch, change.major, change.minor, same_as=change.same_as, target=home,
            )  # fmt: skip
            self.send(topic, change.id, link)

    def run(self, limit: int = 10_000) -> None:
        """Serve all queues until nothing waits. Raises OpshubError if that takes more than `limit` batches."""
        for _ in range(limit):
            if not self.queues:
                return
            self.serve(min(self.queues))
        raise OpshubError(f"{len(self.queues)} aggregates still send each other messages after {limit} batches")

    def serve(self, aggregate: str, count: int = 1, *, crash: bool = False) -> None:
        """Let a worker with empty caches settle at most `count` messages of one aggregate.

        `crash`: it dies after the hub's commit and before it emits, so that the messages come again.
        """
        queue = self.queues[aggregate]
        taken = queue[:count]
        if not crash:
            self.queues[aggregate] = queue[count:]
            if not self.queues[aggregate]:
                del self.queues[aggregate]
        group: Group = (taken[0][0], [(change, MemoryRecord(kind, aggregate, change)) for kind, change in taken])
        worker = BatchCommitter(self.hub, self._ownership, self._planner, AggregateCache(0))
        in_doubt = {aggregate} if self._crashed else set()
        results = run_now(worker.commit(Incoming({aggregate: group}, in_doubt)))
        if crash:
            self._crashed = True
            return
        for result in results:
            if isinstance(result, DeadLetter):
                self.dead_letters.append(result)
                continue
            self.dead_letters += result.dead_letters
            for message in (*result.sent_on, *refreshes(result.saved.referring)):
                self.send(*message)
            for entity, entity_id, version, record, _ in records_to_emit(result.settled):
                self._emit(entity, entity_id, version, record)

    def _emit(self, entity: str, entity_id: str, version: int, record: Fields | None) -> None:
        known = self.records.get((entity, entity_id))
        if known is not None and (version < known[0] or (version == known[0] and record != known[1])):
            self.reversions.append(f"{entity} {entity_id}: {known} then {(version, record)}")
        self.records[entity, entity_id] = (version, record)


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise OpshubError("a memory hub waits for nothing")
