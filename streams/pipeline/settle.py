"""The pure half of assemble: a batch of changes over aggregate states → rows, links, conflicts, and records to emit.

States are changed in place; if what comes after fails, the caller throws them away and loads them again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from streams.errors import BadRecord, OpshubError
from streams.flow.order_flow import join
from streams.flow.place import MAX_HOPS, elsewhere, entity_of, live_id, with_descendants
from streams.hub.intents import NewIntent
from streams.model.change import Change, Position
from streams.model.dead_letter import DeadLetter, dead_letter_of
from streams.model.entities import ENTITIES
from streams.model.names import MATCHER, PEOPLE, changes_topic
from streams.model.state import NOWHERE, AggregateState, Conflict, EntityState, Turn
from streams.pipeline.canonical import MERGEABLE, REFERENCES, canonical, flow_record_id
from streams.pipeline.conflicts import Disputes
from streams.pipeline.matching import Claimant
from streams.pipeline.unmerge import part
from streams.resolve.contribution import merge
from streams.resolve.golden import Ownership, golden, is_deleted
from streams.writeback.planner import NO_RULES, ChangedEntity, IntentPlanner, is_echo
from streams.writeback.rule_inputs import contributed_fields

SUMMED = {
    "invoice": ("customer", "customer_id"), "service_request": ("customer", "customer_id"), "inventory_level": ("product", "product_id"),
}  # fmt: skip
"""Entity → the kind of what it is summed up in, and the field that names it."""

SUMMED_IN = frozenset(kind for kind, _ in SUMMED.values())

_LINES_OF = {entity.lines: name for name, entity in ENTITIES.items() if entity.lines}


class Entangled(OpshubError):
    """One batch moves an entity into an aggregate that it changes too: take the aggregates `keys` after the others."""

    def __init__(self, keys: set[str]) -> None:
        super().__init__(f"{len(keys)} aggregates of one batch hand entities to each other")
        self.keys = keys


class Settling:
    """One batch, from changes to what is to be written and emitted. Call apply for each aggregate, then settle."""

    def __init__(self, ownership: Ownership, foreign: dict[str, str], planner: IntentPlanner = NO_RULES) -> None:
        self._planner = planner
        self._causes: dict[str, dict[str, int]] = {}
        self._joined: set[str] = set()
        self._changed: dict[str, list[ChangedEntity]] = {}
        self._said: dict[str, dict[str, dict[str, Any]]] = {}
        self._reread: set[str] = set()
        self._disputes = Disputes(ownership, planner)
        self.intents: list[NewIntent] = []
        self._ownership = ownership
        self._foreign = foreign
        self._dirty: dict[str, tuple[AggregateState, dict[str, None]]] = {}
        self._again: dict[str, tuple[AggregateState, dict[str, None]]] = {}
        self._raw: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, tuple[EntityState, str, str | None]] = {}
        self._emit: dict[str, tuple[AggregateState, EntityState]] = {}
        self._record_of: dict[str, Any] = {}
        self._bumped: set[str] = set()
        self._revised: set[str] = set()
        self._current = ""
        self._entangled: set[str] = set()
        self._resourced: set[str] = set()
        self.echoes: frozenset[tuple[str, str]] = frozenset()
        """(source id, transaction) of changes that write-back made where rows do not tell who wrote them."""
        self.unmerged: set[str] = set()
        """Sources that a person took out of the record that is asked for here."""
        self.doubtful: set[str] = set()
        """Aggregates of which something may be in the hub already, by a worker that told nobody: of a link, a give or a refresh nothing
        else shows that it comes again. What they give rise to is told once more."""
        self.refused: set[str] = set()
        """Aggregates of which a link says that they are another, which is them already: the link is passed over."""
        self.parted: set[str] = set()
        """Records out of which a person took another."""
        self.contested: set[str] = set()
        """Entities of more than one source: of their conflicts only `standing` are left."""
        self.standing: set[str] = set()
        self.repeated: list[Conflict] = []
        """Conflicts of changes that were known already: to be told again, not logged again."""
        self._links: dict[str, dict[str, Any]] = {}
        self.sent_on: list[tuple[str, str, Change]] = []
        self.moved: set[str] = set()
        self.used: set[str] = set()
        self.dead: list[DeadLetter] = []
        self.source_times: list[tuple[int, str]] = []
        self.counts: Counter[str] = Counter()
        self.summed: set[tuple[str, str]] = set()
        """(kind, id) of the customers and products over which something is to be summed again."""

    # -- phase one: what was said

    def apply(self, state: AggregateState, changes: list[tuple[Change, Any]]) -> None:
        """Take the changes sent to one aggregate in turn.

        Disputes are looked at after each word of an entity, so that what is logged does not depend on what came in one batch.
        """
        self._record_of[state.id] = changes[-1][1]
        self._current = state.id
        for change, record in changes:
            if change.hops > MAX_HOPS:
                circle = BadRecord(f"{change.entity} {change.key} of {change.system}: its parents form a circle")
                self.dead.append(dead_letter_of(record, circle))
            elif change.kind == "change":
                self._change(state, change)
            elif change.kind == "link":
                self._link(state, change)
            elif change.kind == "give":
                self._give(state, change)
            else:
                self._refresh(state)
        if state.id in self.doubtful and any(change.kind != "change" for change, _ in changes):
            for member in state.members.values():
                if member.version:
                    self._mark(self._again, state, member.id)

    def _change(self, state: AggregateState, change: Change) -> None:
        target = elsewhere(state, change)
        if target is not None:
            self._send_on(state.kind, target, change)
            return
        if change.id in self.unmerged and change.id != state.id:
            self._send_on(state.kind, change.id, msgspec.structs.replace(change, same_as=None))
            return
        entity_id = entity_of(state, change)
        entity = state.members.get(entity_id)
        if entity is None:
            owner = self._foreign.get(entity_id)
            if owner is not None and owner != state.id:
                # One that names no parent (a delete knows its key only) has no say in where the entity lives.
                asked = (
                    change if change.parent is None else msgspec.structs.replace(change, kind="give", target=state.id)
                )
                self._send_on(state.kind, owner, asked)
                return
            entity = state.members[entity_id] = EntityState(entity_id, change.entity, contributions={}, record={})
        if entity_id != change.id:
            state.sources[change.id] = entity_id
            self._absorb(state, change.id, entity)
        self._merge(state, entity, change)

    def _merge(self, state: AggregateState, entity: EntityState, change: Change) -> None:
        entity_id = entity.id
        self._disputes.look_first(state, entity)
        said = entity.contributions.get(change.id)
        if self._planner.has_rules_for(entity.entity) and entity_id not in self._said:
            self._said[entity_id] = contributed_fields(entity)
        was_deleted = said is not None and said.deleted
        outcome = merge(entity, change)
        self.counts[outcome] += 1
        if outcome == "newer":
            self._note_cause(state, entity, change)
            if said is None or was_deleted != entity.contributions[change.id].deleted:
                self._resourced.add(entity_id)
            if change.parent is not None and (said is None or _at(change) > said.position):
                if entity.parent != change.parent:
                    self._leave(state, entity)
                    self._resourced.add(entity_id)  # it may say nothing new but where it belongs
                entity.parent = change.parent
            self._mark(self._dirty, state, entity_id)
            self.source_times.append((change.source_us, state.id))
        elif outcome == "same":
            self._mark(self._again, state, entity_id)

    def _note_cause(self, state: AggregateState, entity: EntityState, change: Change) -> None:
        """An echo and a snapshot teach, but give rise to nothing."""
        echo = is_echo(change.origin) or (change.id, transaction(change)) in self.echoes
        if echo:
            self.counts["echoes"] += 1
        else:
            self._disputes.said(entity.id)
        live = not echo and change.op != "r" and change.op != "part_read"
        said = entity.contributions[change.id]
        if said.live != live:
            said.live = live
        if live:
            causes = self._causes.setdefault(state.id, {})
            causes[change.system] = max(change.source_us, causes.get(change.system, 0))

    def _absorb(self, state: AggregateState, other_id: str, entity: EntityState) -> None:
        """`other_id` turned out to be `entity`: it becomes another name of it, and what it said is said of `entity`."""
        other = state.members.get(other_id)
        if other is None or other.merged_into is not None:
            return
        other.merged_into = entity.id
        self.contested.add(other_id)  # what was in dispute of it is in dispute of the other, if at all
        self._disputes.look_first(state, other)
        self._disputes.look_first(state, entity)
        self._take_over(state, other, entity)
        self._mark(self._dirty, state, other_id)
        self._mark(self._dirty, state, entity.id)

    def _take_over(self, state: AggregateState, other: EntityState, entity: EntityState) -> None:
        for source, said in other.contributions.items():
            if source not in entity.contributions:
                entity.contributions[source] = said
                state.sources[source] = entity.id
                self._resourced.add(entity.id)
                if said.live:
                    self._disputes.said(entity.id)  # what people said joins, if only an echo brings it

    def _link(self, state: AggregateState, change: Change) -> None:
        target = change.target
        if target == change.id and change.id != state.id:
            self._part(state, change)
            return
        if target is None or target == state.id:
            return
        same = change.same_as is not None
        at = _at(change)
        if NOWHERE < at < state.forward_at:
            return  # ingest stood still for long, and told it after others had told what came later
        if state.forward == target:
            self._doubted(state, target)
            if same and state.id in self.doubtful:
                # Nor what refers to it: once more, the same link changes nothing, and finds them.
                self._lives(state.id, target, same=True, at=state.forward_at)
            return
        if same and (state.id in self.refused or self._links.get(target, {}).get("same")):
            return
        if change.system == PEOPLE and same and state.forward is not None:
            # Somebody merged it meanwhile: what it is by now is merged on.
            self._send_on(state.kind, state.forward, msgspec.structs.replace(change, id=state.forward))
            return
        if change.system != PEOPLE and (state.unmerged or (change.system == MATCHER and state.forward is not None)):
            return
        state.forward, state.unmerged, state.forward_at = target, False, at
        self._lives(state.id, target, same=same, at=at)
        self._move(state, list(state.members.values()), target, same=same)

    def _part(self, state: AggregateState, change: Change) -> None:
        """A link that says that a record lives in its own id takes it out of the one that it was merged into."""
        if state.forward is not None:
            self._send_on(state.kind, state.forward, change)
            return
        for member in state.members.values():
            self._disputes.look_first(state, member)
        parted = part(state, change.id)
        if parted is None:
            self._doubted(state, change.id)
            if change.id in self.unmerged and state.id in self.doubtful:
                self._lives(change.id, change.id, same=True)  # for what refers to it
            return
        stays, between, going = parted
        self.unmerged.add(change.id)
        self.contested.add(stays.id)
        self.parted.add(stays.id)
        self._resourced.add(stays.id)
        self._disputes.said(stays.id)
        for member in (stays, *between):
            self._mark(self._dirty, state, member.id)
        self._lives(change.id, change.id, same=True)
        self._move(state, going, change.id, same=False)

    def _give(self, state: AggregateState, change: Change) -> None:
        target = change.target
        if target is None:
            return
        entity = state.members.get(entity_of(state, change))
        if entity is not None and target != state.id:
            said = entity.contributions.get(change.id)
            if said is not None and said.position >= _at(change) and not (said.deleted and entity.parent is None):
                self._merge(state, entity, change)  # overtaken: it has no say any more in where the entity lives
                return
            self._move(state, with_descendants(state, entity.id), target, same=False)
        elif target != state.id:
            self._doubted(state, target)
        self._send_on(state.kind, target, msgspec.structs.replace(change, kind="change", target=None))

    def _refresh(self, state: AggregateState) -> None:
        self._reread.add(state.id)
        if state.forward is not None and state.members:
            self._move(state, list(state.members.values()), state.forward, same=False)
            return
        if state.forward is not None:
            self._doubted(state, state.forward)
        for member in list(state.members.values()):
            into = member.merged_into
            if into is None and state.kind in MERGEABLE and member.entity == state.kind and member.id != state.id:
                into = state.id
            if into is None:
                continue
            into = live_id(state, into)
            root = state.members.get(into)
            if root is None:
                root = state.members[into] = EntityState(into, member.entity, contributions={}, record={})
            if member.merged_into is None:
                self._absorb(state, member.id, root)
            self._take_over(state, member, root)
        self._mark(self._dirty, state, "")
        self._joined.add(state.id)
        if state.kind in SUMMED_IN and state.forward is None:
            self.summed.add((state.kind, state.id))
        causes = self._causes.setdefault(state.id, {})
        for member in state.members.values():
            for said in member.contributions.values():
                if said.live:
                    causes[said.system] = max(said.source_us, causes.get(said.system, 0))
            if member.contributions:
                self._mark(self._dirty, state, member.id)
                self._disputes.said(member.id)
            if ENTITIES[member.entity].lines is not None:
                self._resourced.add(member.id)  # lines may have come with the refresh

    def _move(self, state: AggregateState, members: list[EntityState], target: str, *, same: bool) -> None:
        """Hand members over: their rows go to `target`, whose writer is told to read them."""
        moved = False
        flow_id = flow_record_id(state)
        for member in members:
            if member.id == flow_id:
                continue
            moved = True
            self._disputes.look_first(state, member)
            if same and member.id == state.id and member.merged_into is None:
                member.merged_into = target
                self.contested.add(member.id)
                if member.version and not member.deleted:
                    member.version += 1
                    self._emit[member.id] = (state, member)
            self._write(member, target)
            del state.members[member.id]
            for dirty in (self._dirty, self._again):
                if state.id in dirty:
                    dirty[state.id][1].pop(member.id, None)
            self._leave(state, member)
        if moved:
            self.moved.update((state.id, target))
            self._mark(self._dirty, state, "")
            self._tell_home(state, target)

    def _lives(self, source: str, target: str, *, same: bool, at: Position = NOWHERE) -> None:
        """Note where an id lives from now on, and where its source said so."""
        self._links[source] = {"source_id": source, "target": target, "same": same, "said_at": at}

    def _tell_home(self, state: AggregateState, target: str) -> None:
        """Have the writer of `target` read what moved there."""
        self.sent_on.append((changes_topic(state.kind), target, Change("refresh", "", target, target=target)))

    def _doubted(self, state: AggregateState, target: str) -> None:
        """What was to move to `target` is gone from here: whoever moved it may not have come to tell it."""
        if state.id in self.doubtful:
            self._tell_home(state, target)

    def _leave(self, state: AggregateState, line: EntityState) -> None:
        """The document of which it was a line until now is told without it."""
        document = state.members.get(line.parent or "")
        if document is not None and line.entity in _LINES_OF:
            self._resourced.add(document.id)
            self._mark(self._dirty, state, document.id)

    def _send_on(self, kind: str, target: str, change: Change) -> None:
        self.counts["sent_on"] += 1
        self.sent_on.append((changes_topic(kind), target, msgspec.structs.replace(change, hops=change.hops + 1)))

    def _mark(
        self, marks: dict[str, tuple[AggregateState, dict[str, None]]], state: AggregateState, entity_id: str
    ) -> None:
        marks.setdefault(state.id, (state, {}))[1][entity_id] = None

    # -- phase two: what it means

    def references(self) -> set[str]:
        """Source ids that the dirty entities refer to, to be looked up before `settle`."""
        for state, ids in self._dirty.values():
            for entity_id in ids:
                member = state.members.get(entity_id)
                if member is None or member.merged_into is not None:
                    continue
                if len(member.contributions) > 1:
                    raw, conflicts = self._disputes.look(state, member)
                    self.contested.add(entity_id)
                    self.standing.update(conflict.id for conflict in conflicts)
                else:
                    raw, _ = golden(member, self._ownership)
                self._raw[entity_id] = raw
                for field in REFERENCES[member.entity]:
                    value = raw.get(field)
                    if value:
                        self.used.add(value)
        return self.used

    @property
    def conflicts(self) -> list[Conflict]:
        """What was in dispute at any time in this batch."""
        return list(self._disputes.logged.values())

    @property
    def turns(self) -> list[Turn]:
        """What write-back is to write over that people said."""
        return self._disputes.turns

    def settle(self, same: Callable[[str], str]) -> None:
        """Compute records, versions and joins of all dirty aggregates. `same` tells which entity a source id is."""
        for state, ids in self._dirty.values():
            self._current = state.id
            for entity_id in ids:
                member = state.members.get(entity_id)
                if member is not None and member.contributions:
                    self._entity(state, member, same)
            if state.kind == "order_flow":
                self._flow(state)
            changed = self._changed.get(state.id)
            if changed is not None:
                joined = state.id in self._joined
                causes = self._causes.get(state.id, {})
                intents = self._planner.plan(state, changed, causes, joined)
                self.intents += intents
                if PEOPLE not in causes:
                    self._disputes.note_turns(state, intents)
        for state, ids in self._again.values():
            self._current = state.id
            for entity_id in ids:
                member = state.members.get(entity_id)
                if member is not None:
                    self._tell(state, member)
                    self._tell_its_kind(state, member)
                    if member.entity in SUMMED:
                        # A crash may have come before it was marked.
                        kind, field = SUMMED[member.entity]
                        if member.record.get(field):
                            self.summed.add((kind, member.record[field]))
                    if len(member.contributions) > 1 and member.merged_into is None:
                        self.repeated += self._disputes.standing(state, member)
            flow = state.members.get(flow_record_id(state))
            if flow is not None:
                self._emit[flow.id] = (state, flow)
        if self._entangled:
            raise Entangled(self._entangled)

    def _entity(self, state: AggregateState, member: EntityState, same: Callable[[str], str]) -> None:
        if member.merged_into is not None:
            if member.version and not member.deleted:
                member.version += 1
                member.deleted = True
                self._emit[member.id] = (state, member)
            self._write(member, state.id)
            return
        raw = self._raw[member.id]
        deleted = is_deleted(member, self._ownership)
        record = member.record
        if not deleted:
            record = raw
            for field in REFERENCES[member.entity]:
                value = raw.get(field)
                if value:
                    target = same(value)
                    if target != value:
                        record = dict(record)
                        record[field] = target
        changed = deleted != member.deleted or record != member.record or member.version == 0
        if changed or member.id in self._said:
            self._note_changed(state, member)
        if changed and member.entity in SUMMED:
            kind, field = SUMMED[member.entity]
            self.summed.update((kind, ref) for ref in (member.record.get(field), record.get(field)) if ref)
        elif member.version == 0 and member.entity in SUMMED_IN:
            self.summed.add((member.entity, member.id))  # what it is summed of may have come before it
        if changed or (member.id in self._resourced and not deleted):
            member.record = record
            member.deleted = deleted
            if member.version or not deleted:
                # Not that of what a split took away.
                member.updated_us = max(said.source_us for said in member.contributions.values())
                if member.id not in self._bumped:
                    self._bumped.add(member.id)
                    member.version += 1
                self._tell(state, member, changed=True)
        self._write(member, state.id)

    def _note_changed(self, state: AggregateState, member: EntityState) -> None:
        if self._planner.has_rules_for(member.entity):
            before = member.record if member.version and not member.deleted else None
            said = self._said.get(member.id)
            self._changed.setdefault(state.id, []).append(
                ChangedEntity(member, before, contributed_fields(member) if said is None else said)
            )

    def _tell(self, state: AggregateState, member: EntityState, *, changed: bool = False) -> None:
        """Emit the member, or the document of which it is a line."""
        document = member
        if member.entity in _LINES_OF:
            parent = state.members.get(member.parent or "")
            if parent is None or parent.version == 0:
                return
            document = parent
            if changed:
                if document.id not in self._bumped:
                    self._bumped.add(document.id)
                    document.version += 1
                    self._write(document, state.id)
        self._emit[document.id] = (state, document)

    def _tell_its_kind(self, state: AggregateState, line: EntityState) -> None:
        """A change of a line that is known already may have taken it out of any document that is here."""
        kind = _LINES_OF.get(line.entity)
        for document in state.members.values() if kind is not None else ():
            if document.entity == kind:
                self._emit[document.id] = (state, document)

    def _flow(self, state: AggregateState) -> None:
        flow_id = flow_record_id(state)
        flow = state.members.get(flow_id)
        joined = join(state.members.values())
        if joined is None and flow is None:
            return
        if flow is None:
            flow = state.members[flow_id] = EntityState(flow_id, "order_flow", contributions={}, record={})
        deleted = joined is None
        record = flow.record if joined is None else joined
        if deleted == flow.deleted and record == flow.record and flow.version:
            return
        self._note_changed(state, flow)
        flow.record, flow.deleted = record, deleted
        flow.version += 1
        flow.updated_us = max((member.updated_us for member in state.members.values()), default=flow.updated_us)
        self._write(flow, state.id)
        self._emit[flow_id] = (state, flow)

    def _write(self, member: EntityState, aggregate_id: str) -> None:
        known = self._rows.get(member.id)
        if known is not None and known[0] is not member:
            self._entangled.add(self._current)
            return
        if member.id not in self._revised:
            self._revised.add(member.id)
            member.revision += 1
        said = (fields.get("customer_id") for c in member.contributions.values() if (fields := c.fields))
        self._rows[member.id] = (member, aggregate_id, next((ref for ref in said if ref), None))

    # -- what comes out

    def rows(self) -> list[tuple[EntityState, str, str | None]]:
        """Entities to write, each with its aggregate and the customer that it refers to."""
        return list(self._rows.values())

    @property
    def links(self) -> list[dict[str, Any]]:
        """Where ids live from now on, each id once: of several links of one in a batch the last counts, as if each had been by itself."""
        return list(self._links.values())

    def claimants(self) -> Iterator[Claimant]:
        """Master records that were settled: they may carry the match keys of others."""
        for marks, again in ((self._dirty, False), (self._again, True)):
            for state, ids in marks.values():
                if state.kind in MERGEABLE:
                    for entity_id in ids:
                        member = state.members.get(entity_id)
                        if member is not None and member.entity == state.kind and member.contributions:
                            yield Claimant(member, state.id, again or state.id in self._reread)

    def emitted(self) -> Iterator[tuple[str, str, int, dict[str, Any] | None, Any]]:
        """(entity, id, version, canonical record or None for a tombstone, a Kafka record to blame) of each record to emit."""
        for state, member in self._emit.values():
            if not member.version or ENTITIES[member.entity].topic is None:
                continue
            record = None if member.deleted or member.merged_into is not None else canonical(state, member)
            yield member.entity, member.id, member.version, record, self._record_of.get(state.id)


def _at(change: Change) -> Position:
    return Position(change.epoch, change.major, change.minor)


def transaction(change: Change) -> str:
    """The transaction of its source in which it was made; its position where the source tells of none."""
    return change.tx or f"{change.epoch}/{change.major}/{change.minor}"
