"""The end of some topics, decoded, with filters and a hard limit on how much comes out. For people who watch.

In: topics of any kind that opshub or Debezium writes. Out: `Tail` after `Tail`, each with at most so many records, and
with how many were left out by the limit: nobody is drowned, and nobody takes what is shown for all. No group, no
commits: nothing is left behind in Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from streams.emit.consume import Consumed, consumed
from streams.emit.read import TopicReader
from streams.errors import ConfigError, EnvironmentFault

KINDS = ("canonical", "raw", "changes", "conflicts", "deadletters")
"""Groups of topics that a person may name in place of one topic."""
HEARTBEATS = "opshub.heartbeat"
ANSWER_S = 5.0
TURN_S = 0.5
"""Seconds between two answers."""
MOST_READ = 20_000
"""Records that are looked at in one turn: a filter that lets little through must not take the whole machine."""


class TailFilter(msgspec.Struct, frozen=True):
    """Which records a person wants to see. `key` and `text`: parts of them, whatever the case; `fields`: values that
    the record must have, as text, also inside of `after` of a raw record and `fields` of a change.
    """

    key: str = ""
    text: str = ""
    system: str = ""
    fields: dict[str, str] = {}

    def lets_through(self, record: Consumed) -> bool:
        """Whether the record is wanted."""
        if self.key and self.key.lower() not in (record.key or "").lower():
            return False
        values = msgspec.to_builtins(record.record, enc_hook=str) if record.record is not None else {}
        if self.system and not _is_of(record, values, self.system):
            return False
        if self.fields and not all(_has(values, name, value) for name, value in self.fields.items()):
            return False
        return not self.text or self.text.lower() in f"{record.key} {msgspec.json.encode(values).decode()}".lower()


class Tail(msgspec.Struct, frozen=True):
    """What came in one turn. `left_out`: wanted records beyond the limit; `read`: all that were looked at."""

    records: list[Consumed]
    read: int
    left_out: int


def parse_fields(texts: Sequence[str]) -> dict[str, str]:
    """field=value, several times → by field. Raises ConfigError for another form."""
    fields = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise ConfigError(f"{text!r} is no field=value", remedy="such as currency=EUR")
        fields[name.strip()] = value.strip()
    return fields


def tail(
    bootstrap: str,
    registry_url: str,
    name: str,
    wanted: Callable[[Consumed], bool],
    *,
    back: int = 0,
    most: int = 50,
    heartbeats: bool = False,
) -> Iterator[Tail]:
    """Turn after turn, for ever: at most `most` wanted records of a second's share, those that came last. It begins
    `back` records before the end of each partition.

    Raises ConfigError when there is no such topic, EnvironmentFault when Kafka or the registry does not answer.
    """
    consumer = _consumer(bootstrap)
    try:
        topics = topics_of(consumer, name, heartbeats=heartbeats)
        by_topic = {topic: TopicReader(registry_url, topic) for topic, _ in topics}
        readers = {(topic, number): by_topic[topic] for topic, number in topics}
        consumer.assign(_begin(consumer, topics, back))
        while True:
            yield _turn(consumer, readers, wanted, most)
    except KafkaException as error:
        raise _kafka_is_away(bootstrap, error) from error
    finally:
        consumer.close()


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "opshub-tail",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 8_192,
            "log_level": 0,
        }
    )


def _kafka_is_away(bootstrap: str, error: KafkaException) -> EnvironmentFault:
    return EnvironmentFault(
        f"Kafka does not answer at {bootstrap}: {error.args[0].str()}", remedy="`opshub status` shows the servers"
    )


def recent(
    bootstrap: str,
    registry_url: str,
    name: str,
    wanted: Callable[[Consumed], bool],
    *,
    back: int = 200,
    most: int = 50,
    heartbeats: bool = False,
    seconds: float = 3.0,
) -> Tail:
    """The last wanted records of a topic, the newest first: of the last `back` of each partition. Raises as `tail`."""
    consumer = _consumer(bootstrap)
    try:
        topics = topics_of(consumer, name, heartbeats=heartbeats)
        records, read = _to_the_ends(consumer, registry_url, topics, wanted, back, seconds)
    except KafkaException as error:
        raise _kafka_is_away(bootstrap, error) from error
    finally:
        consumer.close()
    records.sort(key=lambda record: record.timestamp_ms, reverse=True)
    return Tail(records[:most], read, max(0, len(records) - most))


def recent_by_topic(
    bootstrap: str,
    registry_url: str,
    names: Sequence[str],
    wanted: Callable[[Consumed], bool],
    *,
    most: int,
    seconds: float = 5.0,
) -> dict[str, list[Consumed]]:
    """Topic → its last wanted records, the newest first; read side by side, of the last `most` of each partition. A
    topic that is not there has none. Raises EnvironmentFault when Kafka or the registry does not answer.
    """
    consumer = _consumer(bootstrap)
    try:
        known = consumer.list_topics(timeout=ANSWER_S).topics
        topics = [(name, number) for name in names if name in known for number in sorted(known[name].partitions)]
        records, _ = _to_the_ends(consumer, registry_url, topics, wanted, most, seconds)
    except KafkaException as error:
        raise _kafka_is_away(bootstrap, error) from error
    finally:
        consumer.close()
    records.sort(key=lambda record: record.timestamp_ms, reverse=True)
    return {name: [record for record in records if record.topic == name][:most] for name in names}


def _to_the_ends(
    consumer: Consumer,
    registry_url: str,
    topics: Sequence[tuple[str, int]],
    wanted: Callable[[Consumed], bool],
    back: int,
    seconds: float,
) -> tuple[list[Consumed], int]:
    """(wanted records, all that were read) from `back` before the end of each partition until each was read to its end,
    or for `seconds`. Raises KafkaException.
    """
    by_topic = {topic: TopicReader(registry_url, topic) for topic, _ in topics}
    waiting = set(topics)
    consumer.assign(_begin(consumer, topics, back))
    records: list[Consumed] = []
    read = 0
    end = time.monotonic() + seconds
    while waiting and (left := end - time.monotonic()) > 0:
        for message in consumer.consume(500, min(left, 0.1)):
            problem = message.error()
            if problem is None:
                read += 1
                record = consumed(message, by_topic[str(message.topic())])
                if wanted(record):
                    records.append(record)
            elif problem.code() == KafkaError._PARTITION_EOF:
                waiting.discard((str(message.topic()), int(message.partition() or 0)))
            elif not problem.retriable():
                raise KafkaException(problem)
    return records, read


def topics_of(consumer: Consumer, name: str, *, heartbeats: bool = False) -> list[tuple[str, int]]:
    """(topic, partition) of one topic, or of all of a kind (`raw`, `canonical`). Raises ConfigError when there is none,
    KafkaException while no broker answers.
    """
    known = consumer.list_topics(timeout=ANSWER_S).topics
    chosen = [topic for topic in known if topic == name or topic == f"canonical.{name}"]
    if not chosen and name in KINDS:
        chosen = [topic for topic in known if topic.startswith(f"{name}.")]
    if heartbeats:
        chosen += [topic for topic in known if topic.startswith(HEARTBEATS) and topic not in chosen]
    if not chosen:
        raise ConfigError(f"there is no topic {name!r}", remedy=f"one of {', '.join([*KINDS, *sorted(known)][:40])}")
    return [(topic, number) for topic in sorted(chosen) for number in sorted(known[topic].partitions)]


def _begin(consumer: Consumer, topics: Sequence[tuple[str, int]], back: int) -> list[TopicPartition]:
    if not back:
        return [TopicPartition(topic, number, OFFSET_END) for topic, number in topics]
    begin = []
    for topic, number in topics:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER_S)
        begin.append(TopicPartition(topic, number, max(first, end - back)))
    return begin


def _turn(
    consumer: Consumer, readers: dict[tuple[str, int], TopicReader], wanted: Callable[[Consumed], bool], most: int
) -> Tail:
    records: list[Consumed] = []
    read = left_out = 0
    end = time.monotonic() + TURN_S
    while read < MOST_READ and (left := end - time.monotonic()) > 0:
        for message in consumer.consume(500, min(left, 0.1)):
            problem = message.error()
            if problem is not None:
                if problem.code() != KafkaError._PARTITION_EOF and not problem.retriable():
                    raise KafkaException(problem)
                continue
            read += 1
            record = consumed(message, readers[str(message.topic()), int(message.partition() or 0)])
            if not wanted(record):
                continue
            records.append(record)
            if len(records) > most:
                left_out += 1
                records.pop(0)
    return Tail(records, read, left_out)


def _is_of(record: Consumed, values: Any, system: str) -> bool:
    if record.topic.startswith("raw."):
        return record.topic.startswith(f"raw.{system}.")
    if not isinstance(values, dict):
        return False
    named = values.get("system") == system or str(values.get("topic", "")).startswith(f"raw.{system}.")
    return named or any(isinstance(v, dict) and v.get("system") == system for v in values.get("values") or ())


def _has(values: Any, name: str, value: str) -> bool:
    places = [values, *(values.get(inner) for inner in ("after", "before", "fields", "record"))]
    return any(isinstance(place, dict) and name in place and _text(place[name]) == value for place in places)


def _text(value: Any) -> str:
    """As JSON writes it, and a text without quotes."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
