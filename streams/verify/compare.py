"""Compare source tables, hub and canonical topics, in both directions.

In: the databases and topics as they are, with nothing in flight. Out: a `Verdict`. It reads everything and keeps it in
memory, so it is for systems of up to some million rows. It folds by itself: from source rows to contributions, from
contributions to golden records and flows, from those to the bytes that the topics must hold.
"""

from __future__ import annotations

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from streams.emit.encode import encoder
from streams.errors import MappingError
from streams.flow.order_flow import join
from streams.hub.statements import SQL
from streams.hub.store import entity_of_row
from streams.model.entities import ENTITIES
from streams.model.state import AggregateState, EntityState
from streams.pipeline.canonical import REFERENCES, canonical, flow_record_id
from streams.provision.systems import System
from streams.resolve.golden import Ownership, golden, is_deleted
from streams.settings import Settings
from streams.verify.source_rows import learn_codes, source_rows
from streams.verify.sum_check import wrong_sums

EXAMPLES = 20


class Verdict(msgspec.Struct):
    """What differs. All but `source_rows`, `entities` and `records` should be 0; `examples` holds the first of each."""

    source_rows: int = 0
    entities: int = 0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    differing: int = 0
    gone_back: int = 0
    rejected: int = 0
    accounts_balance: bool = True
    """Whether every raw record is counted as passed, left out by a rule, dead or parked, and the hub holds what was put aside."""
    examples: list[str] = []

    def note(self, kind: str, text: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if sum(1 for one in self.examples if one.startswith(kind)) < EXAMPLES:
            self.examples.append(f"{kind}: {text}")

    @property
    def holds(self) -> bool:
        return self.accounts_balance and not (self.lost or self.doubled or self.differing or self.gone_back)


def verify(
    settings: Settings,
    systems: list[System],
    dsns: dict[str, str],
    ownership: Ownership,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Compare everything. `dsns`: system → a database role that may read its captured tables."""
    verdict = Verdict()
    progress("reading the hub")
    states, same = _hub(settings.hub)
    for system in systems:
        progress(f"comparing {system.name}")
        _compare_system(system, dsns[system.name], states, verdict)
    progress("resolving and joining again")
    wanted = _recompute(states, same, ownership, verdict)
    for wrong in wrong_sums(states.values()):
        verdict.note("differing", wrong)
    progress("reading the canonical topics")
    _compare_topics(settings, wanted, verdict)
    progress("balancing the accounts")
    _balance(settings, systems, verdict)
    return verdict


def _balance(settings: Settings, systems: list[System], verdict: Verdict) -> None:
    """What each raw partition holds against what became of it."""
    with psycopg.connect(settings.hub) as connection:
        counted = {
            (topic, partition): (since, upto, parts, aside)
            for topic, partition, since, upto, parts, aside in connection.execute(
                "SELECT topic, partition, since, upto, passed + filtered + tombstones + dead + parked + control, dead + parked "
                "FROM raw_account"
            )
        }
        kept = {
            (topic, partition): count
            for topic, partition, count in connection.execute(
                "SELECT topic, partition, count(*) FROM dead_letter GROUP BY 1, 2"
            )
        }
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "opshub-verify", "log_level": 4})
    try:
        there = consumer.list_topics(timeout=10).topics
        for topic in (topic for system in systems for topic in system.topics if topic in there):
            for partition in there[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                since, upto, parts, aside = counted.get((topic, partition), (low, low, 0, 0))
                held = kept.get((topic, partition), 0)
                surplus, unread = parts - (upto - since), max(0, high - max(upto, low))
                # The marker of a transaction has an offset, too, and is no record. What is past the end of the topic is none.
                if surplus < 0:
                    surplus += _without_record(settings, topic, partition, max(since, low), min(upto, high))
                if unread:
                    unread -= _without_record(settings, topic, partition, max(upto, low), high)
                if unread or surplus or aside != held:
                    verdict.accounts_balance = False
                    verdict.examples.append(
                        f"accounts: {topic} {partition}: counted up to {upto} of {high}, {surplus:+d}, "
                        f"{aside} put aside, {held} in the hub"
                    )
    finally:
        consumer.close()


def _without_record(settings: Settings, topic: str, partition: int, first: int, end: int) -> int:
    """How many offsets of a stretch of a topic have no record that can be read."""
    found = sum(1 for record in _records(settings, {(topic, partition): first}) if record.offset() < end)
    return max(0, end - first - found)


def _hub(dsn: str) -> tuple[dict[str, AggregateState], dict[str, str]]:
    states: dict[str, AggregateState] = {}
    with psycopg.connect(dsn) as connection:
        same: dict[str, str] = dict(
            connection.execute("SELECT source_id::text, target::text FROM identity WHERE same").fetchall()
        )
        with connection.cursor(name="verify") as cursor:
            cursor.itersize = 5000
            for row in cursor.execute(SQL["all_entities"].decode()):
                entity = entity_of_row(row)
                aggregate = row[2]
                state = states.get(aggregate)
                if state is None:
                    state = states[aggregate] = AggregateState(
                        aggregate, ENTITIES[entity.entity].aggregate, members={}, sources={}
                    )
                state.members[entity.id] = entity
    return states, same


def _compare_system(system: System, dsn: str, states: dict[str, AggregateState], verdict: Verdict) -> None:
    said: dict[str, list[tuple[EntityState, Any]]] = defaultdict(list)
    for state in states.values():
        for member in state.members.values():
            for source, contribution in member.contributions.items():
                if contribution.system == system.name and (member.merged_into is None):
                    said[source].append((member, contribution))
    seen: set[str] = set()
    try:
        learn_codes(dsn, system.dictionary)
    except MappingError as error:
        verdict.note("rejected", str(error))
    for table in system.dictionary.tables.values():
        for row, key in source_rows(dsn, table):
            verdict.source_rows += 1
            try:
                mapped = table.map(row, "r", key)
            except MappingError as error:
                verdict.note("rejected", f"{table.name}: {error}")
                # What the hub has of it is from before: its letter waits, and the row is not gone.
                with contextlib.suppress(MappingError):
                    seen.update(one.id for one in table.map(row, "d", key))
                continue
            for one in mapped:
                known = said.get(one.id, [])
                if one.part and (not known or known[0][1].deleted):
                    continue  # nothing that it could be part of
                if not one.part:
                    seen.add(one.id)
                where = f"{one.entity} {one.key} of {system.name}"
                if not known:
                    if not one.deleted:
                        verdict.note("lost", where)
                    continue
                if len(known) > 1:
                    verdict.note("doubled", f"{where} speaks for {', '.join(member.id for member, _ in known)}")
                contribution = known[0][1]
                if not one.part and contribution.deleted != one.deleted:
                    verdict.note(
                        "differing",
                        f"{where}: deleted is {one.deleted} in the source, {contribution.deleted} in the hub",
                    )
                elif not one.deleted:
                    for field, value in one.fields.items():
                        held = (contribution.fields or {}).get(field)
                        if held != value:
                            verdict.note(
                                "differing", f"{where}: {field} is {value!r} in the source, {held!r} in the hub"
                            )
                            break
    for source, known in said.items():
        if source not in seen:
            for _, contribution in known:
                if not contribution.deleted:
                    verdict.note(
                        "differing",
                        f"{contribution.key} of {system.name} is gone from the source, and live in the hub ({source})",
                    )


def _recompute(
    states: dict[str, AggregateState], same: dict[str, str], ownership: Ownership, verdict: Verdict
) -> dict[tuple[str, str], tuple[int, bytes | None]]:
    wanted: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    for state in states.values():
        flow_id = flow_record_id(state)
        for member in state.members.values():
            verdict.entities += 1
            if member.id == flow_id:
                joined = join(m for m in state.members.values() if m.id != flow_id)
                if (joined is None) != member.deleted or (joined is not None and joined != member.record):
                    verdict.note("differing", f"order_flow {member.id}: the hub's join is not what its members give")
            elif member.merged_into is None:
                _recompute_entity(member, same, ownership, verdict)
            topic = ENTITIES[member.entity].topic
            if topic is not None and member.version:
                live = not member.deleted and member.merged_into is None
                body = encoder(member.entity)(canonical(state, member)) if live else None
                wanted[topic, member.id] = (member.version, body)
    return wanted


def _recompute_entity(member: EntityState, same: dict[str, str], ownership: Ownership, verdict: Verdict) -> None:
    deleted = is_deleted(member, ownership)
    if deleted != member.deleted and member.version:
        verdict.note("differing", f"{member.entity} {member.id}: deleted should be {deleted}")
    if deleted:
        return
    record = dict(golden(member, ownership)[0])
    for field in REFERENCES[member.entity]:
        value = record.get(field)
        if value:
            for _ in range(8):
                value = same.get(value, value)
            record[field] = value
    if record != member.record:
        wrong = sorted(
            name for name in record.keys() | member.record.keys() if record.get(name) != member.record.get(name)
        )
        verdict.note("differing", f"{member.entity} {member.id}: {', '.join(wrong)} not as its contributions say")


def _compare_topics(
    settings: Settings, wanted: dict[tuple[str, str], tuple[int, bytes | None]], verdict: Verdict
) -> None:
    folded: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    for topic, key, version, body in read_canonical(settings, sorted({e.topic for e in ENTITIES.values() if e.topic})):
        verdict.records += 1
        known = folded.get((topic, key))
        if known is not None:
            if version < known[0]:
                verdict.note("gone_back", f"{topic} {key}: version {version} after {known[0]}")
            elif version == known[0] and body != known[1]:
                verdict.note("doubled", f"{topic} {key}: two records of version {version}")
        folded[topic, key] = (version, body)
    for (topic, key), (version, body) in wanted.items():
        held = folded.pop((topic, key), None)
        if held is None:
            if body is not None:
                verdict.note("lost", f"{topic} {key}: version {version} was never emitted")
        elif held[1] != body:
            verdict.note("differing", f"{topic} {key}: the topic has version {held[0]}, the hub {version}")
    for (topic, key), (version, body) in folded.items():
        if body is not None:
            verdict.note("differing", f"{topic} {key}: version {version} of what the hub does not know")


def read_canonical(settings: Settings, topics: list[str]) -> Any:
    """(topic, key, version, Avro body or None) of every committed record, from the beginning to the end that each partition has now."""
    asked = Consumer({"bootstrap.servers": settings.kafka, "group.id": "opshub-verify", "log_level": 4})
    try:
        metadata = asked.list_topics(timeout=10).topics
    finally:
        asked.close()
    begin = {
        (topic, partition): OFFSET_BEGINNING
        for topic in topics
        if topic in metadata
        for partition in metadata[topic].partitions
    }
    for message in _records(settings, begin):
        value = message.value()
        yield (
            message.topic(),
            message.key().decode(),
            _version(message, value),
            None if value is None else value[5:],
        )


def _records(settings: Settings, begin: dict[tuple[str, int], int]) -> Any:
    """Every committed record of these partitions, from an offset of each to the end that it has now."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka, "group.id": f"opshub-verify-{uuid.uuid4()}", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 4,
        }
    )  # fmt: skip
    try:
        consumer.assign([TopicPartition(*tp, offset) for tp, offset in begin.items()])
        left = set(begin)
        while left:
            message: Any
            for message in consumer.consume(5000, 0.5):
                if message.error() is None:
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
    finally:
        consumer.close()


def _version(message: Any, value: bytes | None) -> int:
    """A tombstone carries its version in a header; a record begins with its id (36 characters) and its version (Avro long)."""
    if value is None:
        return int(dict(message.headers() or ()).get("version", b"0"))
    number, shift, at = 0, 0, 5 + 1 + 36
    while True:
        byte = value[at]
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number >> 1
        at += 1
        shift += 7
