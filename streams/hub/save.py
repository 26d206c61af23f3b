"""One hub transaction of assemble as data: what to write, the statements that write it, and how their answers are
judged. Pure.

SaveRequest → statements_of → (HubStore.save executes) → Answers → raise_if_refused → Saved
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.errors import Fenced, OpshubError
from streams.hub.dead_letters import dead_letter_row
from streams.hub.entity_rows import stored_entity
from streams.hub.shared_keys import Carrier, SharedKey
from streams.hub.statements import columns
from streams.model.change import Position
from streams.model.dead_letter import DeadLetter
from streams.model.intent import NewIntent
from streams.model.partition import Partition
from streams.model.state import Conflict, EntityState, Turn

ENTITIES_PER_STATEMENT = 500
"""The hub works on one statement while the JSON of the next is made."""

REFRESHES_AT_ONCE = 1000
"""Aggregates that one batch refreshes itself after it linked records. The others wait in `refresh_due`; see
pipeline/refreshes.py.
"""

_encode = msgspec.json.Encoder().encode


# What to write


class EntityWrite(NamedTuple):
    """An entity with its new revision, the aggregate that it lives in, and the source id of the customer that it refers
    to.
    """

    entity: EntityState
    aggregate_id: str
    customer_ref: str | None


class IdentityLink(msgspec.Struct, frozen=True):
    """Where an id lives from now on; `same`: it is another name of `target`. `linked_at` is the source position that
    said so.
    """

    source_id: str
    target: str
    same: bool
    linked_at: Position
    waits_for: str | None = None
    """See `AggregateState.waits_for`; then `target` is the id itself."""
    from_source: bool = False
    """A row said so: it counts less than what a person decided, or the writer of the record that the row names."""
    left: tuple[str, ...] = ()
    """See `AggregateState.left`."""


class KeyClaim(msgspec.Struct, frozen=True):
    """One match key that one record claims. `parts`: source ids that the record is known to consist of."""

    entity: str
    key: str
    holder: str
    rank: int
    systems: list[str]
    guard: str | None
    parts: list[str]


class OwnKey(msgspec.Struct, frozen=True):
    """One match key that a record has; `reclaims`: the record releases it first and then claims it again."""

    holder: str
    key: str
    reclaims: bool


class Claims(msgspec.Struct, frozen=True):
    """Match keys of records of a batch: `holders` are the ids of all these records, `own_keys` all the keys that they
    have.
    """

    shared: list[Carrier] = []
    """Keys that too many records of the batch carry, with one of the records: nobody gets them."""
    wanted: list[KeyClaim] = []
    holders: list[str] = []
    own_keys: list[OwnKey] = []


class EntityName(NamedTuple):
    """One id of a record, and the kind of the record."""

    id: str
    entity: str


class DueTime(NamedTuple):
    """A flow, customer or product that must be checked or summed in `seconds`."""

    kind: str
    id: str
    seconds: float


class SaveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that one batch writes, in one transaction."""

    entities: Sequence[EntityWrite] = ()
    links: Sequence[IdentityLink] = ()
    conflicts: Sequence[Conflict] = ()
    contested: Sequence[str] = ()
    """Entities of more than one source: of their conflicts only `standing` (ids) remain open."""
    standing: Sequence[str] = ()
    unclaimed: Sequence[str] = ()
    """Entities whose conflicts over what they name with `same_as` end, but for `standing`."""
    released: Sequence[EntityName] = ()
    """Entities that lost a source: others may wait to be them."""
    turns: Sequence[Turn] = ()
    turn_limit: int = 3
    """Edits of one field that write-back may overwrite within `turn_window_us` before that is a flip-flop."""
    turn_window_us: int = 86_400_000_000
    intents: Sequence[NewIntent] = ()
    claims: Sequence[Claims] = ()
    key_conflicts: Callable[[Sequence[Sequence[HeldKey]]], list[Conflict]] = lambda holders: []
    """Finds conflicts in who holds the claimed keys. A pure function: it runs within the transaction."""
    key_limits: Mapping[str, int] = {}
    """Entity → records that may wait for one match key. One more, and the key is shared: it links nothing."""
    dead_letters: Sequence[DeadLetter] = ()
    due: Sequence[DueTime] = ()
    same_known: int
    """The generation of sameness that the batch was settled with."""
    references: Mapping[str, str | None] = {}
    """Source id that the batch used → the id that it was taken for."""
    tokens: Mapping[Partition, int] = {}
    """The fencing token of each partition that the batch was read from."""


