"""Load with random faults for as long as you like: `python -m tests.faults.soak --minutes 60`, or `make soak
MINUTES=60`.

In: minutes, rate, seed. Out: one HTML page with memory, file handles, offsets, lag, hub size and bloat over time, the
faults marked in it, and the limits; exit code 1 when a limit is passed or the checker finds anything.
"""

from __future__ import annotations

import argparse
import html
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil
import psycopg

from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from tests.conftest import stack_settings
from tests.faults.checker import Findings
from tests.faults.field import Field
from tests.faults.rush import Rush
from tests.faults.suite import FAULTS
from tests.waiting import came_true

MILD = (
    "SIGKILL worker", "SIGSTOP worker past its session", "SIGKILL at ingest.hub", "SIGKILL at assemble.hub", "SIGKILL at assemble.produced", "SIGKILL at deliver.target",
    "SIGKILL connect", "SIGKILL hub", "SIGKILL kafka", "SIGKILL registry", "poison records", "replay of one topic",
)  # fmt: skip
"""Faults that leave what was said before in place."""
EVERY_SECONDS = 2.0
Series = dict[str, list[tuple[float, float]]]


class Sampler(threading.Thread):
    """Figures of every process of ours, of the lag and of the hub, over time."""

    def __init__(self, field: Field) -> None:
        super().__init__(name="sampler", daemon=True)
        self._field = field
        self._ended = threading.Event()
        self.began = time.monotonic()
        self.charts: dict[str, Series] = defaultdict(lambda: defaultdict(list))
        self.lives: dict[tuple[str, int], list[float]] = defaultdict(list)
        """(process, pid) → its memory in MB, one sample after another."""
        self.unread = 0
        """Samples of lag or hub that could not be taken, since a server was down."""

    def at(self) -> float:
        return time.monotonic() - self.began

    def stop(self) -> None:
        self._ended.set()
        self.join(30)

    def run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self._processes()
            try:
                self._offsets()
                size, dead, live = self._hub()
                self._note("hub, MB", "database", size / 1e6)
                self._note("hub bloat, % of entity's rows that are dead", "entity", 100 * dead / max(1, dead + live))
            except Exception:
                self.unread += 1

    def _offsets(self) -> None:
        for lane, partitions in self._field.offsets().items():
            read, end = (sum(column) for column in zip(*partitions.values(), strict=True))
            self._note("offsets, in thousands", f"end of what {lane} reads", end / 1000)
            self._note("offsets, in thousands", f"read by {lane}", read / 1000)
            self._note("lag, records", lane, end - read)
        self._note("intents", "delivered", self._field.delivered())

    def _hub(self) -> tuple[int, int, int]:
        with psycopg.connect(self._field.settings.hub, connect_timeout=2) as hub:
            row = hub.execute(
                "SELECT pg_database_size(current_database()), n_dead_tup, n_live_tup FROM pg_stat_user_tables WHERE relname = 'entity'"
            ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1]), int(row[2])

    def _processes(self) -> None:
        pids = dict(self._field.pids())
        pids |= {one.name: one.pid for one in self._field.stack.status() if one.pid is not None}
        for name, pid in pids.items():
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                memory = sum(one.memory_info().rss for one in family) / 1e6
                handles = sum(one.num_fds() for one in family)
            except psutil.Error:
                continue
            self._note("memory, MB", name, memory)
            self._note("file handles", name, handles)
            self.lives[name, pid].append(memory)

    def _note(self, chart: str, line: str, value: float) -> None:
        self.charts[chart][line].append((self.at(), value))


