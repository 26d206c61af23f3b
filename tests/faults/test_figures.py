"""What issue 7 promises in figures, measured: `pytest -s -m slow tests/faults/test_figures.py` prints them. Speed alone
fails nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.dead_letters.retry import retry
from streams.hub.dead_letters import Filter
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from tests.faults.field import REPOSITORY, Field
from tests.faults.rush import Rush
from tests.waiting import came_true

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RATE = 2000
BROKEN = "language: {column: language, steps: [language]}"
MENDED = 'language: {column: language, steps: [language], bad: "null"}'


@pytest.fixture
def field(own_stack: NativeStack) -> Iterator[Field]:
    with Field(own_stack, partitions=2) as found:
        yield found


def rush(field: Field, *, rate: float = RATE, bad: float = 0.0) -> Rush:
    return Rush(dsn_of(field.env, "DEMO_CRM", "APP"), rate=rate, bad=bad)


def pair(field: Field, number: int) -> None:
    """One worker of two processes, as the demo has it."""
    field.work(f"w{number}", roles=("ingest",))
    field.work(f"w{number + 1}", roles=("assemble", "deliver"))


def falls(field: Field, seconds: float) -> tuple[float, int, list[int]]:
    """(seconds until lag was highest and only fell from then on for three seconds, that lag, one lag a second)."""
    began, highest, at, series = time.monotonic(), -1, 0.0, []
    while (now := time.monotonic() - began) < seconds:
        lag = field.lag()
        series.append(lag)
        if lag >= highest:
            highest, at = lag, now
        if now > at + 3 and lag < highest * 0.9:
            break
        time.sleep(0.5)
    return at, highest, series


def warm(field: Field) -> None:
    """The first minute of a cold JVM says little."""
    assert came_true(field.working, 90)
    with rush(field, rate=1000) as load:
        time.sleep(20)
    field.note(load.journal)
    assert came_true(lambda: field.lag() < 100, 120)


def test_a_worker_is_killed_and_another_takes_over(field: Field) -> None:
    field.work("w0")
    field.work("w1")
    warm(field)
    with rush(field, rate=1000) as load:
        time.sleep(5)
        before = field.lag()
        field.kill("w0")
        at, highest, series = falls(field, 40)
    field.note(load.journal)
    findings = field.settle(200)
    print(
        f"\ntakeover at 1,000/s: lag {before} before the kill, highest {highest} after {at:.1f} s, falling from then on; {series}"
    )
    print(findings)
    assert findings.hold, str(findings)


def test_a_minute_without_hub(field: Field) -> None:
    pair(field, 0)
    warm(field)
    with rush(field) as load:
        time.sleep(5)
        began = load.rows
        field.stack.kill("hub")
        time.sleep(60)
        field.stack.start("hub")
        back = time.monotonic()
        highest = field.lag()
        caught = came_true(lambda: field.lag() < RATE, 240, 0.5)
        took = time.monotonic() - back
        rows, behind = load.rows - began, load.behind
    print(f"\nhub away for 60 s at {RATE:,}/s ({rows:,} rows, load {behind:.1f} s late): lag {highest:,} when it was back; "
          f"{'caught up' if caught else 'NOT caught up'} {took:.0f} s later, load still running")  # fmt: skip
    field.note(load.journal)
    findings = field.settle(240)
    print(findings)
    assert findings.hold, str(findings)


def test_one_in_a_hundred_is_poison(field: Field) -> None:
    """Everything else arrives; after the dictionary is mended and the letters are tried again, all of it has, in
    order.
    """
    folder = field.settings.state_dir / "connectors"
    shutil.copytree(REPOSITORY / "connectors", folder)
    dictionary = folder / "demo-crm" / "dictionary.yaml"
    _write(dictionary, lambda text: text.replace(MENDED, BROKEN))
    field.set(connectors_dir=folder)
    pair(field, 0)
    assert came_true(field.working, 90)
    with rush(field, bad=0.01) as load:
        time.sleep(40)
    field.note(load.journal)
    findings = field.settle(200)
    dead, parked = field.dead_letters("state = 'dead'"), field.dead_letters("state = 'parked'")
    print(
        f"\n{load.rows:,} rows at {RATE:,}/s, {load.behind:.1f} s late; {load.poisoned} poisoned: {dead} dead, {parked} parked behind them"
    )
    print(findings)
    assert findings.hold, str(findings)
    assert dead == load.poisoned > 0 and parked > 0
    _write(dictionary, lambda text: text.replace(BROKEN, MENDED))
    for name in field.workers:
        field.kill(name)
    pair(field, 0)
    assert came_true(field.working, 90)
    began = time.monotonic()
    retried = len(retry(field.settings, Filter(stage="mapping"), "test", limit=100_000))
    assert retried == dead
    assert came_true(lambda: field.dead_letters("state <> 'retried'") == 0, 120), "letters are left"
    took = time.monotonic() - began
    findings = field.settle(120)
    print(f"{retried} tried again with {parked} behind them: done {took:.1f} s later\n{findings}")
    assert findings.hold, str(findings)


def _write(file: Path, change: Callable[[str], str]) -> None:
    text = change(file.read_text())
    assert text != file.read_text(), f"{file} is not what this test was written for"
    file.write_text(text)
