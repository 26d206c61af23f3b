"""`python -m benchmarks.jdbc_sink`: from what is committed in the sources to rows in the target, ours and Debezium's
JDBC sink in turns.

Both read the same changes from the same WAL, each through slots of its own, while the other is stopped: a backlog is
made, ours works it off, then the peer does, then the peer goes first. The clock runs from the first raw record of a way
until its last row is committed; Connect is warm for both. The peer is set up as its guide says for speed (reduction
buffer, batches of 1,000, two tasks) and copies each captured table as it is: it maps nothing, joins nothing, resolves
nothing. What it copied is compared with the sources row by row.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from benchmarks.peers.result import note
from benchmarks.run import machine
from benchmarks.site import Say, Site, site
from streams.cli.context import load_settings
from streams.demo.drain import MARKERS, count_partitions, insert_lsn, is_confirmed, raw_records
from streams.demo.watch import worker_totals
from streams.provision import connectors
from streams.provision.systems import System
from streams.simulator.setup import dsn_of

PLUGIN = "debezium-jdbc"
WORK = "backlog in the sources' WAL → rows in the target"
RESULT = Path(__file__).with_name("results") / "jdbc-sink.json"
SINK = "peer-sink"
EMPTY_LOOKS = 4
"""A lag of 0 is believed then: workers know where topics end five times a second."""
_DROPPED = ("heartbeat.interval.ms", "heartbeat.action.query", "topic.heartbeat.prefix", "signal.data.collection",
            "signal.enabled.channels")  # fmt: skip


_DOES = {
    "opshub": "map, resolve, join, upsert, canonical records",
    "Debezium + JDBC sink": "less: copies each table as it is",
}


class Pass(msgspec.Struct):
    """One backlog, worked off by one way."""

    way: str
    rows: int
    seconds: float
    machine_cpu_us: float
    """Of all cores, everything counted, for a row."""

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds


def _plain(system: System) -> str:
    return system.name.replace("-", "_")


def source_of(system: System) -> dict[str, Any]:
    """The peer's source connector: that of the system, with slot and topics of its own, and schemas, which its sink
    needs.
    """
    config = {key: value for key, value in system.source["config"].items() if key not in _DROPPED}
    return config | {
        "topic.prefix": f"peer.{_plain(system)}",
        "slot.name": f"peer_{_plain(system)}",
        "key.converter.schemas.enable": "true",
        "value.converter.schemas.enable": "true",
    }


def sink_of(here: Site) -> dict[str, Any]:
    at = psycopg.conninfo.conninfo_to_dict(here.settings.hub)
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "2",
        "topics.regex": r"peer\..*",
        "connection.url": f"jdbc:postgresql://{at['host']}:{at['port']}/{at['dbname']}?currentSchema=peer&reWriteBatchedInserts=true",
        "connection.username": at["user"],
        "connection.password": at["password"],
        "connection.pool.acquire_increment": "1",  # by default 32 at once: two sinks use up the hub's hundred
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "use.reduction.buffer": "true",
        "batch.size": "1000",
        "collection.name.format": "${topic}",
        "consumer.override.max.poll.records": "2000",
        "consumer.override.metadata.max.age.ms": "3000",  # topics that come later are seen then
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "true",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
    }


class Ours:
    """opshub's way: connectors, and one worker that is running."""

    name = "opshub"

    def __init__(self, here: Site) -> None:
        self._here = here
        self._partitions = count_partitions(here.settings, here.systems)
        self.connectors = [system.source["name"] for system in here.systems]
        self.slots = {system.name: system.source["config"]["slot.name"] for system in here.systems}
        self._rows = 0
        self._empty_looks = 0
        """How often in a row nothing was left to read since the last of those rows was read."""
        self._done = (0, 0)

    def raw(self) -> int:
        return raw_records(self._here.settings, self._here.systems)

    def state(self) -> tuple[bool, Any]:
        """(nothing is left to read, what was done so far). What is told when all rows were worked on was put off, such
        as sums, and does not count.
        """
        now = worker_totals(self._here.settings)
        empty = now.lag == 0 and now.partitions >= self._partitions
        if now.rows_in != self._rows:
            self._rows, self._empty_looks = now.rows_in, 0
        if self._empty_looks < EMPTY_LOOKS:
            self._empty_looks = self._empty_looks + 1 if empty else 0
            self._done = (now.rows_in, now.records_out)
        return empty, self._done

    def last_done(self) -> float | None:
        return None


