"""Each stage alone: no Kafka, no source, no sink but where the stage is one. Each has its limit beside it, and the
ratio to it.

In: raw records in commit order. Out: `Stage`s. CPU is that of this process, per raw record (`changes` stages: per
change). A stage and its limit take turns, `repeats` times; the median counts.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar

import fastavro
import msgspec

from benchmarks.recording import Raw
from streams.agents.ingest import route_of
from streams.emit.change_codec import decode_change, encode_change
from streams.emit.encode import encoder
from streams.emit.wire import output_maker
from streams.mapping.source_types import ColumnTypes
from streams.model.change import Change
from streams.model.entities import ENTITIES, avro_schema
from streams.model.names import aggregate_of_topic, changes_topic
from streams.model.state import AggregateState
from streams.pipeline.ingest import Ingest
from streams.pipeline.settle import SettleBatch, Settled, settle
from streams.pipeline.settle.emitted import records_to_emit
from streams.provision.column_types import compile_with_types
from streams.provision.systems import System, load_systems
from streams.resolve.golden import Ownership
from streams.settings import Settings

T = TypeVar("T")


class Stage(msgspec.Struct):
    """One stage: `us` is CPU microseconds a unit, `limit_us` the same of the least that could do the work."""

    name: str
    unit: str
    us: float
    per_second: float
    limit: str = ""
    limit_us: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.us / self.limit_us if self.limit_us else None


async def nothing(name: str, *parameters: Any) -> list[Any]:
    """The hub of a null sink: it knows nobody, so that every id is its own home."""
    return []


def now(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing: run without an event loop, whose cost is not the stage's."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise RuntimeError("a stage with a null sink waits for nothing")


def schema_ids() -> dict[str, int]:
    """Ids that no registry gave: the bytes are as many."""
    names = [entity.topic for entity in ENTITIES.values() if entity.topic]
    return {f"{name}-value": number for number, name in enumerate(names, 1)}


def routes_of(systems: list[System]) -> dict[str, Any]:
    routes: dict[str, Any] = {}
    for system in systems:
        route = route_of(system)
        routes |= dict.fromkeys(route.decoder.topics, route)
    return routes


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of one call, with the collector as workers have it."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def measured(
    name: str,
    unit: str,
    count: int,
    work: Callable[[], object],
    limit: str = "",
    least: Callable[[], object] | None = None,
    repeats: int = 5,
    least_count: int | None = None,
) -> Stage:
    """Medians of `work` and `least`, in turns."""
    times: list[tuple[float, float]] = []
    bare: list[float] = []
    for _ in range(repeats):
        times.append(cost(work))
        if least is not None:
            bare.append(cost(least)[0])
    cpu = statistics.median(t[0] for t in times) / count * 1e6
    wall = statistics.median(t[1] for t in times)
    return Stage(
        name,
        unit,
        round(cpu, 2),
        round(count / wall),
        limit,
        round(statistics.median(bare) / (least_count or count) * 1e6, 2) if bare else None,
    )


def batches(records: list[Any], size: int) -> list[list[Any]]:
    return [records[at : at + size] for at in range(0, len(records), size)]


class Corpus:
    """What the recorded records become, stage by stage: each stage's input is made once, by the stages before it."""

    def __init__(self, raws: list[Raw], systems: list[System], ownership: Ownership) -> None:
        self.raws = raws
        self.rows = [r for r in raws if r.value()]
        self.ownership = ownership
        self.routes = routes_of(systems)
        self.ids = schema_ids()
        self.decoded = [self.routes[r.topic()].decode(r.topic(), r.key(), r.value()) for r in self.rows]
        step = Ingest(self.routes, encode_change)
        self.outputs: list[Any] = []
        for batch in batches(raws, 2000):
            outputs, outcome = now(step.step(batch, nothing))
            step.committed(outcome)
            self.outputs += outputs
        self.changes = [decode_change(o.value) for o in self.outputs]
        said = settled_at_home([(o, c) for o, c in zip(self.outputs, self.changes, strict=True) if c.kind == "change"])
        self.said_outputs, self.said = [o for o, _ in said], [c for _, c in said]