def limits(sampler: Sampler, findings: Findings | None, recoveries: list[float]) -> list[tuple[str, str, bool]]:
    """(what, what was found, whether it holds)."""
    workers = {name: line for name, line in sampler.charts["memory, MB"].items() if name.startswith("w")}
    handles = {name: line for name, line in sampler.charts["file handles"].items() if name.startswith("w")}
    memory = max((value for line in workers.values() for _, value in line), default=0.0)
    files = max((value for line in handles.values() for _, value in line), default=0.0)
    bloat = [
        value for line in sampler.charts["hub bloat, % of entity's rows that are dead"].values() for _, value in line
    ]
    grown = [
        (statistics.median(life[-len(life) // 4 :]) - statistics.median(life[len(life) // 2 : -len(life) // 4]), name)
        for (name, _), life in sampler.lives.items()
        if name.startswith("w") and len(life) * EVERY_SECONDS > 300
    ]
    most, who = max(grown, default=(0.0, "no worker lived for five minutes"))
    slowest = max(recoveries, default=0.0)
    return [
        ("memory of a worker below 700 MB", f"{memory:.0f} MB", memory < 700),
        ("in the last quarter of its life a worker holds less than 40 MB more than in the quarter before", f"{most:.0f} MB ({who})", most < 40),
        ("file handles of a worker below 400", f"{files:.0f}", files < 400),
        ("dead rows of entity below 60 % at the end", f"{bloat[-1] if bloat else 0:.0f} %", not bloat or bloat[-1] < 60),
        ("work goes on within 60 s of each fault", f"{slowest:.1f} s", slowest < 60),
        ("the checker finds nothing", str(findings).splitlines()[0] if findings else "did not come to rest", findings is not None and findings.hold),
    ]  # fmt: skip


def page(sampler: Sampler, faults: list[tuple[float, str]], told: list[tuple[str, str, bool]], title: str) -> str:
    """Everything on one page that loads nothing."""
    colours = [
        "#4269d0",
        "#efb118",
        "#ff725c",
        "#6cc5b0",
        "#3ca951",
        "#ff8ab7",
        "#a463f2",
        "#97bbf5",
        "#9c6b4e",
        "#555",
    ]
    wide, high = 900, 200
    end = max(sampler.at(), 1.0)
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:14px sans-serif;margin:2em;max-width:60em}td{padding:.2em 1em .2em 0}.bad{color:#b00;font-weight:bold}svg{background:#fafafa}</style>"
        f"<h1>{title}</h1><table>"
        + "".join(f"<tr><td>{html.escape(what)}<td>{html.escape(found)}<td{'' if ok else ' class=bad'}>{'holds' if ok else 'PASSED'}" for what, found, ok in told)
        + "</table>"
    ]  # fmt: skip
    for name, chart in sampler.charts.items():
        top = max((value for line in chart.values() for _, value in line), default=1.0) or 1.0
        marks = "".join(
            f'<line x1="{wide * at / end:.0f}" x2="{wide * at / end:.0f}" y1="0" y2="{high}" stroke="#ccc"><title>{html.escape(what)}</title></line>'
            for at, what in faults
        )
        lines = "".join(
            f'<polyline fill="none" stroke="{colours[n % len(colours)]}" points="'
            + " ".join(f"{wide * at / end:.1f},{high - high * value / top:.1f}" for at, value in line)
            + f'"><title>{html.escape(label)}</title></polyline>'
            for n, (label, line) in enumerate(chart.items())
        )
        legend = " ".join(
            f'<span style="color:{colours[n % len(colours)]}">■ {html.escape(label)}</span>'
            for n, label in enumerate(chart)
        )
        parts.append(
            f"<h2>{html.escape(name)} (up to {top:,.0f})</h2><svg width={wide} height={high}>{marks}{lines}</svg><p>{legend}"
        )
    parts.append(
        "<h2>Faults</h2><ol>" + "".join(f"<li>{at:.0f} s: {html.escape(what)}" for at, what in faults) + "</ol>"
    )
    return "".join(parts)


def soak(field: Field, minutes: float, rate: float, seed: int, out: Path) -> int:
    rng = random.Random(seed)
    for name in ("w0", "w1"):
        field.work(name)
    assert came_true(field.working, 120), "the workers did not start"
    sampler = Sampler(field)
    sampler.start()
    faults: list[tuple[float, str]] = []
    recoveries: list[float] = []
    findings: Findings | None = None
    field.load()
    try:
        with Rush(dsn_of(field.env, "DEMO_CRM", "APP"), rate=rate, seed=seed) as rush:
            while sampler.at() < minutes * 60:
                time.sleep(rng.uniform(15, 40))
                name = rng.choice(MILD)
                faults.append((sampler.at(), name))
                print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
                FAULTS[name](field, rng)
                recoveries.append(field.recovered(180))
        field.note(rush.journal)
        findings = field.settle(600)
    except Exception as error:
        print(f"ended early: {error}", flush=True)
        faults.append((sampler.at(), f"ended early: {error}"))
    sampler.stop()
    told = limits(sampler, findings, recoveries)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        page(sampler, faults, told, f"opshub soak: {minutes:g} minutes, {rate:g} rows/s, seed {seed}"), encoding="utf-8"
    )
    for what, found, ok in told:
        print(f"{'holds ' if ok else 'PASSED'} {what}: {found}")
    print(f"{len(faults)} faults; {out}")
    return 0 if all(ok for *_, ok in told) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=300, help="rows a second, beside two clerks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(".opshub/soak.html"))
    given = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="opshub-soak-"))
    stack = NativeStack(stack_settings(state), end_with_parent=True)
    try:
        stack.up()
        with Field(stack, seed=given.seed) as field:
            return soak(field, given.minutes, given.rate, given.seed, given.out)
    finally:
        stack.down()
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
