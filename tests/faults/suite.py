"""The fault suite: `python -m tests.faults.suite --seed 1 --minutes 20`, or `make faults SEED=1 MINUTES=20`.

A schedule that the seed alone decides: load runs, faults follow each other, and after each round everything comes to rest and is
checked. Ends with a table: fault, times, lost, doubled, differing, gone back, recovery p50 and max. Exit code 1 when something does not hold.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import psycopg
from confluent_kafka import Producer

from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from tests.conftest import stack_settings
from tests.faults.checker import KINDS
from tests.faults.clerk import wait_for
from tests.faults.field import Field

SERVERS = ("kafka", "connect", "hub", "registry", "crm", "erp")
Fault = Callable[[Field, random.Random], None]


def kill_worker(field: Field, rng: random.Random) -> None:
    name = rng.choice(sorted(field.workers))
    field.kill(name)
    field.work(name)


def zombie(field: Field, rng: random.Random) -> None:
    name = rng.choice(sorted(field.workers))
    field.send(name, signal.SIGSTOP)
    time.sleep(field.settings.session_timeout_ms / 1000 + 4)
    field.send(name, signal.SIGCONT)


def fault_point(lane: str, step: str, action: str) -> Fault:
    def inject(field: Field, rng: random.Random) -> None:
        name = rng.choice(sorted(field.workers))
        field.kill(name)
        field.work(name, fault=f"{lane}.{step}:{action}:{rng.randint(1, 3)}")
        wait_for(lambda: field.ended(name) is not None, 60 if action == "kill" else 5)

    return inject


def storm(field: Field, rng: random.Random) -> None:
    for number in range(4):
        field.work(f"w{5 + number}")
        time.sleep(rng.uniform(2, 5))
        field.kill(f"w{5 + number}")


def kill_server(name: str) -> Fault:
    def inject(field: Field, rng: random.Random) -> None:
        field.stack.kill(name)
        time.sleep(rng.uniform(1, 8))
        field.stack.start(name)
        if name in ("crm", "erp", "kafka", "connect"):
            field.revive_capture()

    return inject


def stop_server(name: str) -> Fault:
    def inject(field: Field, rng: random.Random) -> None:
        field.stack.kill(name, signal.SIGSTOP)
        time.sleep(field.settings.session_timeout_ms / 1000 + 4)
        field.stack.kill(name, signal.SIGCONT)
        if name in ("crm", "erp", "kafka", "connect"):
            field.revive_capture()

    return inject


def replay(field: Field, rng: random.Random) -> None:
    """All that was ever captured is delivered again."""
    names = sorted(field.workers)
    for name in names:
        field.kill(name)
    wait_for(field.rewind, 60, 1.0)
    for name in names:
        field.work(name)


def poison(field: Field, rng: random.Random) -> None:
    """Records that nobody can read, one of them with more than a megabyte less a little."""
    producer = Producer({"bootstrap.servers": field.settings.kafka, "log_level": 0})
    for number in range(20):
        value = b"not json" if number else b'{"op":"c","x":"' + b"y" * 950_000 + b'"}'
        producer.produce("raw.demo-crm.public.account", key=f'{{"id":"poison-{rng.random()}"}}', value=value)
    producer.flush(20)


def large_transaction(field: Field, rng: random.Random) -> None:
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "APP")) as connection:
        connection.execute(
            "INSERT INTO account (name, billing_country) SELECT 'Bulk ' || n, 'Germany' FROM generate_series(1, 20000) n"
        )


def truncate(field: Field, rng: random.Random) -> None:
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "ADMIN")) as connection:
        connection.execute("TRUNCATE contact")
    for clerk in field.clerks:
        clerk.forget("public.contact")


FAULTS: dict[str, Fault] = {
    "SIGKILL worker": kill_worker,
    "SIGSTOP worker past its session": zombie,
    "rebalance storm": storm,
    **{
        f"SIGKILL at {lane}.{step}": fault_point(lane, step, "kill")
        for lane in ("ingest", "assemble")
        for step in ("read", "hub", "produced", "committed")
    },
    "refusal at ingest.produced": fault_point("ingest", "produced", "raise"),
    **{f"SIGKILL {name}": kill_server(name) for name in SERVERS},
    **{f"SIGSTOP {name}": stop_server(name) for name in SERVERS},
    "replay from offset 0": replay,
    "poison and oversized records": poison,
    "transaction of 20,000 rows": large_transaction,
    "TRUNCATE": truncate,
}


def run(field: Field, seed: int, minutes: float, names: list[str]) -> int:
    rng = random.Random(seed)
    times: Counter[str] = Counter()
    recoveries: dict[str, list[float]] = defaultdict(list)
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    end = time.monotonic() + minutes * 60
    field.work("w0")
    field.work("w1")
    assert wait_for(field.working, 120), "the workers did not start"
    schedule: list[str] = []
    while time.monotonic() < end or not times:
        field.load()
        time.sleep(3)
        schedule = schedule or rng.sample(names, len(names))
        batch = [schedule.pop() for _ in range(min(4, len(schedule)))]
        for name in batch:
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            FAULTS[name](field, rng)
            recoveries[name].append(field.recovered(180))
            times[name] += 1
        findings = field.settle(300)
        print(f"{time.strftime('%H:%M:%S')} {findings}", flush=True)
        for name in batch:
            totals[name].update(findings.counts)
    print(f"\n{'fault':36} {'times':>5} " + " ".join(f"{kind:>10}" for kind in KINDS) + f" {'p50 s':>7} {'max s':>7}")
    for name in sorted(times):
        took = recoveries[name]
        counts = " ".join(f"{totals[name][kind]:>10}" for kind in KINDS)
        print(f"{name:36} {times[name]:>5} {counts} {statistics.median(took):>7.1f} {max(took):>7.1f}")
    return 1 if any(sum(counts.values()) for counts in totals.values()) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), help="these faults only")
    given = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="opshub-faults-"))
    stack = NativeStack(stack_settings(state), end_with_parent=True)
    try:
        stack.up()
        with Field(stack, seed=given.seed) as field:
            return run(field, given.seed, given.minutes, given.only or sorted(FAULTS))
    finally:
        stack.down()
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