def settled_at_home(said: list[tuple[Any, Change]]) -> list[tuple[Any, Change]]:
    """The same changes, each sent to the aggregate that its entity lives in at last, and none before its parent's.

    Links would move members between aggregates, which takes a hub to read them again from. They are one in ten, and
    are left out. Without this, lines would stand apart from the order lines that they name for ever.
    """
    above: dict[str, str] = {}
    first: dict[str, int] = {}
    for at, (_, change) in enumerate(said):
        first.setdefault(change.id, at)
        if (upper := change.parent or change.same_as) is not None:
            above[change.id] = upper

    def way_up(entity_id: str) -> list[str]:
        way = [entity_id]
        while (upper := above.get(way[-1])) is not None and upper not in way:
            way.append(upper)
        return way

    placed = []
    for at, (output, change) in enumerate(said):
        way = way_up(change.id)
        place = max(at, *(first.get(entity_id, 0) for entity_id in way))
        placed.append((place, len(way), at, output._replace(key=way[-1].encode()), change))
    placed.sort(key=lambda item: item[:3])
    return [(output, change) for *_, output, change in placed]


def groups_of(outputs: list[Any], changes: list[Change]) -> dict[str, tuple[str, list[tuple[Change, Any]]]]:
    groups: dict[str, tuple[str, list[tuple[Change, Any]]]] = {}
    for output, change in zip(outputs, changes, strict=True):
        groups.setdefault(output.key.decode(), (aggregate_of_topic(output.topic), []))[1].append((change, output))
    return groups


def settle_all(corpus: Corpus, size: int, sink: Callable[[Settled], None] = lambda _: None) -> None:
    """The pure half of assemble over all changes, in batches of `size`, with every aggregate in memory."""
    states: dict[str, AggregateState] = {}
    said_only = corpus.said_outputs, corpus.said
    for outputs, changes in zip(batches(said_only[0], size), batches(said_only[1], size), strict=True):
        groups = groups_of(outputs, changes)
        for key, (kind, _) in groups.items():
            if key not in states:
                states[key] = AggregateState(key, kind, members={}, sources={})
        settled = settle(SettleBatch(groups), states, corpus.ownership)
        assert isinstance(settled, Settled)
        sink(settled)


class Sent(NamedTuple):
    """Where a message goes, as a record of Kafka says it."""

    topic: str
    key: bytes


def assemble_all(corpus: Corpus, size: int, message: Callable[..., object]) -> int:
    """As `settle_all`, with what aggregates send each other, and `message` for each record that is emitted; how many
    messages that were. Where an order line lives, which the hub says, is known from what was settled.
    """
    states: dict[str, AggregateState] = {}
    lives_in: dict[str, str] = {}
    asked: dict[str, set[str]] = {}
    waiting: deque[tuple[Any, Change]] = deque(zip(corpus.said_outputs, corpus.said, strict=True))
    count = 0
    while waiting:
        taken = [waiting.popleft() for _ in range(min(size, len(waiting)))]
        count += len(taken)
        groups = groups_of([output for output, _ in taken], [change for _, change in taken])
        for key, (kind, _) in groups.items():
            if key not in states:
                states[key] = AggregateState(key, kind, members={}, sources={})
        settled = settle(SettleBatch(groups), states, corpus.ownership)
        assert isinstance(settled, Settled)
        for entity, entity_id, version, record, _ in records_to_emit(settled):
            message(entity, entity_id, version, record)
        for sent in settled.sent_on:
            waiting.append((Sent(sent.topic, sent.key.encode()), sent.change))
        for write in settled.entities.values():
            if write.entity.entity == "sales_order_line":
                lives_in[write.entity.id] = write.aggregate_id
        for aggregate, line in settled.asked_order_lines:
            asked.setdefault(line, set()).add(aggregate)
        for line in {line for _, line in settled.asked_order_lines} | settled.new_order_lines:
            home = lives_in.get(line)
            for aggregate in asked.pop(line, ()) if home is not None else ():
                if aggregate != home:
                    change = Change("elsewhere", "sales_order_line", line, target=home)
                    waiting.append((Sent(changes_topic("order_flow"), aggregate.encode()), change))
    return count


def canonical_records(corpus: Corpus) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []

    def take(settled: Settled) -> None:
        found.extend((entity, record) for entity, _, _, record, _ in records_to_emit(settled) if record is not None)

    settle_all(corpus, 2000, take)
    return found


