"""What needs servers: the hub's upsert alone, the two halves over a backlog, and the whole way at rising rates.

In: a site. Out: figures for `targets`. A backlog is made while no worker runs, then each role works it off alone: what
a worker of that role can do when nothing else holds it up.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psutil
import psycopg

from benchmarks.run import run_workload
from benchmarks.site import Say, Site
from benchmarks.stages import Corpus, Stage, settle_all
from benchmarks.watch import HIGHEST_US
from benchmarks.workload import Phase, Workload
from streams.demo.drain import raw_records
from streams.hub.save import SaveRequest
from streams.hub.store import HubStore
from streams.stack import processes
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_command, worker_environment

LEAST_UPSERT = """
INSERT INTO bench_least AS t (id, rev, record) SELECT id, rev, record FROM json_populate_recordset(null::bench_least, %s)
ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, record = excluded.record WHERE t.rev < excluded.rev
"""


def hub_upsert(site: Site, corpus: Corpus, repeats: int = 3) -> Stage:
    """`HubStore.save` of settled batches into the real hub, against one JSON upsert of the same records into a table of
    three columns.
    """
    work: list[list[Any]] = []
    settle_all(corpus, 2000, lambda settled: work.append(list(settled.entities.values())))
    count = sum(len(rows) for rows in work)
    return asyncio.run(_hub_upsert(site, work, count, repeats))


async def _hub_upsert(site: Site, work: list[list[Any]], count: int, repeats: int) -> Stage:
    store = HubStore(site.settings.hub, "bench")
    times: list[tuple[float, float]] = []
    least: list[float] = []
    try:
        for _ in range(repeats):
            with site.hub() as hub:
                # The benchmark's own hub: nothing that a person needs is in it.
                hub.execute("DROP TABLE IF EXISTS bench_least")
                hub.execute("CREATE TABLE bench_least (id uuid PRIMARY KEY, rev bigint, record jsonb)")
                hub.execute("TRUNCATE entity")
            revisions: dict[str, int] = {}
            wall, cpu = time.perf_counter(), time.process_time()
            for rows in work:
                for entity, _, _ in rows:
                    entity.revision = revisions[entity.id] = revisions.get(entity.id, 0) + 1
                await store.save(SaveRequest(entities=rows, same_known=HIGHEST_US))
            times.append((time.process_time() - cpu, time.perf_counter() - wall))
            encode = msgspec.json.encode
            async with await psycopg.AsyncConnection.connect(
                site.settings.hub, autocommit=True, prepare_threshold=1
            ) as connection:
                wall = time.perf_counter()
                for number, rows in enumerate(work):
                    body = [{"id": e.id, "rev": number, "record": e.record} for e, _, _ in rows]
                    await connection.execute(LEAST_UPSERT, [encode(body).decode()])
                least.append(time.perf_counter() - wall)
    finally:
        await store.close()
        with site.hub() as hub:
            hub.execute("DROP TABLE IF EXISTS bench_least")
            hub.execute("TRUNCATE entity")
    us = statistics.median(t[0] for t in times) / count * 1e6
    seconds = statistics.median(t[1] for t in times)
    # Here wall time counts: most of the work is the server's.
    return Stage("hub upsert (wall; limit: wall)", "row", round(seconds / count * 1e6, 2), round(count / seconds), f"one JSON upsert of 3 columns (client CPU of ours {us:.1f} us)",
                 round(statistics.median(least) / count * 1e6, 2))  # fmt: skip


ROLES = ("ingest", "assemble")


class Half(msgspec.Struct):
    """One role over a backlog."""

    role: str
    records: int
    per_second: float
    """Of all its workers together, from when each of them had a record."""
    cpu_us: float
    memory_mb: float
    """Of the largest worker."""
    start_s: float
    """From the start of the process to its first record."""
    emitted: float
    """Records that were produced for each that was read."""
    workers: int = 1


def half(site: Site, role: str, expected: int | None, say: Say, workers: int = 1) -> Half:
    """Start workers of one role, let them work off what is there, stop them. `expected`: raw records (ingest)."""
    say(f"{role} alone works off what is there{f', {workers} workers' if workers > 1 else ''}")
    started = time.monotonic()
    records = [_start_half(site, f"half-{role}-{number}", role, number) for number in range(workers)]
    run = [psutil.Process(record.pid) for record in records]
    first = last = begun = started
    cpu0 = cpu1 = 0.0
    seen = done = start = quiet = produced = 0
    emptied = False
    memory = 0.0
    try:
        while quiet < 12 and time.monotonic() - started < 240:
            time.sleep(0.1)
            lanes = [w["lanes"][role] for w in worker_stats(site.settings) if w["name"].startswith(f"half-{role}-")]
            now = sum(lane["records_in"] for lane in lanes)
            if now and not seen:
                first = time.monotonic()
            if not start and len(lanes) == workers and all(lane["records_in"] for lane in lanes):
                start, begun, cpu0 = now, time.monotonic(), sum(map(_cpu, run))
            if now > seen:
                quiet = 0
                memory = max(process.memory_info().rss / 1e6 for process in run)
                if not emptied:  # what comes later is what was put off, such as sums
                    last, done = time.monotonic(), now
                    produced = sum(lane["records_out"] for lane in lanes)
                    cpu1 = sum(map(_cpu, run))
            elif now and not any(lane["lag_records"] for lane in lanes):
                quiet += 1
            emptied = emptied or (start > 0 and not any(lane["lag_records"] for lane in lanes))
            seen = now
    finally:
        for record in records:
            processes.stop(record, seconds=20)
    counted = max(1, done - start) if start else 0
    return Half(
        role,
        done,
        round(counted / max(0.001, last - begun), 1),
        round((cpu1 - cpu0) / counted * 1e6, 1) if counted else 0.0,
        round(memory, 1),
        round(first - started, 2),
        round(produced / done, 2) if done else 0.0,
        workers,
    )


def _start_half(site: Site, name: str, role: str, number: int) -> processes.Record:
    own = site.settings.model_copy(update={"worker_name": name, "metrics_port": site.settings.metrics_port + number})
    state = own.state_dir.absolute()
    return processes.spawn(
        name,
        [*worker_command(own, name), "--role", role],
        log=state / "logs" / f"worker-{name}.log",
        cwd=state,
        env=worker_environment(own),
    )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def make_backlog(site: Site, rows: int, say: Say, seed: int = 11) -> int:
    """Row changes in both databases, captured while no worker runs; how many raw records there are then."""
    say(f"a backlog of {rows:,} row changes")
    before = raw_records(site.settings, site.systems)
    with site.company(seed, slow_every=None) as company:
        stats = company.run(rate=rows / 10, seconds=10)
    made, deadline = stats["row_changes"], time.monotonic() + 180
    while time.monotonic() < deadline and raw_records(site.settings, site.systems) < before + made:
        time.sleep(0.5)
    return raw_records(site.settings, site.systems)


def backlogs(site: Site, rows: int, seeds: Iterable[int], say: Say) -> list[dict[str, Any]]:
    """By role, medians over one backlog for each seed; the hub has what came before them."""
    passes = []
    for seed in seeds:
        there = make_backlog(site, rows, say, seed)
        passes.append([half(site, role, there, say) for role in ROLES])
    return [{"role": role} | median(halves) for role, halves in zip(ROLES, zip(*passes, strict=True), strict=True)]


def median(halves: Sequence[Half]) -> dict[str, float]:
    """Of each figure."""
    return {
        name: round(statistics.median(getattr(half, name) for half in halves), 2)
        for name in ("per_second", "cpu_us", "memory_mb", "start_s", "emitted")
    }


def rising(
    site: Site, rates: list[float], seconds: float, say: Say, like: Workload | None = None
) -> tuple[float, list[dict[str, Any]]]:
    """The highest of `rates` at which nothing piled up, and what each gave; the work is that of `like`, else the usual.

    Holds: the company was on schedule, and at the end less than a second's worth of records was left to read.
    """
    best, told = 0.0, []
    for rate in rates:
        work = msgspec.structs.replace(
            like or Workload("rate", []), phases=[Phase(seconds, rate, f"{rate:g}/s")], probe_every=0.1
        )
        result = run_workload(site, msgspec.structs.replace(work, name=f"{work.name} {rate:g}"), say)
        holds = result.lag_end < rate and result.behind_ms_max < 1000
        told.append({"rate": rate, "rows_per_second": result.rows_per_second, "drain_s": result.drain_s, "lag_end": result.lag_end, "holds": holds,
                     "behind_ms": result.behind_ms_max, "latency_ms": result.latency_ms, "cpu_us_per_row": result.cpu_us_per_row, "memory_mb": result.memory_mb})  # fmt: skip
        say(f"{rate:g}/s: {'holds' if holds else 'does not hold'}, {result.latency_ms.get('hub', {})}")
        if not holds:
            break
        best = rate
    return best, told
