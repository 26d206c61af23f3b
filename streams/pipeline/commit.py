"""Load, settle and save a batch until it is committed: the one loop that `Assemble` and the property tests run.

What can go wrong, and what the loop does about it:

    Entangled    the batch moves an entity into an aggregate that it changes too → settle these after the others
    Stale        another writer had the rows, or they live elsewhere → ask where they live, settle again
    Circle       two links crossed → settle again without the links that came second
    NewlySame    a reference was linked meanwhile → take the link in, settle again
    a bad record the hub refuses a value → settle smaller parts, until the one change that fails is alone: a dead letter
    anything else is raised: RetryLater while the hub is away, Fenced when another worker has the partitions

Every failure drops the aggregates from the cache, for settling changes their states in place.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from streams.error_policy import is_bad_record
from streams.errors import BadRecord, RetryLater
from streams.flow.place import seeks_parent, without_parent
from streams.hub.save import Circle, DueTime, IdentityLink, NewlySame, Saved, SaveRequest, Stale
from streams.hub.store import OrderLineElsewhere, as_logged
from streams.identity.cache import Sameness
from streams.model.change import Change
from streams.model.dead_letter import DeadLetter, dead_letter_of
from streams.model.kafka_record import KafkaRecord
from streams.model.names import changes_topic
from streams.model.partition import Partition
from streams.model.state import AggregateState, Conflict
from streams.pipeline.aggregate_cache import AggregateCache
from streams.pipeline.due import WrittenDue, due_rows
from streams.pipeline.echoes import echoes_among
from streams.pipeline.matching import ClaimedKeys, Matching, key_conflicts
from streams.pipeline.settle import Entangled, Group, SettleBatch, Settled, merge_batch, settle_merged
from streams.pipeline.settle.batch import Message
from streams.resolve.rules import Ownership
from streams.runtime.batch import Output
from streams.runtime.fault_points import fault_point
from streams.writeback.planner import IntentPlanner

ATTEMPTS = 8
"""Times that a batch is settled again because rows changed under it, before the worker waits and reads it again."""


class Hub(Protocol):
    """What the loop needs of the hub: `streams.hub.store.HubStore`, or `streams.testing.MemoryHub` in tests."""

    async def load(self, kinds: Mapping[str, str]) -> dict[str, AggregateState]: ...
    async def save(self, request: SaveRequest) -> Saved: ...
    async def homes(self, ids: Sequence[str]) -> dict[str, str]: ...
    async def order_lines_elsewhere(
        self, named: Collection[tuple[str, str]], new: Collection[str]
    ) -> list[OrderLineElsewhere]: ...
    async def known_links(self, ids: Sequence[str]) -> dict[str, IdentityLink]: ...
    async def claim_echoes(self, changes: bytes, skew_us: int) -> Collection[tuple[str, str]]: ...
    async def add_dead_letter(self, dead_letter: DeadLetter) -> None: ...
    async def mark_due(self, due: Sequence[DueTime]) -> None: ...
    async def rows(self, name: str, *parameters: Any) -> list[Any]:
        """The statements `generation` and `same`, which `Sameness` looks up."""
        ...


class Incoming(NamedTuple):
    """One batch as it was read."""

    groups: Mapping[str, Group]
    in_doubt: Collection[str] = frozenset()
    """See `SettleBatch.in_doubt`."""
    tokens: Mapping[Partition, int] = {}
    """The fencing token of each partition that it was read from."""
    dead_letters: Sequence[DeadLetter] = ()
    """Records that could not be decoded: the first transaction stores them."""


class Committed(NamedTuple):
    """What one transaction committed, and what is to be emitted because of it."""

    settled: Settled
    saved: Saved
    conflicts: list[Conflict]
    sent_on: list[Message]
    """Changes and links for other aggregates."""
    encoded: list[Output | DeadLetter]
    """Canonical records, as the `encode` of the loop made them."""
    dead_letters: list[DeadLetter]
    """Changes whose parents form a circle; they are in the hub."""


Encode = Callable[[Settled], Awaitable[list[Output | DeadLetter]]]


@dataclass
class BatchCommitter:
    """The loop, with the caches of one worker. Every cache can be thrown away at any time."""

    hub: Hub
    ownership: Ownership
    planner: IntentPlanner
    cache: AggregateCache
    http_systems: Collection[str] = frozenset()
    """Systems that are written over HTTP: their rows do not say whether write-back wrote them."""
    encode: Encode | None = None
    """Makes the canonical records while the hub works; without it none are made."""
    sameness: Sameness = field(default_factory=Sameness)
    due: WrittenDue = field(default_factory=WrittenDue)
    counts: Counter[str] = field(default_factory=Counter)
    _started: bool = False

    def __post_init__(self) -> None:
        self.matching = Matching(self.ownership)

    def forget(self) -> None:
        """Drop all caches: other workers may have written what is in them."""
        self.cache.clear()
        self.matching.forget()
        self.due.clear()
        self._started = False

    async def commit(self, incoming: Incoming) -> list[Committed | DeadLetter]:
        """Commit a batch: in one transaction if it passes together, else in several. A dead letter is a change that
        fails by itself.
        """
        if not self._started:
            await self.sameness.start(self.hub.rows)
            self._started = True
        results: list[Committed | DeadLetter] = []
        undecodable = list(incoming.dead_letters)
        await self._commit(incoming, undecodable, results)
        for dead_letter in undecodable:
            await self.hub.add_dead_letter(dead_letter)
        return results

    async def _commit(
        self, incoming: Incoming, undecodable: list[DeadLetter], results: list[Committed | DeadLetter]
    ) -> None:
        """`undecodable`: dead letters that no transaction has stored yet; the first one that is committed does."""
        groups = incoming.groups
        homes: dict[str, str] = {}
        refused: set[str] = set()
        for _ in range(ATTEMPTS):
            states = await self._load(groups)
            homes.update(await self._homes_of_parents(groups, states))
            known_links = await self._known_links(groups, states)
            echoes = await self._echoes(groups)
            batch = SettleBatch(groups, homes, echoes, known_links, incoming.in_doubt, refused)
            try:
                work = merge_batch(batch, states, self.ownership, self.planner)
                await self.sameness.learn(work.out.references, self.hub.rows)
                settled = settle_merged(work, self.sameness.of)
                if not isinstance(settled, Entangled):
                    results.append(await self._save(incoming, settled, undecodable))
                    undecodable.clear()
                    return
            except Stale as stale:
                self.cache.drop(groups)
                homes.update(await self.hub.homes(stale.ids))
                self.counts["stale"] += 1
                continue
            except Circle as circle:
                self.cache.drop(groups)
                refused |= circle.ids
                self.counts["circles"] += 1
                continue
            except NewlySame as linked:
                self.cache.drop(groups)
                self.sameness.apply(linked.same_links)
                continue
            except Exception as error:
                self.cache.drop(groups)
                if not is_bad_record(error):
                    raise
                await self._isolate(incoming, error, frozenset(), undecodable, results)
                return
            except BaseException:
                self.cache.drop(groups)
                raise
            self.cache.drop(groups)
            entangled = BadRecord("this change moves an entity into the aggregate that it moves it out of")
            await self._isolate(incoming, entangled, settled.keys, undecodable, results)
            return
        raise RetryLater(f"rows of {len(groups)} aggregates kept changing under this worker")

    async def _isolate(
        self,
        incoming: Incoming,
        error: Exception,
        entangled: Collection[str],
        undecodable: list[DeadLetter],
        results: list[Committed | DeadLetter],
    ) -> None:
        """These changes do not pass together: settle the aggregates in smaller parts, then change by change.

        So only a change that fails by itself becomes a dead letter.
        """
        self.counts["isolated"] += 1
        for groups in _divided(incoming.groups, entangled):
            await self._commit(incoming._replace(groups=groups), undecodable, results)
        if sum(len(changes) for _, changes in incoming.groups.values()) == 1:
            ((_, source),) = next(iter(incoming.groups.values()))[1]
            dead_letter = dead_letter_of(source, error)
            await self.hub.add_dead_letter(dead_letter)
            results.append(dead_letter)

    async def _save(self, incoming: Incoming, settled: Settled, undecodable: list[DeadLetter]) -> Committed:
        """Step 3: one hub transaction, while the canonical records are encoded."""
        groups = incoming.groups
        claimed = self.matching.claim(settled.claimants, settled.split_records)
        flows = {("flow", key) for key, (kind, _) in groups.items() if kind == "order_flow"}
        changed = flows | settled.sums_due
        begun = time.monotonic()
        marked = self.due.missing(changed, begun)
        circular = [_circular(change, source) for change, source in settled.circular]
        fault_point("assemble.pure")
        request = self._request(incoming, settled, claimed, due_rows(marked), circular + undecodable)
        saved, encoded = await self._save_and_encode(request, settled)
        self.due.record(marked, begun)
        late = self.due.outlived(changed, time.monotonic())
        if late:
            await self.hub.mark_due(due_rows(late))
        links = self.matching.links_from(claimed, saved.holders, saved.shared_keys)
        self.sameness.apply(saved.same_links)
        for link in settled.links.values():
            if link.same:
                self.sameness.known.put(link.source_id, link.target)
        self.cache.drop(settled.moved)
        logged = settled.conflicts | {turn.conflict.id: turn.conflict for turn in settled.turns}
        conflicts = as_logged([*logged.values(), *saved.key_conflicts], saved.logged) + settled.repeated_conflicts
        sent_on = [*settled.sent_on, *(Message(*link) for link in links), *await self._order_lines_elsewhere(settled)]
        return Committed(settled, saved, conflicts, sent_on, encoded, circular)

    def _request(
        self,
        incoming: Incoming,
        settled: Settled,
        claimed: ClaimedKeys,
        due: list[DueTime],
        dead_letters: list[DeadLetter],
    ) -> SaveRequest:
        return SaveRequest(
            entities=list(settled.entities.values()),
            links=list(settled.links.values()),
            conflicts=list(settled.conflicts.values()),
            contested=list(settled.contested),
            standing=list(settled.standing),
            unclaimed=list(settled.unclaimed),
            released=list(settled.released),
            turns=settled.turns,
            turn_limit=self.ownership.turns,
            turn_window_us=self.ownership.turns_window_us,
            intents=settled.intents,
            claims=claimed.claims,
            key_conflicts=partial(key_conflicts, claimed),
            key_limits=self.matching.limits,
            dead_letters=dead_letters,
            due=due,
            same_known=self.sameness.generation,
            references=self._links_of(settled.references),
            tokens=incoming.tokens,
        )

    def _links_of(self, sources: Iterable[str]) -> dict[str, str | None]:
        """Every link on the way from these sources to the entities that they are."""
        known, chain = self.sameness.known, self.sameness.chain
        return {step: known.get(step) for source in sources for step in chain(source)}

    async def _save_and_encode(self, request: SaveRequest, settled: Settled) -> tuple[Saved, list[Output | DeadLetter]]:
        """Encode while the hub writes. If the transaction fails, what was encoded is thrown away."""
        if self.encode is None:
            return await self.hub.save(request), []
        saving = asyncio.ensure_future(self.hub.save(request))
        try:
            encoded = await self.encode(settled)
            return await saving, encoded
        finally:
            if not saving.done():
                saving.cancel()
                await asyncio.gather(saving, return_exceptions=True)

    async def _load(self, groups: Mapping[str, Group]) -> dict[str, AggregateState]:
        """The states of these aggregates, from the cache unless a refresh asks for what the hub has."""
        states: dict[str, AggregateState] = {}
        missing: dict[str, str] = {}
        for key, (kind, changes) in groups.items():
            refreshed = any(change.kind == "refresh" for change, _ in changes)
            state = None if refreshed else self.cache.get(key)
            if state is None:
                missing[key] = kind
            else:
                states[key] = state
        self.counts["cache_hits"] += len(states)
        if missing:
            self.counts["cache_misses"] += len(missing)
            loaded = await self.hub.load(missing)
            states.update(loaded)
            self.cache.put(loaded)
        return states

    async def _homes_of_parents(
        self, groups: Mapping[str, Group], states: Mapping[str, AggregateState]
    ) -> Mapping[str, str]:
        """Where the parents live of members and shares that came to an aggregate which does not have the parent (any
        more): two moves crossed.
        """
        missing: set[str] = set()
        for key, (_, changes) in groups.items():
            state = states[key]
            for change, _ in changes:
                if change.kind == "refresh":
                    missing |= {member.parent or "" for member in without_parent(state)}
                elif seeks_parent(state, change):
                    missing.add(change.parent or "")
        return await self.hub.homes(list(missing)) if missing else {}

    async def _order_lines_elsewhere(self, settled: Settled) -> list[Message]:
        """Messages for the writers of documents that name order lines of other aggregates.

        Asked after the commit: of a document and an order line that are committed at the same time, one is seen.
        """
        if not (settled.asked_order_lines or settled.new_order_lines):
            return []
        topic = changes_topic("order_flow")
        return [
            Message(topic, home, Change("elsewhere", "sales_order_line", order_line, target=aggregate_id))
            for home, order_line, aggregate_id in await self.hub.order_lines_elsewhere(
                settled.asked_order_lines, settled.new_order_lines
            )
        ]

    async def _known_links(
        self, groups: Mapping[str, Group], states: Mapping[str, AggregateState]
    ) -> dict[str, IdentityLink]:
        """The links of sources that are new to a record, and of those that are to be taken out of one.

        A person may have taken them out, or they may wait to be another record; references and routing caches still
        name the record for them.
        """
        new = {
            change.id
            for key, (kind, changes) in groups.items()
            for change, _ in changes
            if change.id != key
            and (kind != "order_flow" or change.same_as is not None)
            and (
                (
                    change.kind == "change"
                    and (change.entity == kind or change.same_as is not None)
                    and change.id not in states[key].sources
                )
                or (change.kind == "link" and change.target == change.id)
            )
        }
        return await self.hub.known_links(list(new)) if new else {}

    async def _echoes(self, groups: Mapping[str, Group]) -> frozenset[tuple[str, str]]:
        if not self.http_systems:
            return frozenset()
        changes = (change for _, changes in groups.values() for change, _ in changes)
        return await echoes_among(changes, self.http_systems, self.hub.claim_echoes)


def _divided(groups: Mapping[str, Group], entangled: Collection[str]) -> list[dict[str, Group]]:
    """Smaller parts of a batch: first the aggregates that are not entangled, else two halves; of one aggregate, its
    single changes.

    A single change cannot be divided: the result is empty.
    """
    if len(groups) > 1:
        first = {key for key in groups if key not in entangled}
        if not first or len(first) == len(groups):
            first = set(list(groups)[: len(groups) // 2])
        parts = [{key: group for key, group in groups.items() if (key in first) is chosen} for chosen in (True, False)]
        return parts
    return [
        {key: (kind, [change])} for key, (kind, changes) in groups.items() if len(changes) > 1 for change in changes
    ]


def _circular(change: Change, source: KafkaRecord) -> DeadLetter:
    message = f"{change.entity} {change.key} of {change.system}: its parents form a circle"
    return dead_letter_of(source, BadRecord(message))