class Peer:
    """Debezium's source and sink connectors."""

    name = "Debezium + JDBC sink"

    def __init__(self, here: Site) -> None:
        self._here = here
        self.connectors = [f"peer-{system.name}" for system in here.systems]
        self.slots = {system.name: source_of(system)["slot.name"] for system in here.systems}
        self._consumer = Consumer(
            {"bootstrap.servers": here.settings.kafka, "group.id": f"connect-{SINK}", "log_level": 0}
        )

    def raw(self) -> int:
        return sum(high for _, high in self._ends())

    @retry(retry=retry_if_exception_type(KafkaException), wait=wait_fixed(0.5), stop=stop_after_delay(60), reraise=True)
    def _ends(self) -> list[tuple[TopicPartition, int]]:
        """Where each of its topics ends; one that was just made has no leader for a moment."""
        topics = self._consumer.list_topics(timeout=10).topics
        parts = [TopicPartition(t, p) for t in topics if t.startswith("peer.") for p in topics[t].partitions]
        return [(part, self._consumer.get_watermark_offsets(part, timeout=10)[1]) for part in parts]

    def state(self) -> tuple[bool, Any]:
        ends = self._ends()
        committed = {
            (c.topic, c.partition): c.offset for c in self._consumer.committed([tp for tp, _ in ends], timeout=10)
        }
        return all(committed[tp.topic, tp.partition] >= high for tp, high in ends if high), self.last_done()

    def last_done(self) -> float | None:
        """When the sink's sessions last ended a transaction, Unix seconds: it tells Kafka what it has read every five
        seconds only.
        """
        with self._here.hub() as hub:
            row = hub.execute(
                "SELECT extract(epoch FROM max(state_change)) FROM pg_stat_activity WHERE application_name LIKE 'PostgreSQL JDBC%'"
                " AND query NOT ILIKE '%pg_%' AND datname = current_database()"
            ).fetchone()
        return float(row[0]) if row and row[0] is not None else None


Marks = dict[str, str]
"""System → a place in its WAL that a change follows which is captured."""


def mark(here: Site) -> Marks:
    """Write a change that says nothing new behind all that was committed in each source."""
    marks = {}
    for name, (prefix, marker) in MARKERS.items():
        marks[name] = insert_lsn(dsn_of(here.env, prefix, "APP"))
        with psycopg.connect(dsn_of(here.env, prefix, "APP")) as source:
            source.execute(marker)
    return marks


def captured(here: Site, way: Ours | Peer, marks: Marks) -> bool:
    """Whether the connectors of `way` have confirmed what was marked; counting records would not tell, since deletes
    make two.
    """
    return all(
        is_confirmed(dsn_of(here.env, prefix, "APP"), way.slots[name], marks[name])
        for name, (prefix, _) in MARKERS.items()
    )


def work_off(here: Site, way: Ours | Peer, before: int, marks: Marks, seconds: float = 300) -> Pass:
    """Let `way` run until it has brought all that was committed before `marks`. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    for name in way.connectors:
        connectors.resume(here.settings, name)
    while way.raw() <= before:
        _in_time(deadline)
        time.sleep(0.02)
    began, busy = time.time(), _busy()
    last, changed, quiet_busy = None, began, busy
    while True:
        _in_time(deadline)
        empty, done = way.state()
        if done != last:
            last, changed, quiet_busy = done, time.time(), _busy()
        if empty and time.time() - changed > 1.5 and captured(here, way, marks):
            break
        time.sleep(0.1)
    for name in way.connectors:
        connectors.stop(here.settings, name)
    ended = way.last_done() or changed
    made = way.raw() - before
    return Pass(way.name, made, round(ended - began, 2), round((quiet_busy - busy) / made * 1e6, 1))


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("a backlog was not worked off in time")


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.softirq + times.irq)


def differing(here: Site) -> list[str]:
    """Tables of which the peer's copy has other keys than the source."""
    wrong = []
    with here.hub() as hub:
        for system in here.systems:
            for topic in system.topics:
                schema, table = topic.split(".")[-2:]
                copy = sql.Identifier("peer", f"peer_{_plain(system)}_{schema}_{table}")
                with psycopg.connect(dsn_of(here.env, _plain(system).upper(), "APP")) as source:
                    there = source.execute(
                        sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
                    ).fetchone()
                exists = hub.execute("SELECT to_regclass(%s)", [copy.as_string(hub)]).fetchone()
                got = (
                    hub.execute(sql.SQL("SELECT count(*) FROM {}").format(copy)).fetchone()
                    if exists and exists[0]
                    else (0,)
                )
                if there != got:
                    wrong.append(f"{topic}: {there and there[0]} rows, {got and got[0]} in the copy")
    return wrong


