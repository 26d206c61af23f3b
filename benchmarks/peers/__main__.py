"""`make bench-peers`: every peer and ours on the same records, in turns; medians; whether the output is equal. Writes
results/peers.json.

`python -m benchmarks.peers [--repeats 5] [--only faust,bytewax] [--copies 3]`. A peer's output is equal when the
changes that it produced are, as a multiset of bytes, those that ours produced. Ours also looks up homes, tells links
and accounts for records; bare does the same without a framework. Each pass is a process of its own. Without `--only`,
Debezium's JDBC sink is measured too, from end to end (`benchmarks.jdbc_sink`). With it, rows of the result that others
measured stay, ours among them.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import jdbc_sink, lanes, recording
from benchmarks.peers.install import PEERS, ROOT, install
from benchmarks.peers.result import note
from benchmarks.run import machine
from benchmarks.site import Site, site
from benchmarks.whole import make_backlog
from streams.cli.context import load_settings
from streams.emit.change_codec import decode_change, encode_change
from streams.errors import EnvironmentFault
from streams.runtime.startup import calm_collector

ENDS_WITHIN = 300
"""Seconds for one start of a peer."""
WORK = "raw topic → decode, map, encode a change → topic"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_peer(peer: str, python: Path, here: Site, topics: list[str], count: int, out: str) -> dict[str, float]:
    """One pass of one peer. Raises RuntimeError with the end of what it printed when it fails."""
    given = {
        "bootstrap": here.settings.kafka,
        "topics": topics,
        "count": count,
        "out": out,
        "schema_id": 1,
    }
    name, *options = peer.split()
    done = subprocess.run(
        [python, Path(__file__).parent / name / "run.py", json.dumps(given), *options], capture_output=True, text=True, timeout=ENDS_WITHIN, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    try:
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        raise RuntimeError(f"{peer} ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}") from None


def changes_in(bootstrap: str, topic: str) -> Counter[bytes]:
    """The changes in a topic, in opshub's form; links, which only opshub emits, left out. The peers on a JVM write the
    former Avro form.
    """
    decoded = (decode_change(value) for r in recording.read_topics(bootstrap, [topic]) if (value := r.value()))
    return Counter(encode_change(change) for change in decoded if change.kind == "change")


def passes(way: str, told: dict[str, float], out: str) -> list[tuple[str, dict[str, float], str]]:
    """What one start of a peer measured, each with its name and its topic: on a JVM the first pass, and a second with
    compiled code.
    """
    found = [(way, {key: told[key] for key in ("per_second", "us")}, out)]
    if "again_us" in told:
        warm = {key: told[f"again_{key}"] for key in ("per_second", "us")}
        found.append((f"{way}, second pass", warm, f"{out}.again"))
    return found


def one_pass(way: str, python: Path | None, here: Site, topics: list[str], count: int, out: str) -> dict[str, float]:
    if python is not None:
        return run_peer(way, python, here, topics, count, out)
    name = "opshub" if way == "opshub" else "bare"
    return dict(msgspec.to_builtins(lanes.in_its_own_process(name, here.settings, topics, count, out)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-peers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    ways: dict[str, Path | None] = {"opshub": None, "bare confluent-kafka": None}
    failed: dict[str, str] = {}
    for peer in given.only.split(",") if given.only else PEERS:
        say(f"installing {peer}")
        try:
            ways[peer] = install(peer)
        except (subprocess.CalledProcessError, EnvironmentFault) as error:
            failed[peer] = f"could not be installed: {error}"
    calm_collector()
    runs: dict[str, list[dict[str, float]]] = {}
    equal: dict[str, bool] = {}
    info = machine()
    whole: dict[str, Any] = {}
    with site(load_settings(), say, plugins=() if given.only else (jdbc_sink.PLUGIN,)) as here:
        make_backlog(here, given.rows, say)
        known = [topic for system in here.systems for topic in system.topics]
        raws = [r for r in recording.in_commit_order(recording.read_topics(here.settings.kafka, known)) if r.value()]
        topics, count = lanes.fill(here.settings, raws, given.copies)
        wanted: Counter[bytes] = Counter()
        for number in range(given.repeats):
            for way, python in ways.items():
                if way in failed:
                    continue
                out = f"out.{time.time_ns()}"  # not `peer.`: the JDBC sink reads all that begins so
                lanes.make_topics(here.settings, [out])
                try:
                    told = one_pass(way, python, here, topics, count, out)
                except (RuntimeError, subprocess.TimeoutExpired, TimeoutError) as error:
                    is_late = isinstance(error, subprocess.TimeoutExpired)
                    failed[way] = f"it had not ended after {ENDS_WITHIN} s" if is_late else str(error)
                    say(f"{way}: {failed[way]}")
                    continue
                for pass_, figures, topic in passes(way, told, out):
                    runs.setdefault(pass_, []).append(figures)
                    say(f"{number + 1}/{given.repeats} {pass_}: {figures['per_second']:,.0f}/s, {figures['us']:.1f} us")
                    if number == 0:
                        made = changes_in(here.settings.kafka, topic)
                        wanted = wanted or made
                        equal[pass_] = made == wanted
        if not given.only:
            try:
                whole = jdbc_sink.compare(here, given.rows, given.repeats, say)
            except TimeoutError as error:
                failed["Debezium + JDBC sink"] = str(error)
    told_all: list[dict[str, Any]] = [
        {"peer": way, "work": WORK, "events_per_s": round(statistics.median(r["per_second"] for r in all_)), "cpu_us": round(statistics.median(r["us"] for r in all_), 1),
         "equal_output": equal[way], "runs": len(all_)}
        for way, all_ in runs.items()
    ]  # fmt: skip
    told_all += [
        {"peer": way, "work": WORK, "events_per_s": None, "cpu_us": None, "equal_output": False, "error": text}
        for way, text in failed.items()
    ]
    kept = told_all if not given.only else [t for t in told_all if t["peer"].split(",")[0] in given.only.split(",")]
    note(kept, anew=not given.only)
    if whole:
        jdbc_sink.keep(whole)
    table = Table(title=f"the same work, the same {count:,} records, load before {info['load_before']}")
    for head in ("peer", "events/s", "CPU us", "output equal"):
        table.add_column(head, justify="left" if head == "peer" else "right")
    for t in sorted((t for t in told_all if t["work"] == WORK), key=lambda t: -(t["events_per_s"] or 0)):
        table.add_row(
            t["peer"],
            f"{t['events_per_s'] or 0:,}",
            f"{t['cpu_us'] or '-'}",
            "yes" if t["equal_output"] else t.get("error", "no")[:80],
        )
    Console().print(table)
    if whole:
        print(jdbc_sink.summary(whole))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
