"""The targets, and which of them a run reaches. In: the figures of `make bench`. Out: `Target`s, in the order of the
table.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Target(msgspec.Struct):
    """`at_most` says whether less is better. `reached` is None for what was not measured; `run` names the run that
    measured it, where that is another.
    """

    name: str
    unit: str
    target: float
    reached: float | None
    at_most: bool = False
    holds: bool = False
    run: str = ""

    def __post_init__(self) -> None:
        if self.reached is not None:
            self.holds = self.reached <= self.target if self.at_most else self.reached >= self.target


def targets(figures: dict[str, Any]) -> list[Target]:
    """`figures` as `benchmarks.bench` collects them; a part that is missing gives None."""
    stages = {s["name"]: s for s in figures.get("stages", [])}
    null = stages.get("ingest, whole step, null sink", {})
    lanes = figures.get("lanes", {})
    ours, bare = lanes.get("opshub", {}), lanes.get("bare", {})
    halves = {h["role"]: h for h in figures.get("halves", [])}
    first = {h["role"]: h for h in figures.get("first_load", [])}
    assemble, load = halves.get("assemble", {}), first.get("assemble", {})
    rising = figures.get("rising", {})
    half = figures.get("half_load", {}).get("latency_ms", {}).get("hub", {})
    at500 = figures.get("at_500", {}).get("latency_ms", {}).get("hub", {})
    raw = figures.get("half_load", {}).get("latency_ms", {}).get("raw topic", {})
    others = figures.get("other_runs", {})
    beside, growth = others.get("jdbc-sink", {}), others.get("series", {}).get("growth", {})
    memory = [half["memory_mb"] for half in (*halves.values(), *first.values())]
    ratio = ours["per_second"] / bare["per_second"] if ours and bare else None
    return [
        Target("ingest, null sink: CPU of a change", "us", 10, null.get("us"), True),
        Target("ingest, null sink", "changes/s", 80_000, null.get("per_second")),
        Target("ingest, Kafka in and out", "changes/s", 50_000, ours.get("per_second")),
        Target("ingest, Kafka in and out: CPU of a change", "us", 20, ours.get("us"), True),
        Target("ingest, share of bare confluent-kafka", "ratio", 0.8, round(ratio, 2) if ratio else None),
        Target("stream step, first goal", "changes/s", 30_000, ours.get("per_second")),
        Target("stream step, first goal: CPU of a change", "us", 30, ours.get("us"), True),
        Target("assemble (join, resolve, upsert, emit), a backlog", "changes/s", 25_000, assemble.get("per_second")),
        Target("assemble, a backlog: CPU of a change", "us", 25, assemble.get("cpu_us"), True),
        Target("assemble, history and backlog into an empty hub", "changes/s", 25_000, load.get("per_second")),
        Target("assemble, into an empty hub: CPU of a change", "us", 25, load.get("cpu_us"), True),
        Target("end to end, sustained", "row changes/s", 12_000, rising.get("best")),
        Target(
            "end to end, jobs (transactions of hundreds of rows)",
            "row changes/s",
            12_000,
            figures.get("jobs", {}).get("best"),
        ),
        Target("end to end, first goal", "row changes/s", 5_000, rising.get("best")),
        Target(
            "end to end, beside Debezium + JDBC sink", "ratio", 3, beside.get("ratio"), run=_of(beside, "jdbc_sink")
        ),
        Target("latency at half of capacity, p50", "ms", 50, half.get("p50"), True),
        Target("latency at half of capacity, p99", "ms", 200, half.get("p99"), True),
        Target("latency at half of capacity, p99.9", "ms", 500, half.get("p99.9"), True),
        Target("the same to the raw topic alone, p50", "ms", 15, raw.get("p50"), True),
        Target("the same to the raw topic alone, p99", "ms", 35, raw.get("p99"), True),
        Target("latency at 500/s, p50", "ms", 100, at500.get("p50"), True),
        Target("latency at 500/s, p99", "ms", 300, at500.get("p99"), True),
        Target("memory of a worker's larger process after this run", "MB", 200, max(memory, default=None), True),
        Target(
            "assemble with 10 million rows in the hub, beside an empty one",
            "ratio",
            0.85,
            growth.get("share_at_largest"),
            run=_of(growth, "series"),
        ),
        Target("ingest, two workers beside one", "ratio", 1.7, growth.get("second_worker"), run=_of(growth, "series")),
        Target("cold start of a worker to its first record", "s", 3, first.get("ingest", {}).get("start_s"), True),
    ]


def _of(result: dict[str, Any], module: str) -> str:
    return f"benchmarks.{module}, {result['date'][:10]}" if result else ""