# What comes back


class EntityId(NamedTuple):
    id: str


class LostPartition(NamedTuple):
    topic: str
    partition: int


class SameLink(NamedTuple):
    """`source_id` is another name of `target`, since a generation."""

    source_id: str
    target: str
    generation: int


class Referring(NamedTuple):
    """An aggregate with an entity of kind `entity` that refers to `reference`, which was linked or released a key."""

    aggregate_id: str
    reference: str
    entity: str


class LogOutcome(NamedTuple):
    """A conflict that is new, or that came back."""

    id: str
    outcome: str


class ReleasedKey(NamedTuple):
    entity: str
    key: str


class HeldKey(NamedTuple):
    """Who holds a claimed match key; `linked` are the records that are the same as the holder by it."""

    entity: str
    key: str
    holder: str
    linked: list[str]


class Saved(NamedTuple):
    """What a committed transaction reports."""

    same_links: list[SameLink]
    """Sameness that was recorded since the generation `same_known`."""
    referring: list[Referring]
    """Aggregates to refresh."""
    logged: dict[str, str]
    """Conflicts that are new, or came back: id → outcome."""
    holders: list[list[HeldKey]]
    """For each round of claims, who holds its keys."""
    key_conflicts: list[Conflict]
    """Keys that two records claim, and records that were linked by a key which is shared now."""
    shared_keys: Collection[tuple[str, str]] = frozenset()
    """(entity, key) of those that became shared: a link by one of them must not be sent."""


