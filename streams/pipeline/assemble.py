"""assemble: changes of one aggregate, in turn → hub rows and canonical records. The only writer of an aggregate.

    (1) a batch was read
    (2) pure work: merge contributions, resolve, join             (`Settling`)
    (3) one hub transaction, guarded by the revision of each row and the fencing token of each partition
    (4) produce canonical records and what is sent on, wait for every ack   } one Kafka transaction, by the caller
    (5) commit the offsets                                                  }

A crash between (3) and (4) loses nothing: the same changes come again, are known to the position, and emit again what the hub
holds. A worker that was given up for dead writes nothing once another has read from its partitions (3), and emits nothing (4, 5: the
lane): it could raise versions of which nobody would be told.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Any

from streams.error_policy import is_bad_record
from streams.errors import DecodeError, EncodeError, RetryLater
from streams.hub.dead_letters import add_dead_letter
from streams.hub.identity import unmerged_among
from streams.hub.store import Circle, HubStore, NewlySame, Saved, Stale, as_logged
from streams.identity.cache import Sameness
from streams.model import limits
from streams.model.change import Change
from streams.model.dead_letter import DeadLetter, dead_letter_of
from streams.model.names import aggregate_of_topic
from streams.model.state import AggregateState, Conflict
from streams.pipeline.aggregate_cache import Aggregates
from streams.pipeline.due import Marks, due_rows
from streams.pipeline.echoes import echoes_among
from streams.pipeline.ingest import now_us
from streams.pipeline.matching import Matching, disputes
from streams.pipeline.refreshes import refreshes
from streams.pipeline.settle import Entangled, Settling
from streams.resolve.golden import Ownership
from streams.runtime.batch import Output
from streams.runtime.fault_points import fault_point
from streams.writeback.planner import NO_RULES, IntentPlanner

ATTEMPTS = 8
"""Times that a batch is computed again because rows changed under it, before the worker waits."""

DOUBTED = 20_000
"""Offsets of a partition that was newly assigned in which a worker before may have had its last batch, of which it told nobody."""

AT_ONCE = 100
"""Records that are encoded before the connection to the hub is looked after."""

Emitted = list[Output | DeadLetter]

Group = tuple[str, list[tuple[Change, Any]]]
"""(kind of the aggregate, its changes with the Kafka record that brought each)."""


class Assemble:
    """The step, with its cache of aggregates; the cache can be thrown away at any time."""

    def __init__(
        self,
        store: HubStore,
        decode: Callable[[bytes], Change],
        encode: Callable[[Change], bytes],
        message: Callable[[str, str, int, dict[str, Any] | None], tuple[Any, ...]],
        ownership: Ownership,
        cache_entities: int,
        conflict_message: Callable[[Conflict, int], tuple[Any, ...]],
        planner: IntentPlanner = NO_RULES,
        over_http: frozenset[str] = frozenset(),
    ) -> None:
        self._store = store
        self._over_http = over_http
        self._decode = decode
        self._encode = encode
        self._message = message
        self._ownership = ownership
        self._planner = planner
        self._cache = Aggregates(cache_entities)
        self._settled: dict[str, float] = {}
        """Flows that were settled and not looked at since, with the time, the oldest first."""
        self._marks = Marks()
        self._busy: set[str] = set()
        self._doubtful: set[str] = set()
        """Aggregates of the batch of which links, gives or refreshes may have come before."""
        self._first: dict[tuple[str, int], int] = {}
        self._begun: dict[tuple[str, int], int] = {}
        """By partition, the first offset since it was assigned, and the next that was not begun with."""
        self._tokens: dict[tuple[str, int], int] = {}
        """Fencing token of each partition that was read from since it was assigned."""
        self._held: dict[tuple[str, int], int] = {}
        """Those of the batch."""
        self.sameness = Sameness()
        self._matching = Matching(ownership)
        self._conflict_message = conflict_message
        store.flip_flop_turns, store.flip_flop_window_us = ownership.turns, ownership.turns_window_us
        self._started = False
        self._unstored: list[DeadLetter] = []
        """Records that can not be encoded, which is seen after the hub transaction."""
        self.counts: Counter[str] = Counter()
        self.latencies: list[int] = []
        """Microseconds from the source's commit to the hub's, of a sample of each batch; whoever reads it empties it."""
        self.slowest = (0, "")
        """The longest of them all, and the aggregate that waited for it."""

    def forget(self) -> None:
        """After a rebalance: other workers may have written what is cached here."""
        self._cache.clear()
        self._matching.forget()
        self._settled.clear()  # whoever has them now looks, or finds them among what is due
        self._marks.clear()
        self._first.clear()
        self._tokens.clear()
        self._started = False

    def take_slowest(self, anew: bool) -> tuple[int, str]:
        """`slowest`; with `anew` it is forgotten."""
        slowest = self.slowest
        if anew:
            self.slowest = (0, "")
        return slowest

    async def step(self, records: Sequence[Any]) -> tuple[list[Output], list[DeadLetter]]:
        """Steps 2 and 3 for one batch; what is to be produced comes back. Raises RetryLater while the hub is away."""
        groups: dict[str, Group] = {}
        dead: list[DeadLetter] = []
        self._doubtful.clear()
        begun: dict[tuple[str, int], int] = {}
        for record in records:
            tp, offset = (record.topic(), record.partition()), record.offset()
            begun[tp] = offset + 1
            first = self._first.setdefault(tp, offset)
            try:
                change = self._decode(record.value())
                key = record.key().decode()
            except Exception as error:
                wrong = DecodeError(f"not a change: {error}")
                dead.append(dead_letter_of(record, wrong))
                continue
            group = groups.get(key)
            if group is None:
                group = groups[key] = (aggregate_of_topic(record.topic()), [])
            group[1].append((change, record))
            if change.kind != "change" and offset < max(first + DOUBTED, self._begun.get(tp, 0)):
                self._doubtful.add(key)
        self._begun |= begun
        await self._take(begun)
        if not self._started:
            await self.sameness.start(self._store.rows)
            self._started = True
        outputs: list[Output] = []
        self._unstored.clear()
        self._busy = set(groups)
        try:
            await self._settle(groups, outputs, dead)
        finally:
            self._busy = set()
        self._note_settled(groups)
        self._cache.trim(groups)
        for letter in self._unstored:
            await add_dead_letter(self._store.rows, letter)
        self.counts["changes_in"] += len(records)
        self.counts["records_out"] += len(outputs)
        self.counts["dead"] += len(dead)
        return outputs, dead

    async def _take(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Take over what was not read from since it was assigned: whoever had it before writes nothing of it any more."""
        strange = [tp for tp in partitions if tp not in self._tokens]
        if strange:
            self._tokens |= await self._store.take(strange)
        self._held = {tp: self._tokens[tp] for tp in partitions}

    def _note_settled(self, groups: dict[str, Group]) -> None:
        now = time.monotonic()
        for key, (kind, _) in groups.items():
            if kind == "order_flow":
                self._settled.pop(key, None)
                self._settled[key] = now

    def quiet(self, before: float, most: int) -> list[str]:
        """Take the flows that were settled last before a time (of time.monotonic), at most so many."""
        old = takewhile(lambda key: self._settled[key] <= before, self._settled)
        taken = list(islice((key for key in old if key not in self._busy), most))
        for key in taken:
            del self._settled[key]
            self._marks.done(("flow", key))
        return taken

    def awaits_look(self, key: str) -> bool:
        """Whether this worker settled the flow, and will look at it."""
        return key in self._settled

    def cached(self, key: str) -> AggregateState | None:
        """The aggregate as the hub has it, where it is in memory and no batch is at work on it."""
        return None if key in self._busy else self._cache.peek(key)

    async def _settle(self, groups: dict[str, Group], outputs: list[Output], dead: list[DeadLetter]) -> None:
        foreign: dict[str, str] = {}
        refused: set[str] = set()
        for _ in range(ATTEMPTS):
            states = await self._states(groups)
            settling = Settling(self._ownership, foreign, self._planner)
            settling.refused = refused
            settling.doubtful = self._doubtful
            settling.unmerged = await self._held_apart(groups, states)
            if self._over_http:
                every = (change for _, changes in groups.values() for change, _ in changes)
                settling.echoes = await echoes_among(every, self._over_http, self._store.rows)
            try:
                for key, (_, changes) in groups.items():
                    settling.apply(states[key], changes)
                await self.sameness.learn(settling.references(), self._store.rows)
                settling.settle(self.sameness.of)
                claimed = self._matching.claim(settling.claimants(), settling.parted)
                changed = {("flow", key) for key, (kind, _) in groups.items() if kind == "order_flow"} | settling.summed
                begun = time.monotonic()
                marked = self._marks.missing(changed, begun)
                fault_point("assemble.pure")
                saving = self._store.save(
                    settling.rows(),
                    settling.links,
                    settling.conflicts,
                    same_known=self.sameness.generation,
                    used=self._links_of(settling.used),
                    dead=settling.dead + dead,
                    intents=settling.intents,
                    contested=settling.contested,
                    standing=settling.standing,
                    claims=claimed.rounds,
                    disputes=partial(disputes, claimed),
                    turns=settling.turns,
                    due=due_rows(marked),
                    tokens=self._held,
                )
                saved, emitted = await self._meanwhile(saving, settling)
                self._marks.note(marked, begun)
                late = self._marks.outlived(changed, time.monotonic())
                if late:
                    await self._store.mark_due(due_rows(late))
                settling.sent_on += self._matching.settle(claimed, saved.held)
                logged = {one.id: one for one in (*settling.conflicts, *(turn.conflict for turn in settling.turns))}
                told = as_logged([*logged.values(), *saved.disputed], saved.logged) + settling.repeated
            except Stale as stale:
                self._drop(groups)
                foreign.update(await self._store.rows("homes", stale.ids))
                self.counts["stale"] += 1
                continue
            except Circle as circle:
                self._drop(groups)
                refused |= circle.ids
                self.counts["circles"] += 1
                continue
            except NewlySame as news:
                self._drop(groups)
                self.sameness.apply(news.learnt)
                continue
            except Exception as error:
                self._drop(groups)
                if not (isinstance(error, Entangled) or is_bad_record(error)):
                    raise
                await self._apart(groups, error, outputs, dead)
                return
            except BaseException:
                self._drop(groups)
                raise
            self.sameness.apply(saved.learnt)
            outputs.extend(Output(*self._conflict_message(conflict, now_us())) for conflict in told)
            self.counts["conflicts"] += len(told)
            self._done(settling, saved.referring, emitted, outputs, dead)
            return
        raise RetryLater(f"rows of {len(groups)} aggregates kept changing under this worker")

    def _links_of(self, sources: Iterable[str]) -> dict[str, str | None]:
        """Every link on the way from these sources to the entities that they are."""
        return {one: self.sameness.known.get(one) for source in sources for one in self.sameness.chain(source)}

    async def _apart(
        self, groups: dict[str, Group], error: Exception, outputs: list[Output], dead: list[DeadLetter]
    ) -> None:
        """These changes do not pass together: settle the aggregates in smaller parts, then each change, so that only one that
        can not pass at all is set aside.
        """
        self.counts["apart"] += 1
        if len(groups) > 1:
            for part in _parts(groups, error.keys if isinstance(error, Entangled) else set()):
                await self._settle(part, outputs, dead)
            return
        for key, (kind, changes) in groups.items():
            if len(changes) > 1:
                for change in changes:
                    await self._settle({key: (kind, [change])}, outputs, dead)
            else:
                record = changes[0][1]
                letter = dead_letter_of(record, error)
                await add_dead_letter(self._store.rows, letter)
                dead.append(letter)

    async def _meanwhile(self, saving: Coroutine[Any, Any, Saved], settling: Settling) -> tuple[Saved, Emitted]:
        """Encode what is to be emitted while the hub writes; nothing of it counts if that fails."""
        written = asyncio.ensure_future(saving)
        try:
            emitted: Emitted = []
            for number, (entity, entity_id, version, record, source) in enumerate(settling.emitted()):
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
                try:
                    output = Output(*self._message(entity, entity_id, version, record))
                    if output.value is not None and len(output.value) > limits.RECORD:
                        raise EncodeError(
                            f"{entity} {entity_id} takes {len(output.value):,} bytes, more than {limits.RECORD:,}",
                            remedy="the hub has it whole; map fewer or shorter columns of it: nothing is cut",
                        )
                    emitted.append(output)
                except Exception as error:
                    emitted.append(dead_letter_of(source, error))
            return await written, emitted
        finally:
            if not written.done():
                written.cancel()
                await asyncio.gather(written, return_exceptions=True)

    def _done(
        self,
        settling: Settling,
        referring: list[Any],
        emitted: Emitted,
        outputs: list[Output],
        dead: list[DeadLetter],
    ) -> None:
        now = now_us()
        for link in settling.links:
            if link["same"]:
                self.sameness.known.put(link["source_id"], link["target"])
        self._cache.drop(settling.moved)
        sample = settling.source_times
        for source_us, _ in sample[:: max(1, len(sample) // 20)]:
            self.latencies.append(now - source_us)
        if sample:
            oldest, aggregate_id = min(sample)
            if now - oldest > self.slowest[0]:
                self.slowest = (now - oldest, aggregate_id)
        for topic, key, change in settling.sent_on:
            outputs.append(Output(topic, key.encode(), self._encode(change)))
        for topic, key, change in refreshes(referring):
            outputs.append(Output(topic, key.encode(), self._encode(change)))
        outputs.extend(one for one in emitted if isinstance(one, Output))
        letters = [one for one in emitted if isinstance(one, DeadLetter)]
        self.counts["unencodable"] += len(letters)
        dead.extend(letters)
        self._unstored += letters
        dead.extend(settling.dead)
        self.counts.update(settling.counts)
        self.counts["intents"] += len(settling.intents)

    async def _states(self, groups: dict[str, Group]) -> dict[str, AggregateState]:
        states: dict[str, AggregateState] = {}
        missing: dict[str, str] = {}
        for key, (kind, changes) in groups.items():
            state = None if any(change.kind == "refresh" for change, _ in changes) else self._cache.get(key)
            if state is None:
                missing[key] = kind
            else:
                states[key] = state
        self.counts["cache_hits"] += len(states)
        if missing:
            self.counts["cache_misses"] += len(missing)
            loaded = await self._store.load(missing)
            states.update(loaded)
            self._cache.put(loaded)
        return states

    async def _held_apart(self, groups: dict[str, Group], states: dict[str, AggregateState]) -> set[str]:
        """Which sources that are new to a record a person took out of it: references and beliefs may still name it. And of those that are
        to be taken out, which are out already.
        """
        strange = {
            change.id
            for key, (kind, changes) in groups.items()
            if kind != "order_flow"
            for change, _ in changes
            if change.id != key
            and (
                (change.kind == "change" and change.entity == kind and change.id not in states[key].sources)
                or (change.kind == "link" and change.target == change.id)
            )
        }
        return await unmerged_among(self._store.rows, strange)

    def _drop(self, groups: dict[str, Group]) -> None:
        self._cache.drop(groups)


def _parts(groups: dict[str, Group], entangled: set[str]) -> list[dict[str, Group]]:
    """Those that are not entangled, then the others; where that divides nothing, two halves."""
    first = [key for key in groups if key not in entangled]
    if not first or len(first) == len(groups):
        first = list(groups)[: len(groups) // 2]
    chosen = set(first)
    return [{key: group for key, group in groups.items() if (key in chosen) is part} for part in (True, False)]