def pure_stages(corpus: Corpus, repeats: int = 5) -> list[Stage]:
    """Everything that needs no server."""
    rows, routes = corpus.rows, corpus.routes
    values = [r.value() or b"" for r in rows]
    stages = [
        measured(
            "decode", "row", len(rows), lambda: [routes[r.topic()].decode(r.topic(), r.key(), r.value()) for r in rows],
            "msgspec.json.decode of the value", lambda: [loads(v) for v in values], repeats,
        ),
        measured("map", "row", len(rows), lambda: [routes[r.topic()].map(d) for r, d in zip(rows, corpus.decoded, strict=True)], repeats=repeats),
        measured(
            "encode a change", "change", len(corpus.changes), lambda: [encode_change(c) for c in corpus.changes],
            "msgspec.msgpack of the same", lambda: [_msgpack(c) for c in corpus.changes], repeats,
        ),
        measured(
            "decode a change", "change", len(corpus.outputs), lambda: [decode_change(o.value) for o in corpus.outputs],
            "msgspec.msgpack of the same", _unpack([_msgpack(c) for c in corpus.changes]), repeats,
        ),
        _ingest(corpus, repeats),
        measured("settle, batches of 2000", "change", len(corpus.said), lambda: settle_all(corpus, 2000), repeats=repeats),
        measured("settle, batches of 200", "change", len(corpus.said), lambda: settle_all(corpus, 200), repeats=repeats),
        _settle_and_emit(corpus, repeats),
        _canonical(corpus, repeats),
    ]  # fmt: skip
    return stages


def _ingest(corpus: Corpus, repeats: int) -> Stage:
    step = Ingest(corpus.routes, encode_change)
    parts = batches(corpus.raws, 2000)

    def work() -> None:
        step.counted_to = {}

        for part in parts:
            step.committed(now(step.step(part, nothing))[1])

    work()
    values = [r.value() or b"null" for r in corpus.raws]
    dumps = msgspec.json.encode
    return measured(
        "ingest, whole step, null sink", "row", len(corpus.raws), work,
        "msgspec.json.decode + msgspec encode of the row", lambda: [dumps((loads(v) or {}).get("after")) for v in values], repeats,
    )  # fmt: skip


def _settle_and_emit(corpus: Corpus, repeats: int) -> Stage:
    message = output_maker(corpus.ids)

    def emit(settled: Settled) -> None:
        for entity, entity_id, version, record, _ in records_to_emit(settled):
            message(entity, entity_id, version, record)

    def work() -> None:
        for part in batches(corpus.said_outputs, 2000):
            for output in part:
                decode_change(output.value)
        settle_all(corpus, 2000, emit)

    return measured("assemble without hub: decode, settle, emit", "change", len(corpus.said), work, repeats=repeats)


def _canonical(corpus: Corpus, repeats: int) -> Stage:
    import datetime
    import decimal
    import io
    import uuid

    records = canonical_records(corpus)[:6000]
    encoders = {name: encoder(name) for name, _ in records}
    schemas = {name: fastavro.parse_schema(avro_schema(name)) for name in encoders}
    plain: list[tuple[Any, Any]] = []
    for name, record in records:
        body = encoders[name](record)
        plain.append((schemas[name], fastavro.schemaless_reader(io.BytesIO(body), schemas[name], None)))
    del datetime, decimal, uuid

    def bare() -> None:
        for schema, value in plain:
            fastavro.schemaless_writer(io.BytesIO(), schema, value)

    return measured(
        "encode a canonical record", "record", len(records), lambda: [encoders[name](record) for name, record in records],
        "fastavro.schemaless_writer", bare, repeats,
    )  # fmt: skip


_pack = msgspec.msgpack.Encoder().encode
loads = msgspec.json.Decoder().decode


def _msgpack(change: Change) -> bytes:
    return _pack(change)


def _unpack(packed: list[bytes]) -> Callable[[], object]:
    decode = msgspec.msgpack.Decoder(Change).decode
    return lambda: [decode(one) for one in packed]


def as_json(stages: list[Stage]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(s) | {"ratio": round(s.ratio, 2) if s.ratio else None} for s in stages]


def typed_systems(settings: Settings, types: Mapping[str, Mapping[str, ColumnTypes]]) -> list[System]:
    """The systems as workers run them: compiled with the types of their columns, where the recording has these."""
    return [
        msgspec.structs.replace(system, dictionary=compile_with_types(system, types[system.name]).dictionary)
        if system.name in types
        else system
        for system in load_systems(settings)
    ]


def main() -> None:
    """`python -m benchmarks.stages FILE [REPEATS]`: the pure stages over a recording, as JSON lines. Messages are decoded
    and mapped with the types of the columns that the recording holds, as workers do.
    """
    import sys
    from pathlib import Path

    from benchmarks.recording import load
    from streams.paths import connectors_dir
    from streams.resolve.ownership import load_ownership
    from streams.runtime.startup import calm_collector

    settings = Settings()
    raws, types = load(Path(sys.argv[1]))
    corpus = Corpus(raws, typed_systems(settings, types), load_ownership(connectors_dir(settings) / "ownership.yaml"))
    calm_collector()
    print(f"{len(corpus.raws)} raw records, {len(corpus.changes)} changes")
    for line in as_json(pure_stages(corpus, int(sys.argv[2]) if len(sys.argv) > 2 else 3)):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
