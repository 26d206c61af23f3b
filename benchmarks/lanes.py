"""Ingest with Kafka in and out, beside bare confluent-kafka doing the same, in turns, in one process each.

In: raw records of a recording, produced again to topics of one run. `ours` is a Faust app with a lane and an agent, as
a worker has it: what a batch gave rise to is acknowledged, then offsets are committed, ten times a second. `bare`
polls, calls the same step, produces, waits for every ack and commits: the least that does the same work with the same
promise. `fenced` is bare with a transaction for each batch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.recording import Raw
from benchmarks.stages import nothing, routes_of
from streams.emit.change_codec import encode_change
from streams.pipeline.ingest import Ingest
from streams.provision.systems import System, load_systems
from streams.runtime.acked_lane import CHECKPOINT_EVERY, AckedLane
from streams.runtime.batch import Output
from streams.runtime.batch_loop import each_batch
from streams.runtime.faust_adapter import LaneApp
from streams.runtime.startup import calm_collector
from streams.settings import Settings
from streams.stack.workers import worker_environment

PARTITIONS = 4


class Run(msgspec.Struct):
    """One pass over all records."""

    way: str
    records: int
    per_second: float
    us: float
    """CPU microseconds of the process for each raw record, threads of the Kafka client included."""


def renamed(raws: list[Raw], suffix: str) -> tuple[list[Raw], list[str]]:
    """The same records for topics of their own."""
    return [Raw(r.topic() + suffix, r.partition(), r.offset(), r.key(), r.value()) for r in raws], sorted(
        {r.topic() + suffix for r in raws}
    )


def fill(settings: Settings, raws: list[Raw], copies: int) -> tuple[list[str], int]:
    """Topics that hold the recording `copies` times; their names and how many records."""
    mine, topics = renamed(raws, f".bench{time.time_ns()}")
    make_topics(settings, topics)
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for _ in range(copies):
        for record in mine:
            producer.produce(
                record.topic(), value=record.value(), key=record.key(), partition=record.partition() % PARTITIONS
            )
            if len(producer) > 400_000:
                producer.poll(0.1)
        producer.flush()
    return topics, copies * len(mine)


def make_topics(settings: Settings, topics: list[str]) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})
    for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in topics]).values():
        made.result(30)


def step_for(systems: list[System], topics: list[str]) -> Ingest:
    """An ingest step whose raw topics have other names."""
    routes = routes_of(systems)
    named = {t: _Renamed(routes[t.rsplit(".bench", 1)[0]], t.rsplit(".bench", 1)[0]) for t in topics}
    return Ingest(named, encode_change)


class _Renamed:
    """A route that reads a topic under its old name."""

    def __init__(self, route: Any, topic: str) -> None:
        self._decode, self._topic, self.map = route.decode, topic, route.map
        self.at_epoch, self.begin, self.notes, self.noted = route.at_epoch, route.begin, route.notes, route.noted

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> Any:
        return self._decode(self._topic, key, value)


def ours(settings: Settings, systems: list[System], topics: list[str], count: int, out: str) -> Run:
    """Through the Faust app."""
    return asyncio.run(_ours(settings, systems, topics, count, out))


async def _ours(settings: Settings, systems: list[System], topics: list[str], count: int, out: str) -> Run:
    own = settings.model_copy(update={"app_id": f"bench-{time.time_ns()}"})
    app = LaneApp(own)
    app.loop = asyncio.get_running_loop()
    step = step_for(systems, topics)
    channel = app.lane("ingest", topics, kind=AckedLane)
    lane: Any = app.lanes["ingest"]
    begun: list[tuple[float, float]] = []
    done = asyncio.Event()
    seen = 0

    async def work(batch: Any) -> None:
        nonlocal seen
        if lane.due:
            await lane.checkpoint()
        if not batch.records:
            return
        if not begun:
            begun.append((time.perf_counter(), time.process_time()))
        outputs, taken = await step.step(batch.records, nothing)
        await batch.commit([Output(out, key, value) for _, key, value, _ in outputs])
        step.committed(taken)
        seen += len(batch.records)
        if seen >= count:
            done.set()

    @app.agent(channel, name="ingest")
    async def ingest(stream: Any) -> None:
        await each_batch(stream, work, on_wait=lambda seconds, error: None)

    await app.start()
    try:
        await asyncio.wait_for(done.wait(), 180)
        wall, cpu = time.perf_counter() - begun[0][0], time.process_time() - begun[0][1]
    finally:
        await app.stop()
    return Run("opshub", count, count / wall, cpu / count * 1e6)


def bare(
    settings: Settings, systems: list[System], topics: list[str], count: int, out: str, *, transactions: bool = False
) -> Run:
    """A loop over confluent-kafka; no framework."""
    from benchmarks.stages import now

    step = step_for(systems, topics)
    group = f"bare-{time.time_ns()}"
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
         "isolation.level": "read_committed", "queued.min.messages": 20_000, "log_level": 0}
    )  # fmt: skip
    config: dict[str, Any] = {"bootstrap.servers": settings.kafka, "compression.type": "lz4", "linger.ms": 2, "batch.num.messages": 10_000,
                              "queue.buffering.max.messages": 500_000, "log_level": 0}  # fmt: skip
    config |= {"transactional.id": group} if transactions else {"enable.idempotence": True}
    producer = Producer(config)
    if transactions:
        producer.init_transactions(30)
    consumer.subscribe(topics)
    seen, begun, settled = 0, (0.0, 0.0), time.monotonic()
    while seen < count:
        batch = [m for m in consumer.consume(settings.batch_size, 0.1) if m.error() is None]
        if not batch:
            continue
        if not seen:
            begun = (time.perf_counter(), time.process_time())
        outputs, taken = now(step.step(batch, nothing))
        if transactions:
            producer.begin_transaction()
        for _, key, value, _ in outputs:
            producer.produce(out, value=value, key=key)
        if transactions:
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30
            )
            producer.commit_transaction(30)
        else:
            producer.flush()
            if time.monotonic() > settled + CHECKPOINT_EVERY:
                consumer.commit(asynchronous=True)
                settled = time.monotonic()
        step.committed(taken)
        seen += len(batch)
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    consumer.close()
    return Run("fenced" if transactions else "bare", count, count / wall, cpu / count * 1e6)


def in_its_own_process(way: str, settings: Settings, topics: list[str], count: int, out: str) -> Run:
    """One pass of `opshub` or `bare` in a fresh process, as peers have it: nothing that others left there is in its
    way, or warm.
    """
    given = json.dumps([way, topics, count, out])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.lanes", given], capture_output=True, text=True, timeout=300, check=False,
        cwd=Path(__file__).parents[1], env=worker_environment(settings),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{way} ended with {done.returncode}: {done.stderr[-600:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def main() -> None:
    way, topics, count, out = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.ERROR)
    settings = Settings()
    systems = load_systems(settings)
    calm_collector()
    run = {"opshub": ours, "bare": bare}[way](settings, systems, topics, count, out)
    print(msgspec.json.encode(run).decode(), flush=True)


def compare(
    settings: Settings, systems: list[System], raws: list[Raw], *, copies: int = 4, repeats: int = 3
) -> dict[str, dict[str, float]]:
    """Medians of `repeats` passes, in turns: way → {per_second, us}. The first pass of each warms up and does not
    count.
    """
    topics, count = fill(settings, raws, copies)
    out = f"bench.out.{time.time_ns()}"
    make_topics(settings, [out])
    runs: dict[str, list[Run]] = {}
    for number in range(repeats + 1):
        for run in (
            ours(settings, systems, topics, count, out),
            bare(settings, systems, topics, count, out),
            bare(settings, systems, topics, count, out, transactions=True),
        ):
            if number:
                runs.setdefault(run.way, []).append(run)
            print(f"  {run.way}: {run.per_second:,.0f}/s, {run.us:.1f} us", file=sys.stderr)
    admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})
    for gone in admin.delete_topics([*topics, out]).values():
        gone.result(30)
    return {
        way: {
            "per_second": round(statistics.median(r.per_second for r in all_)),
            "us": round(statistics.median(r.us for r in all_), 1),
        }
        for way, all_ in runs.items()
    }


if __name__ == "__main__":
    main()