class Stale(OpshubError):
    """Rows are not as they were read: another writer wrote them, or they live in another aggregate."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(f"{len(ids)} rows changed since they were read")
        self.ids = ids
        """Of the rows that could not be written."""


class Circle(OpshubError):
    """Two records were linked to each other at the same time; these links came second."""

    def __init__(self, ids: set[str]) -> None:
        super().__init__(f"{len(ids)} links would close a circle")
        self.ids = ids
        """Source ids of the links."""


class NewlySame(OpshubError):
    """A reference that this batch used was linked meanwhile."""

    def __init__(self, same_links: list[SameLink]) -> None:
        super().__init__("references were linked since they were read")
        self.same_links = same_links


# The statements


class Statement(NamedTuple):
    """A named statement of hub/sql with its parameters; `row` is the class of its rows, if they are read."""

    name: str
    parameters: Sequence[object] | Mapping[str, object] = ()
    row: type[tuple[Any, ...]] | None = None


def statements_of(request: SaveRequest) -> Iterator[Statement]:
    """The statements of one transaction, in order. They are made while the hub executes those before them."""
    links = request.links
    same_links = [link for link in links if link.same]
    same_ids = [link.source_id for link in same_links]
    if request.tokens:
        mine = [(topic, partition, token) for (topic, partition), token in request.tokens.items()]
        yield Statement("partitions_lost", columns(mine), LostPartition)
    # A link waits here until every transaction that used the old sameness is over, and later ones read the link.
    yield Statement("own_identity" if same_ids else "share_identity")
    yield Statement("same_since", [request.same_known], SameLink)
    if same_ids:
        yield Statement("circles", [_encode(same_links)], EntityId)
    entities = request.entities
    for at in range(0, len(entities), ENTITIES_PER_STATEMENT):
        rows = [stored_entity(*write) for write in entities[at : at + ENTITIES_PER_STATEMENT]]
        yield Statement("upsert_entities", [_encode(rows)], EntityId)
    if links:
        yield Statement("upsert_identity", [_encode(links)])
    if same_ids:
        # After the upserts: entities of this batch may refer to what it links.
        yield Statement("aggregates_that_refer", {"ids": same_ids, "most": REFRESHES_AT_ONCE}, Referring)
    if request.conflicts:
        yield log_conflicts(request.conflicts)
    if request.turns:
        yield _note_turns(request)
    if request.contested:
        # After they were logged: a conflict that came and went within the batch is over.
        yield Statement("end_conflicts", [list(request.contested), list(request.standing)])
    if request.unclaimed:
        yield Statement("end_references", [list(request.unclaimed), list(request.standing)])
    if request.released:
        yield Statement("waiting_references", columns(request.released), Referring)
    yield from _claim_statements(request.claims)
    if request.intents:
        yield Statement("plan_intents", [_encode(request.intents)])
    for dead_letter in request.dead_letters:
        yield Statement("add_dead_letter", dead_letter_row(dead_letter))
    if request.due:
        yield Statement("mark_due", columns(request.due))


def _claim_statements(claims: Sequence[Claims]) -> Iterator[Statement]:
    """All releases before all claims: a key may pass from one record of the batch to another."""
    for keys in claims:
        if keys.holders:
            own = {"holders": keys.holders, "own_keys": _encode(keys.own_keys)}
            yield Statement("release_keys", own, ReleasedKey)
    for keys in claims:
        if keys.shared:
            yield share_keys(keys.shared)
    for keys in claims:
        if keys.wanted:
            yield Statement("claim_keys", [_encode(keys.wanted)], HeldKey)
    for keys in claims:
        if keys.holders:
            yield Statement("end_claims", [keys.holders, _encode(keys.own_keys)])


def share_keys(carriers: Sequence[Carrier]) -> Statement:
    return Statement("share_keys", {"carriers": _encode(carriers)}, SharedKey)


def log_conflicts(conflicts: Iterable[Conflict]) -> Statement:
    return Statement("log_conflicts", [_encode([_conflict_row(conflict) for conflict in conflicts])], LogOutcome)


def _note_turns(request: SaveRequest) -> Statement:
    turns = [_conflict_row(turn.conflict) | {"target": turn.target, "at_us": turn.at_us} for turn in request.turns]
    parameters = {"turns": _encode(turns), "limit": request.turn_limit, "window_us": request.turn_window_us}
    return Statement("note_turns", parameters, LogOutcome)


def _conflict_row(conflict: Conflict) -> dict[str, Any]:
    asserted = {}
    for system, value in conflict.values.items():
        position, us, tx = conflict.asserted.get(system, (None, None, None))
        asserted[system] = {"value": value, "position": position, "us": us, "tx": tx}
    return {
        "id": conflict.id,
        "aggregate_id": conflict.aggregate_id,
        "entity": conflict.entity,
        "entity_id": conflict.entity_id,
        "field": conflict.field,
        "kind": conflict.kind,
        "asserted": asserted,
        "winner": conflict.winner,
        "rule": conflict.rule,
        "outcome": conflict.outcome,
    }


# The answers


class Answers:
    """The rows that the statements of one transaction returned."""

    def __init__(self) -> None:
        self._rows: dict[str, list[list[Any]]] = {}

    def add(self, name: str, rows: list[Any]) -> None:
        self._rows.setdefault(name, []).append(rows)

    def each(self, name: str) -> list[list[Any]]:
        """The rows of each statement of this name, in order."""
        return self._rows.get(name, [])

    def all(self, name: str) -> list[Any]:
        """The rows of all statements of this name together."""
        return [row for rows in self.each(name) for row in rows]


def raise_if_refused(request: SaveRequest, answers: Answers) -> None:
    """Raise, so that the transaction is rolled back, where what the batch was settled with no longer holds.

    Fenced: another worker took one of its partitions. Circle: a link's target is already another name of its source.
    NewlySame: a reference that it used was linked meanwhile. Stale: a row is not as it was read.
    """
    lost = answers.all("partitions_lost")
    if lost:
        raise Fenced(f"{len(lost)} of these partitions were taken by another worker")
    circles = {row.id for row in answers.all("circles")}
    if circles:
        raise Circle(circles)
    same_links: list[SameLink] = answers.all("same_since")
    for link in same_links:
        if request.references.get(link.source_id, link.target) not in (None, link.target):
            raise NewlySame(same_links)
    written = answers.all("upsert_entities")
    if len(written) != len(request.entities):
        ids = {row.id for row in written}
        raise Stale([write.entity.id for write in request.entities if write.entity.id not in ids])
