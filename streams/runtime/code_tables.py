"""Code tables on every worker: raw topics that each worker reads whole, whatever partitions it owns.

A dictionary may look into other tables (`lookup`, `rates`). In goes the list of their raw topics and a function that
learns one record; promised: after `catch_up` every record that stood in the topics has been learned, and each `follow`
learns what came since. No group, no offsets: a worker begins anew each time it starts. Only committed records are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from streams.errors import RetryLater

Learn = Callable[[str, bytes | None, bytes | None], object]

EVERY_SECONDS = 0.05
"""How old what is known may be within a batch; the first lookup of one, and one that finds nothing, look again at once."""

_REMEDY = "is Kafka healthy? `opshub status` says"
_LOOK_FOR_TOPICS_SECONDS = 1.0


class CodeTables:
    """Reads some topics from their beginning, again and again to their end."""

    def __init__(self, bootstrap: str, topics: Iterable[str], learn: Learn) -> None:
        self._topics = set(topics)
        self._learn = learn
        self._assigned: dict[tuple[str, int], int] = {}
        """(topic, partition) → the offset of the next record."""
        self._next = 0.0
        self._next_topics = 0.0
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused: partitions are assigned, nothing is committed",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )

    def catch_up(self, seconds: float = 30.0) -> None:
        """Learn everything that stands in the topics now; a topic that is not there yet is empty.

        Raises RetryLater if Kafka does not serve in time.
        """
        deadline = time.monotonic() + seconds
        try:
            self._assign(deadline)
            open_ends = set(self._assigned)
            while open_ends:
                if time.monotonic() > deadline:
                    raise RetryLater(
                        f"the code tables were not read within {seconds:g} s",
                        remedy="is Kafka healthy? `opshub status` says",
                    )
                self._take(0.2, open_ends)
        except KafkaException as error:
            raise RetryLater(
                f"the code tables cannot be read: {error}", remedy="is Kafka healthy? `opshub status` says"
            ) from error
        self._next = time.monotonic() + EVERY_SECONDS

    def follow(self, *, at_once: bool = False) -> None:
        """Learn what has come since, waiting for nothing. If that was just done it is not done again, unless `at_once`."""
        now = time.monotonic()
        if now < self._next and not at_once:
            return
        try:
            if now >= self._next_topics:
                self._assign(now + 5)
            while self._take(0.02 if at_once else 0.0, set()):
                at_once = False
        except KafkaException as error:
            raise RetryLater(
                f"the code tables cannot be read: {error}", remedy="is Kafka healthy? `opshub status` says"
            ) from error
        self._next = time.monotonic() + EVERY_SECONDS

    def close(self) -> None:
        self._consumer.close()

    def _assign(self, deadline: float) -> None:
        """Take up partitions that are new; those that are read go on where they are."""
        self._next_topics = time.monotonic() + _LOOK_FOR_TOPICS_SECONDS
        known = self._consumer.list_topics(timeout=max(0.1, deadline - time.monotonic())).topics
        there = {(t, p) for t in self._topics if t in known and known[t].error is None for p in known[t].partitions}
        fresh = there - set(self._assigned)
        if fresh:
            self._assigned |= dict.fromkeys(fresh, OFFSET_BEGINNING)
            self._consumer.assign([TopicPartition(t, p, offset) for (t, p), offset in self._assigned.items()])

    def _take(self, wait: float, open_ends: set[tuple[str, int]]) -> bool:
        """Learn up to a thousand records; False if there were none. A partition at its end is taken out of `open_ends`."""
        records = self._consumer.consume(1000, wait)
        for record in records:
            error = record.error()
            place = (record.topic() or "", record.partition() or 0)
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                open_ends.discard(place)
                continue
            self._assigned[place] = (record.offset() or 0) + 1
            self._learn(place[0], record.key(), record.value())
        return bool(records)