def compare(here: Site, rows: int, repeats: int, say: Say) -> dict[str, Any]:
    """Both ways over `repeats` backlogs of about `rows` changes each, after one that nobody counts."""
    info = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    with here.hub() as hub:
        hub.execute("CREATE SCHEMA IF NOT EXISTS peer")
    here.start_workers(1)
    here.drain(600)
    say("the peer's connectors: its snapshot of what is there")
    for system in here.systems:
        connectors.put_config(here.settings, f"peer-{system.name}", source_of(system))
    connectors.put_config(here.settings, SINK, sink_of(here))
    ours, peer = Ours(here), Peer(here)
    passes: list[Pass] = []
    for number in range(repeats + 1):
        if number == 0:
            _settled(peer)
        for name in ours.connectors + peer.connectors:
            connectors.stop(here.settings, name)
        before = {way.name: way.raw() for way in (ours, peer)}
        with here.company(100 + number, slow_every=None) as company:
            company.run(rate=rows / 10, seconds=10)
        marks = mark(here)
        # Ours writes back to the sources: the peer's pass is the last of all, so that its copy has what ours added when
        # they are compared.
        for way in (peer, ours) if (repeats - number) % 2 else (ours, peer):
            told = work_off(here, way, before[way.name], marks)
            say(
                f"{'warming up' if not number else number}: {way.name} {told.per_second:,.0f}/s, {told.machine_cpu_us:.0f} us of the machine's CPU a row"
            )
            if number:
                passes.append(told)
    return info | _told(passes) | {"differing": differing(here)}


def keep(told: dict[str, Any]) -> None:
    """Write what `compare` found to results/jdbc-sink.json, and its ways to results/peers.json."""
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    note(told["ways"])


def _settled(way: Peer, seconds: float = 300) -> None:
    deadline, last, quiet = time.monotonic() + seconds, -1, 0
    while quiet < 4:
        _in_time(deadline)
        now = way.raw()
        quiet = quiet + 1 if now and now == last and way.state()[0] else 0
        last = now
        time.sleep(1.0)


def _told(passes: list[Pass]) -> dict[str, Any]:
    ways = []
    for name in (Ours.name, Peer.name):
        mine = [one for one in passes if one.way == name]
        rate, cpu = statistics.median(p.per_second for p in mine), statistics.median(p.machine_cpu_us for p in mine)
        ways.append(
            {
                "peer": name,
                "work": WORK,
                "events_per_s": round(rate),
                "cpu_us": round(cpu, 1),
                "equal_output": None,
                "does": _DOES[name],
                "runs": len(mine),
            }
        )
    ratio = round(ways[0]["events_per_s"] / ways[1]["events_per_s"], 2)
    return {"ways": ways, "ratio": ratio, "passes": msgspec.to_builtins(passes)}


def summary(told: dict[str, Any]) -> str:
    """What `compare` found, for a person."""
    lines = [
        f"{way['peer']:24} {way['events_per_s']:>8,} rows/s {way['cpu_us']:>8,.0f} us of the machine's CPU a row"
        for way in told["ways"]
    ]
    whole = f"its copy differs: {'; '.join(told['differing'])}" if told["differing"] else "its copy is whole"
    return "\n".join([f"from a commit to the target: {WORK}", *lines, f"ratio {told['ratio']} (target: 3); {whole}"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jdbc_sink")
    parser.add_argument("--rows", type=int, default=40_000, help="row changes of a backlog")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with site(load_settings(), say, plugins=(PLUGIN,)) as here:
        told = compare(here, given.rows, given.repeats, say)
    keep(told)
    print(summary(told))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
