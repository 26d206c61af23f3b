"""The fault suite: `python -m tests.faults.suite --seed 1 --minutes 20`, or `make faults SEED=1 MINUTES=20`.

A schedule that the seed alone decides: load runs, faults follow each other, and after each round everything comes to
rest and is checked. Ends with a table: fault, times, lost, doubled, differing, gone back, recovery p50 and max. Exit
code 1 when something does not hold.

The load itself has rows of one statement that share an LSN, COPY, primary-key updates, values past TOAST's threshold,
nulls and deletes, and whole flows, from the deal to the payment; write-back makes orders of won deals, and shows the
CRM what became of them.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import psutil
import psycopg
from confluent_kafka import Producer

from streams.capture.incremental_snapshot import request_snapshot
from streams.errors import OpshubError
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from tests.conftest import stack_settings
from tests.faults.checker import KINDS
from tests.faults.field import Field
from tests.faults.link import Link
from tests.faults.steps import AT_POINTS, Fault
from tests.faults.world import World
from tests.waiting import came_true

SERVERS = ("kafka", "connect", "hub", "registry", "crm", "erp")
BULK = 100_000
"""Rows of the large transaction."""


def kill_worker(field: Field, rng: random.Random) -> None:
    name = rng.choice(sorted(field.workers))
    field.kill(name)
    field.work(name)


def zombie(field: Field, rng: random.Random) -> None:
    name = rng.choice(sorted(field.workers))
    field.send(name, signal.SIGSTOP)
    time.sleep(field.settings.session_timeout_ms / 1000 + 4)
    field.send(name, signal.SIGCONT)


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
        (pid,) = (one.pid for one in field.stack.status() if one.name == name)
        assert pid is not None
        # A Postgres whose first process alone stands still goes on serving.
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for one in family:
            _signal(one, signal.SIGSTOP)
        time.sleep(field.settings.session_timeout_ms / 1000 + 4)
        for one in family:
            _signal(one, signal.SIGCONT)
        if name in ("crm", "erp", "kafka", "connect"):
            field.revive_capture()

    return inject


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def replay(field: Field, rng: random.Random) -> None:
    """All that was ever captured is delivered again."""
    _rewound(field, "raw.demo-")


def replay_one_topic(field: Field, rng: random.Random) -> None:
    """One topic falls behind all others: parents come after their children, old behind new."""
    _rewound(
        field,
        rng.choice(["raw.demo-crm.public.account", "raw.demo-crm.public.opportunity", "raw.demo-erp.erp.so_head"]),
    )


def _rewound(field: Field, prefix: str) -> None:
    names = sorted(field.workers)
    for name in names:
        field.kill(name)
    assert came_true(lambda: field.rewind(prefix), 60, 1.0), "the group kept its members"
    for name in names:
        field.work(name)


def poison(field: Field, rng: random.Random) -> None:
    """Records that nobody can read."""
    producer = Producer({"bootstrap.servers": field.settings.kafka, "log_level": 0})
    for number in range(20):
        value = b"not json" if number % 2 else b'{"op":"c"}'
        producer.produce("raw.demo-crm.public.account", key=f'{{"id":"poison-{rng.random()}"}}', value=value)
    producer.flush(20)


def unknown_schema(field: Field, rng: random.Random) -> None:
    """Changes under a schema id that no registry gave."""
    producer = Producer({"bootstrap.servers": field.settings.kafka, "log_level": 0})
    for _ in range(5):
        key = str(uuid.UUID(int=rng.getrandbits(128)))
        producer.produce("changes.order_flow", key=key, value=b"\0" + (999_999).to_bytes(4, "big") + b"junk")
    producer.flush(20)
    assert came_true(lambda: field.dead_letters("topic = 'changes.order_flow'") >= 5, 180), "they are no dead letters"


def oversized(field: Field, rng: random.Random) -> None:
    """A row of two megabytes, which capture and broker take, and no canonical record can hold."""
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "APP")) as connection:
        row = connection.execute(
            "INSERT INTO account (name, notes) VALUES ('Long', repeat(md5(%s), 65536)) RETURNING id::text",
            [str(rng.random())],
        ).fetchone()
        assert row is not None
    assert came_true(lambda: field.dead_letters(f"position('{row[0]}' in convert_from(key, 'UTF8')) > 0") == 1, 60), (
        "no letter"
    )


def large_transaction(field: Field, rng: random.Random, rows: int = BULK) -> None:
    """New accounts with fifty people each: no company has thousands."""
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "APP")) as connection:
        connection.execute(
            "WITH a AS (INSERT INTO account (name) SELECT 'Bulk ' || n FROM generate_series(1, %s) n RETURNING id) "
            "INSERT INTO contact (account_id, last_name) SELECT id, 'Bulk ' || n FROM a, generate_series(1, 49) n", [rows // 50]
        )  # fmt: skip


def truncate(field: Field, rng: random.Random) -> None:
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "ADMIN")) as connection:
        connection.execute("TRUNCATE contact")
    for clerk in field.clerks:
        clerk.forget("public.contact")


def alter_table(field: Field, rng: random.Random) -> None:
    """A column comes, is written, changes its type, and goes, while people write beside it."""
    name = f"extra_{rng.randrange(10**6)}"
    with psycopg.connect(dsn_of(field.env, "DEMO_CRM", "ADMIN"), autocommit=True) as connection:
        for statement in (
            f"ALTER TABLE account ADD COLUMN {name} int DEFAULT 1",
            f"UPDATE account SET {name} = 2 WHERE id IN (SELECT id FROM account LIMIT 20)",
            f"ALTER TABLE account ALTER COLUMN {name} TYPE text USING {name}::text",
            f"UPDATE account SET {name} = 'x' WHERE id IN (SELECT id FROM account LIMIT 20)",
            f"ALTER TABLE account DROP COLUMN {name}",
        ):
            connection.execute(statement.encode())
            time.sleep(0.5)


def alter_mapped(field: Field, rng: random.Random) -> None:
    """Columns that the dictionary reads: one changes its type and back, one goes and comes again, empty; its rows are
    then read again.
    """
    system = field.system("demo-crm")
    with field.admin("demo-crm") as connection:
        for statement in (
            "ALTER TABLE opportunity ALTER COLUMN probability TYPE bigint",
            "ALTER TABLE opportunity ALTER COLUMN probability TYPE numeric(5, 0)",
            "ALTER TABLE account DROP COLUMN industry",
            "ALTER TABLE opportunity ALTER COLUMN probability TYPE integer",
            "ALTER TABLE account ADD COLUMN industry text",
        ):
            connection.execute(statement.encode())
            time.sleep(rng.uniform(1, 3))
    request_snapshot(field.settings, system, dsn_of(field.env, "DEMO_CRM", "ADMIN"), ["public.account"])


def bad_link(field: Field, rng: random.Random) -> None:
    """The workers reach the hub over a link that breaks in the middle of what it carries, and then is slow."""
    names = sorted(field.workers)
    with Link(field.settings.host, field.settings.hub_port) as link:
        for name in names:
            field.kill(name)
            field.work(
                name,
                settings={"hub_dsn": field.settings.hub.replace(f":{field.settings.hub_port}/", f":{link.port}/")},
            )
        assert came_true(field.working, 60), "no worker came up behind the link"
        for _ in range(6):
            link.cut()
            time.sleep(rng.uniform(0.3, 2))
        link.delay = 0.1
        time.sleep(10)
        assert link.carried > 0
    for name in names:
        field.kill(name)
        field.work(name)


def lose_slot(field: Field, rng: random.Random) -> None:
    """The slot is dropped while Connect is away, and rows are deleted that nobody captures; the alarm, then
    `resync`.
    """
    since = time.monotonic() - 10  # not all of what was committed has been captured yet
    field.stack.kill("connect")
    field.drop_slot("demo-crm")
    time.sleep(3)
    field.stack.start("connect")
    assert came_true(lambda: field.alarm("demo-crm") is not None, 90), "nobody noticed that the slot is another"
    field.resync("demo-crm", sweep_after=15.0)
    field.uncaptured(since, time.monotonic())


FAULTS: dict[str, Fault] = {
    "SIGKILL worker": kill_worker,
    "SIGSTOP worker past its session": zombie,
    "rebalance storm": storm,
    **AT_POINTS,
    **{f"SIGKILL {name}": kill_server(name) for name in SERVERS},
    **{f"SIGSTOP {name}": stop_server(name) for name in SERVERS},
    "replay from offset 0": replay,
    "replay of one topic": replay_one_topic,
    "poison records": poison,
    "unknown schema id": unknown_schema,
    "record of 2 MB": oversized,
    f"transaction of {BULK:,} rows": large_transaction,
    "TRUNCATE": truncate,
    "column added, retyped, dropped": alter_table,
    "mapped columns retyped and dropped": alter_mapped,
    "hub behind a bad link": bad_link,
    "slot dropped": lose_slot,
}

HEAVY: dict[str, Fault] = {f"transaction of {10 * BULK:,} rows": partial(large_transaction, rows=10 * BULK)}
"""Only when asked for by name: they take long, and the checker some gigabytes."""


def run(field: Field, faults: dict[str, Fault], seed: int, minutes: float, names: list[str], once: bool = False) -> int:
    """`once`: each of these faults one time, however long that takes."""
    rng = random.Random(seed)
    times: Counter[str] = Counter()
    recoveries: dict[str, list[float]] = defaultdict(list)
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    end = time.monotonic() + minutes * 60
    field.work("w0")
    field.work("w1")
    assert came_true(field.working, 120), "the workers did not start"
    schedule: list[str] = []
    broken = False
    try:
        while not broken and (len(times) < len(names) if once else time.monotonic() < end or not times):
            field.load()
            time.sleep(3)
            schedule = schedule or rng.sample(names, len(names))
            batch = [schedule.pop() for _ in range(min(4, len(schedule)))]
            done: list[str] = []
            try:
                for name in batch:
                    print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
                    times[name] += 1
                    done.append(name)
                    took = faults[name](field, rng) or 0.0
                    recoveries[name].append(max(took, field.recovered(180)))
                findings = field.settle(1800 if HEAVY.keys() & set(batch) else 300)
            except (AssertionError, OpshubError) as error:
                print(f"{time.strftime('%H:%M:%S')} NOT RECOVERED: {error!r}", flush=True)
                totals[done[-1]]["stuck"] += 1
                broken = True
                continue
            print(f"{time.strftime('%H:%M:%S')} {findings}", flush=True)
            for name in batch:
                totals[name].update(findings.counts)
    finally:  # what was found until then is told also when it is ended early
        _tell(times, totals, recoveries)
    return 1 if any(sum(counts.values()) for counts in totals.values()) else 0


def _tell(times: Counter[str], totals: dict[str, Counter[str]], recoveries: dict[str, list[float]]) -> None:
    kinds = (*KINDS, "stuck")
    print(f"\n{'fault':34} {'times':>5} " + " ".join(f"{kind:>10}" for kind in kinds) + f" {'p50 s':>7} {'max s':>7}")
    for name in sorted(times):
        took = recoveries[name] or [float("nan")]
        counts = " ".join(f"{totals[name][kind]:>10}" for kind in kinds)
        print(f"{name:34} {times[name]:>5} {counts} {statistics.median(took):>7.1f} {max(took):>7.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument(
        "--only", action="append", help="these faults only; a name may end with * for all that begin so"
    )
    parser.add_argument("--once", action="store_true", help="each fault one time, however long that takes")
    parser.add_argument("--logs", type=Path, help="a folder to keep the logs in")
    given = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="opshub-faults-"))
    settings = stack_settings(state)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with World(state, settings.host) as world:
            names = chosen(given.only, sorted(FAULTS | world.faults), sorted(HEAVY))
            stack = NativeStack(settings, end_with_parent=True)
            try:
                stack.up()
                with Field(stack, seed=given.seed) as field:
                    code = run(field, FAULTS | HEAVY | world.faults, given.seed, given.minutes, names, given.once)
            finally:
                stack.down()
                if given.logs:
                    shutil.copytree(state / "logs", given.logs, dirs_exist_ok=True)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    for one in world.missing:
        print(f"not injected: {one}")
    return code


def chosen(patterns: list[str] | None, usual: list[str], heavy: list[str]) -> list[str]:
    """The faults that are asked for. Exits with what there is when one is not known."""
    if not patterns:
        return usual
    there = usual + heavy
    found = {pattern: fnmatch.filter(there, pattern) for pattern in patterns}
    unknown = [pattern for pattern, names in found.items() if not names]
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(unknown)}; there are: {', '.join(there)}")
    return sorted({name for names in found.values() for name in names})


if __name__ == "__main__":
    sys.exit(main())
