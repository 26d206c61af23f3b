"""assemble: changes of one aggregate, in order → hub rows and canonical records. The only writer of an aggregate.

    (1) a batch was read
    (2) pure work: merge contributions, resolve, join             (`streams/pipeline/settle/`)
    (3) one hub transaction, guarded by the revision of each row and the fencing token of each partition
    (4) produce canonical records and what is sent on, wait for every ack   } one Kafka transaction, by the caller
    (5) commit the offsets                                                  }

A crash between (3) and (4) loses nothing: the same changes come again, their positions are known, and what the hub
holds is emitted again. A worker that was given up as dead writes nothing once another worker has read from its
partitions (3), and emits nothing (4 and 5, the lane): otherwise it could raise versions that nobody emits.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from streams.errors import DecodeError, EncodeError
from streams.hub.dead_letters import add_dead_letter
from streams.hub.store import HubStore
from streams.model import limits
from streams.model.change import Change
from streams.model.dead_letter import DeadLetter, dead_letter_of
from streams.model.kafka_record import KafkaRecord
from streams.model.names import aggregate_of_topic
from streams.model.partition import Partition
from streams.model.state import AggregateState, Conflict
from streams.pipeline.aggregate_cache import AggregateCache
from streams.pipeline.commit import BatchCommitter, Committed, Incoming
from streams.pipeline.ingest import now_us
from streams.pipeline.quiet_flows import QuietFlows
from streams.pipeline.refreshes import refreshes
from streams.pipeline.settle import Group, Settled
from streams.pipeline.settle.emitted import records_to_emit
from streams.resolve.rules import Ownership
from streams.runtime.batch import Output
from streams.writeback.planner import NO_RULES, IntentPlanner
from streams.writeback.values import Fields

IN_DOUBT_OFFSETS = 20_000
"""Offsets of a newly assigned partition that may hold the last batch of the worker before, committed in the hub but
never emitted.
"""

ENCODED_AT_ONCE = 100
"""Records to encode before the event loop serves the connection to the hub."""

LATENCY_SAMPLES = 20
"""Changes of a batch whose latency is kept."""

KafkaMessage = tuple[str, bytes, bytes | None] | tuple[str, bytes, bytes | None, list[tuple[str, bytes]] | None]
"""(topic, key, value, headers), the headers only where there are some."""


class Assemble:
    """The step. Its caches can be thrown away at any time."""

    def __init__(
        self,
        store: HubStore,
        decode: Callable[[bytes], Change],
        encode: Callable[[Change], bytes],
        message: Callable[[str, str, int, Fields | None], KafkaMessage],
        ownership: Ownership,
        cache_entities: int,
        conflict_message: Callable[[Conflict, int], KafkaMessage],
        planner: IntentPlanner = NO_RULES,
        http_systems: frozenset[str] = frozenset(),
    ) -> None:
        """`message` and `conflict_message` make a Kafka message of a canonical record and of a conflict."""
        self._store = store
        self._decode = decode
        self._encode = encode
        self._message = message
        self._conflict_message = conflict_message
        self._cache = AggregateCache(cache_entities)
        self._flows = QuietFlows()
        self._busy: set[str] = set()
        """Aggregates of the batch that is being settled."""
        self._offsets = _AssignedOffsets()
        self._tokens: dict[Partition, int] = {}
        """Fencing token of each partition that was read from since it was assigned."""
        self.counts: Counter[str] = Counter()
        self.committer = BatchCommitter(
            store, ownership, planner, self._cache, http_systems, self._encode_records, counts=self.counts
        )
        self.latencies: list[int] = []
        """Microseconds from the source's commit to the hub's, of a sample of each batch. Who reads the list empties
        it.
        """
        self.slowest = (0, "")
        """The longest latency of all changes, and the aggregate that waited for it."""

    def forget(self) -> None:
        """After a rebalance: other workers may have written what is cached here."""
        self.committer.forget()
        self._flows.clear()  # the new owner checks them, or finds them among the flows that are due
        self._offsets.clear()
        self._tokens.clear()

    def take_slowest(self, forget: bool) -> tuple[int, str]:
        """`slowest`; with `forget` it starts again at nothing."""
        slowest = self.slowest
        if forget:
            self.slowest = (0, "")
        return slowest

    async def step(self, records: Sequence[KafkaRecord]) -> tuple[list[Output], list[DeadLetter]]:
        """Steps 2 and 3 for one batch: what is to be produced, and what could not pass. Raises RetryLater while the hub
        is away.
        """
        groups, in_doubt, dead = self._read(records)
        partitions = {(record.topic(), record.partition()) for record in records}
        tokens = await self._take_over(partitions)
        outputs: list[Output] = []
        unencodable: list[DeadLetter] = []
        self._busy = set(groups)
        try:
            for result in await self.committer.commit(Incoming(groups, in_doubt, tokens, tuple(dead))):
                if isinstance(result, DeadLetter):
                    dead.append(result)
                else:
                    self._collect(result, outputs, dead, unencodable)
        finally:
            self._busy = set()
        self._flows.settled((key for key, (kind, _) in groups.items() if kind == "order_flow"), time.monotonic())
        self._cache.trim(groups)
        for dead_letter in unencodable:
            # After the hub's transaction, which they are no part of: only then were they encoded.
            await add_dead_letter(self._store.rows, dead_letter)
        self.counts["changes_in"] += len(records)
        self.counts["records_out"] += len(outputs)
        self.counts["dead"] += len(dead)
        return outputs, dead

    def _read(self, records: Sequence[KafkaRecord]) -> tuple[dict[str, Group], set[str], list[DeadLetter]]:
        """The changes by aggregate, the aggregates in doubt, and the records that are no changes."""
        groups: dict[str, Group] = {}
        in_doubt: set[str] = set()
        dead: list[DeadLetter] = []
        offsets = self._offsets
        offsets.begin_batch()
        for record in records:
            partition, offset = (record.topic(), record.partition()), record.offset()
            new_until = offsets.see(partition, offset)
            try:
                value, raw_key = record.value(), record.key()
                if value is None or raw_key is None:
                    raise ValueError("it has no key or no value")
                change = self._decode(value)
                key = raw_key.decode()
            except DecodeError as error:
                dead.append(dead_letter_of(record, error))
                continue
            except Exception as error:
                dead.append(dead_letter_of(record, DecodeError(f"not a change: {error}")))
                continue
            group = groups.get(key)
            if group is None:
                group = groups[key] = (aggregate_of_topic(record.topic()), [])
            group[1].append((change, record))
            if change.kind != "change" and offset < new_until:
                in_doubt.add(key)
        offsets.end_batch()
        return groups, in_doubt, dead

    async def _take_over(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The fencing tokens of these partitions. Newly assigned ones are taken over: their last worker can no longer
        write.
        """
        new = [partition for partition in partitions if partition not in self._tokens]
        if new:
            self._tokens |= await self._store.take(new)
        return {partition: self._tokens[partition] for partition in partitions}

    def take_quiet_flows(self, before: float, limit: int) -> list[str]:
        """Take at most `limit` flows that were last settled at `before` (of `time.monotonic`) or earlier, to check
        their invariants.
        """
        taken = self._flows.take(before, limit, self._busy)
        for key in taken:
            self.committer.due.done(("flow", key))
        return taken

    async def trace_intents(self, contexts: Mapping[str, str]) -> None:
        """Keep the contexts of traces (aggregate → context) in the intents that the last batch caused."""
        await self._store.rows("trace_intents", {"contexts": msgspec.json.encode(contexts).decode()})

    def will_check(self, key: str) -> bool:
        """Whether this worker settled the flow, and will check it itself."""
        return key in self._flows

    def cached(self, key: str) -> AggregateState | None:
        """The aggregate as the hub has it, if it is in memory and no batch changes it right now."""
        return None if key in self._busy else self._cache.peek(key)

    async def _encode_records(self, settled: Settled) -> list[Output | DeadLetter]:
        """The canonical records of a batch as Kafka messages; a dead letter for each that cannot be encoded."""
        encoded: list[Output | DeadLetter] = []
        for number, (entity, entity_id, version, record, source) in enumerate(records_to_emit(settled)):
            if number % ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                output = Output(*self._message(entity, entity_id, version, record))
                if output.value is not None and len(output.value) > limits.RECORD:
                    raise EncodeError(
                        f"{entity} {entity_id} takes {len(output.value):,} bytes, more than {limits.RECORD:,}",
                        remedy="the hub has it whole; map fewer or shorter columns of it: nothing is cut",
                    )
                encoded.append(output)
            except Exception as error:
                encoded.append(dead_letter_of(source, error))
        return encoded

    def _collect(
        self, committed: Committed, outputs: list[Output], dead: list[DeadLetter], unencodable: list[DeadLetter]
    ) -> None:
        """Add what one transaction leads to, in the order in which it is emitted: conflicts, messages, canonical
        records.
        """
        settled = committed.settled
        self._measure(settled.source_times)
        now = now_us()
        outputs.extend(Output(*self._conflict_message(conflict, now)) for conflict in committed.conflicts)
        self.counts["conflicts"] += len(committed.conflicts)
        for topic, key, change in (*committed.sent_on, *refreshes(committed.saved.referring)):
            outputs.append(Output(topic, key.encode(), self._encode(change)))
        for encoded in committed.encoded:
            if isinstance(encoded, DeadLetter):
                self.counts["unencodable"] += 1
                dead.append(encoded)
                unencodable.append(encoded)
            else:
                outputs.append(encoded)
        dead.extend(committed.dead_letters)
        self.counts.update(settled.counts)
        self.counts["intents"] += len(settled.intents)

    def _measure(self, source_times: list[tuple[int, str]]) -> None:
        """Keep the latency of some of these changes, and the longest."""
        if not source_times:
            return
        now = now_us()
        for source_us, _ in source_times[:: max(1, len(source_times) // LATENCY_SAMPLES)]:
            self.latencies.append(now - source_us)
        oldest, aggregate_id = min(source_times)
        if now - oldest > self.slowest[0]:
            self.slowest = (now - oldest, aggregate_id)


class _AssignedOffsets:
    """By partition, up to which offset its records may belong to a batch that the hub committed and nobody emitted."""

    def __init__(self) -> None:
        self._first: dict[Partition, int] = {}
        """The first offset that was read since the partition was assigned."""
        self._begun: dict[Partition, int] = {}
        """The offset after the last one that this worker began a batch with. It outlives a rebalance."""
        self._batch: dict[Partition, int] = {}

    def clear(self) -> None:
        self._first.clear()

    def begin_batch(self) -> None:
        self._batch = {}

    def see(self, partition: Partition, offset: int) -> int:
        """Before which offset a record of the partition is in doubt."""
        self._batch[partition] = offset + 1
        first = self._first.setdefault(partition, offset)
        return max(first + IN_DOUBT_OFFSETS, self._begun.get(partition, 0))

    def end_batch(self) -> None:
        """The batch counts as begun from now on: if it fails and is read again, all of it is in doubt."""
        self._begun |= self._batch
