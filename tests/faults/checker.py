"""An independent, simple check that nothing is lost, doubled, wrong or gone back. It shares no code with the walk.

In: `Evidence`: rows of the source tables in canonical values, the last raw record of each key, every canonical record in order, the hub's
rows, the accounts, the journal of acknowledged commits, what each order's flow adds up to, and what write-back was to write.
Out: a `Finding` for each thing that is wrong, by kind.

Ids are computed here from the standard library's UUIDv5, canonical records are read by fastavro, values are worked out in SQL.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.faults.rows import MASTERS, ROWS, id_of
from tests.faults.sums import FLOWS
from tests.faults.written import Written, gather_written, what_is_wrong

SCHEMAS = Path(__file__).parents[2] / "schemas"

TOPICS = (
    "contact", "customer", "inventory_level", "invoice", "opportunity", "order_flow", "payment", "product", "receivables", "sales_order",
    "service_request", "shipment", "stock",
)  # fmt: skip
LINES = {"opportunity_line", "sales_order_line", "shipment_line", "invoice_line"}
KINDS = ("lost", "doubled", "differing", "gone_back", "ghost", "unbalanced", "echoed")


@dataclass
class Evidence:
    """Everything that is compared."""

    rows: dict[tuple[str, str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """(system, entity, key) → (table, canonical values); of rows that are live."""
    marked: set[tuple[str, str]] = field(default_factory=set)
    """(table, key) of rows that are there, and marked as deleted."""
    raw: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(table, key) → whether its last raw record has a row."""
    raw_ends: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(topic, partition) → (first offset, next offset)."""
    records: list[tuple[str, str, int, dict[str, Any] | None]] = field(default_factory=list)
    """(entity, id, version, record or None) of each canonical record, in the order of each partition."""
    hub: dict[str, tuple[str, int, bool]] = field(default_factory=dict)
    """id → (entity, version, whether a live record is to be seen)."""
    accounts: dict[tuple[str, int], tuple[int, int, int]] = field(default_factory=dict)
    """(topic, partition) → (offsets that were counted up to, records that were counted, of them dead or parked)."""
    letters: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(topic, partition) → records that the hub holds as letters."""
    waiting: set[tuple[str, str]] = field(default_factory=set)
    """(table, key) of rows of which a record waits or was dropped: what they are by now is not promised."""
    journal: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(table, key) → whether the last acknowledged commit left a row."""
    epochs: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) → the offset at which its source was captured anew: what came before is told again, or gone."""
    causes: dict[str, int] = field(default_factory=dict)
    """Intent → commit time at the source, in microseconds, of what gave rise to it."""
    said: dict[int, bool] = field(default_factory=dict)
    """Commit time at the source → whether anybody but write-back committed then."""
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Key of an order of the ERP → what its flow adds up to."""
    hub_flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id of an order_flow → what the hub has of it."""
    written: Written = field(default_factory=Written)


@dataclass
class Findings:
    """How many of each kind, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    where: set[tuple[str, str]] = field(default_factory=set)
    """(kind, what is wrong), of all of them."""

    def note(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.where.add((kind, text.partition(":")[0]))
        if self.counts[kind] <= 5:
            self.examples.append(f"{kind}: {text}")

    @property
    def hold(self) -> bool:
        return not sum(self.counts.values())

    def __str__(self) -> str:
        return f"{dict(self.counts) or 'all holds'} over {dict(self.checked)}" + "".join(
            f"\n  {one}" for one in self.examples
        )


def check(evidence: Evidence) -> Findings:
    """Compare in both directions."""
    found = Findings()
    folded = _fold(evidence, found)
    speaks: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    lines: dict[str, dict[str, Any]] = {}
    for (entity, one), (_, record) in folded.items():
        if record is None:
            continue
        for source in record.get("sources", ()):
            speaks[source["system"], entity, source["key"]].append(one)
        for line in record.get("lines", ()):
            lines[str(line["id"])] = line
    _rows(evidence, folded, speaks, lines, found)
    _raw(evidence, found)
    _hub(evidence, folded, found)
    _accounts(evidence, found)
    _echoes(evidence, found)
    _flows(evidence, folded, speaks, found)
    for kind, text in what_is_wrong(evidence.written):
        found.note(kind, text)
    found.checked["won"] = len(evidence.written.won)
    return found


def _fold(evidence: Evidence, found: Findings) -> dict[tuple[str, str], tuple[int, dict[str, Any] | None]]:
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = {}
    for entity, one, version, record in evidence.records:
        found.checked["records"] += 1
        before = folded.get((entity, one))
        if before is not None:
            if version < before[0]:
                found.note("gone_back", f"{entity} {one}: version {version} after {before[0]}")
            elif version == before[0] and record != before[1]:
                found.note("doubled", f"{entity} {one}: two records of version {version}")
        folded[entity, one] = (version, record)
    return folded


def _rows(
    evidence: Evidence,
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]],
    speaks: dict[tuple[str, str, str], list[str]],
    lines: dict[str, dict[str, Any]],
    found: Findings,
) -> None:
    systems = {(system, entity) for system, _, entity, _ in ROWS}
    for (system, entity, key), (table, wanted) in evidence.rows.items():
        found.checked["rows"] += 1
        where = f"{entity} {key} of {system}"
        if (table, key) in evidence.waiting:
            continue
        if entity in LINES:
            record = lines.get(id_of(system, entity, key))
            if record is None:
                found.note("lost", where)
                continue
        else:
            speakers = speaks.get((system, entity, key), [])
            if not speakers:
                found.note("lost", where)
                continue
            if len(speakers) > 1:
                found.note("doubled", f"{where} is in {', '.join(speakers)}")
            record = folded[entity, speakers[0]][1] or {}
            wanted = _mastered(wanted, system, record.get("sources", ()))
        for name, value in wanted.items():
            held = _plain(record.get(name), value)
            if held != value and not _is_named(value, held, speaks):
                found.note("differing", f"{where}: {name} is {value!r} in the source, {held!r} in the topic")
                break
    for (system, entity, key), _ in speaks.items():
        if (system, entity) in systems and (system, entity, key) not in evidence.rows:
            table = next(table for one, table, name, _ in ROWS if (one, name) == (system, entity))
            if (table, key) not in evidence.waiting:
                found.note("ghost", f"{entity} {key} of {system} is gone from the source, and live in the topic")
    wrong = {id_of(system, entity, key) for system, entity, key in evidence.rows if entity in LINES}
    for one in lines.keys() - wrong:
        found.note("ghost", f"line {one} is gone from the source, and live in the topic")


def _mastered(wanted: dict[str, Any], system: str, sources: Any) -> dict[str, Any]:
    """Of what one row says, that which stands whatever others say: all, where nobody else speaks."""
    systems = [source["system"] for source in sources]
    if len(systems) == 1:
        return wanted
    if systems.count(system) > 1:
        return {}
    return {name: value for name, value in wanted.items() if value is not None and MASTERS.get(name) == system}


def _is_named(value: Any, held: Any, speaks: dict[tuple[str, str, str], list[str]]) -> bool:
    """Whether `held` is the id of the record for which the row speaks that `value` names. One that is not there may have been any."""
    if not isinstance(value, str) or not value.startswith("@"):
        return False
    system, entity, key = value[1:].split("/", 2)
    speakers = speaks.get((system, entity, key))
    return speakers is None or str(held) in speakers


def _raw(evidence: Evidence, found: Findings) -> None:
    alive = {(table, key) for (_, _, key), (table, _) in evidence.rows.items()} | evidence.marked
    for (table, key), is_row in evidence.journal.items():
        found.checked["commits"] += 1
        if is_row and (table, key) not in alive:
            found.note("lost", f"{table} {key}: the commit was acknowledged, and the source does not have it")
        # A new epoch tells only what there is: a delete that it missed has no record.
        captured = evidence.raw.get((table, key), False if evidence.epochs else None)
        if evidence.raw and captured != is_row:
            found.note("lost", f"{table} {key}: capture's last record {'has no' if is_row else 'has a'} row")


def _hub(evidence: Evidence, folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]], found: Findings) -> None:
    for one, (entity, version, live) in evidence.hub.items():
        if entity not in TOPICS:
            continue
        found.checked["hub rows"] += 1
        held = folded.get((entity, one))
        if held is None:
            if live and version:
                found.note("lost", f"{entity} {one}: version {version} of the hub was never emitted")
        elif held[0] != version or (held[1] is not None) != live:
            found.note(
                "differing",
                f"{entity} {one}: the topic has version {held[0]}, the hub {version} ({'live' if live else 'gone'})",
            )
    for (entity, one), (version, record) in folded.items():
        if record is not None and one not in evidence.hub:
            found.note("ghost", f"{entity} {one}: version {version} of what the hub does not know")


def _accounts(evidence: Evidence, found: Findings) -> None:
    for partition, (first, end) in evidence.raw_ends.items():
        if end == first:
            continue
        upto, counted, aside = evidence.accounts.get(partition, (0, 0, 0))
        if upto != end or counted != end - first:
            found.note(
                "unbalanced",
                f"{partition}: {end - first} records are there, {counted} were counted, up to {upto} of {end}",
            )
        if aside != evidence.letters[partition]:
            found.note(
                "unbalanced",
                f"{partition}: {aside} records were put aside, the hub holds {evidence.letters[partition]}",
            )


def _echoes(evidence: Evidence, found: Findings) -> None:
    for intent, cause in evidence.causes.items():
        found.checked["intents"] += 1
        if evidence.said.get(cause) is False:
            found.note("echoed", f"{intent} arose from what write-back itself had written")


def _flows(
    evidence: Evidence,
    folded: dict[tuple[str, str], tuple[int, dict[str, Any] | None]],
    speaks: dict[tuple[str, str, str], list[str]],
    found: Findings,
) -> None:
    flows = {str(record["sales_order_id"]): (one, record) for (entity, one), (_, record) in folded.items() if entity == "order_flow" and record}  # fmt: skip
    for key, wanted in evidence.flows.items():
        found.checked["flows"] += 1
        order = next(iter(speaks.get(("demo-erp", "sales_order", key), ())), None)
        if order is None or ("erp.so_head", key) in evidence.waiting:
            continue  # told of as a row
        if order not in flows:
            found.note("lost", f"flow of order {key}")
            continue
        one, record = flows[order]
        for place, told in (("topic", record), ("hub", evidence.hub_flows.get(one, {}))):
            wrong = {name: (value, _plain(told.get(name), value)) for name, value in wanted.items() if _plain(told.get(name), value) != value}  # fmt: skip
            if wrong:
                found.note("differing", f"flow of order {key}: (in the ERP, in the {place}) {wrong}")


def _plain(value: Any, like: Any) -> Any:
    """A value of the topic in the form of the SQL above: decimals as integers of their scale."""
    if hasattr(value, "as_tuple"):
        return int(value.scaleb(-value.as_tuple().exponent))
    return value


def gather(
    bootstrap: str,
    hub: str,
    dsns: dict[str, str],
    journal: dict[tuple[str, str], bool] | None = None,
    won: Collection[str] = (),
) -> Evidence:
    """Read everything as it is now, with nothing in flight. `won`: opportunities of which each is to have its order."""
    evidence = Evidence(journal=dict(journal or {}))
    for system, table, entity, query in ROWS:
        with psycopg.connect(dsns[system]) as connection:
            for key, values, live in connection.execute(query.encode()).fetchall():
                if live:
                    evidence.rows[system, entity, key] = (table, values)
                else:
                    evidence.marked.add((table, key))
    with psycopg.connect(dsns["demo-erp"]) as connection:
        evidence.flows = dict(connection.execute(FLOWS.encode()).fetchall())
    evidence.written = gather_written(hub, dsns, won)
    with psycopg.connect(hub) as connection:
        for one, entity, version, deleted, merged in connection.execute(
            "SELECT id::text, entity, version, deleted, merged_into IS NOT NULL FROM entity"
        ).fetchall():
            evidence.hub[one] = (entity, version, not (deleted or merged))
        for topic, partition, upto, counted, aside in connection.execute(
            "SELECT topic, partition, upto, passed + filtered + tombstones + dead + parked + control, dead + parked FROM raw_account"
        ).fetchall():
            evidence.accounts[topic, partition] = (upto, counted, aside)
        for topic, partition, count in connection.execute(
            "SELECT topic, partition, count(*) FROM dead_letter WHERE topic LIKE 'raw.%' GROUP BY 1, 2"
        ).fetchall():
            evidence.letters[topic, partition] = count
        for topic, key in connection.execute(
            "SELECT DISTINCT topic, convert_from(key, 'UTF8') FROM dead_letter WHERE topic LIKE 'raw.%' AND state <> 'retried' AND key IS NOT NULL"
        ).fetchall():
            evidence.waiting.add((_table(topic), _key(key)))
        for topic, partition, offset in connection.execute(
            "SELECT topic, partition, max(position) FROM epoch_start GROUP BY 1, 2"
        ).fetchall():
            evidence.epochs[topic, partition] = offset
        evidence.hub_flows = dict(
            connection.execute("SELECT id::text, record FROM entity WHERE entity = 'order_flow'").fetchall()
        )
        evidence.causes = dict(connection.execute("SELECT key, cause_us FROM intent").fetchall())
    _read_topics(bootstrap, evidence)
    return evidence


def _table(topic: str) -> str:
    return topic.split(".", 2)[2]


def _key(raw: str | bytes) -> str:
    return "|".join(str(value) for value in json.loads(raw).values())


def _read_topics(bootstrap: str, evidence: Evidence) -> None:
    schemas = {name: fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text())) for name in TOPICS}
    tables = {f"raw.{system}.{table}" for system, table, _, _ in ROWS}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": f"checker-{uuid.uuid4()}", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True,
        }
    )  # fmt: skip
    try:
        metadata = consumer.list_topics(timeout=10).topics
        topics = [one for one in metadata if one.startswith(("canonical.", "raw."))]
        partitions = [
            TopicPartition(one, number, OFFSET_BEGINNING) for one in topics for number in metadata[one].partitions
        ]
        for one in partitions:
            if one.topic in tables:  # not those of the connectors' own signals
                evidence.raw_ends[one.topic, one.partition] = consumer.get_watermark_offsets(
                    TopicPartition(one.topic, one.partition), timeout=10
                )
        consumer.assign(partitions)
        left = {(one.topic, one.partition) for one in partitions}
        until = time.monotonic() + 60
        while left:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(left)} partitions were not read to their end: {sorted(left)[:5]}")
            messages = consumer.consume(5000, 1.0)
            if messages:
                until = time.monotonic() + 60
            for message in messages:
                if message.error() is not None:
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        left.discard((message.topic(), message.partition()))
                    continue
                topic, value = message.topic(), message.value()
                if topic.startswith("canonical."):
                    entity = topic.removeprefix("canonical.")
                    if value is None:
                        version = int(dict(message.headers() or ())["version"])
                        evidence.records.append((entity, message.key().decode(), version, None))
                    else:
                        record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[entity], None)
                        evidence.records.append((entity, message.key().decode(), record["version"], record))
                elif value is not None and message.key() is not None:
                    _read_raw(evidence, message, topic in tables)
    finally:
        consumer.close()


def _read_raw(evidence: Evidence, message: Any, is_compared: bool) -> None:
    try:
        event = json.loads(message.value())
        origin, committed = event["source"].get("origin"), event["source"]["ts_us"]
    except (ValueError, KeyError, TypeError):
        return  # poison: the account says what became of it
    by_us = origin is not None and (origin == "opshub" or origin.startswith("opshub-"))
    evidence.said[committed] = evidence.said.get(committed, False) or not by_us
    if is_compared and message.offset() >= evidence.epochs.get((message.topic(), message.partition()), 0):
        evidence.raw[_table(message.topic()), _key(message.key())] = event.get("after") is not None
