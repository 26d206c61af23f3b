"""Code tables on every worker: raw topics that each worker reads whole, whatever partitions it owns.

A dictionary may look into other tables (`lookup`, `rates`). In goes the list of their raw topics and a function that learns one record;
promised: after `catch_up`, and after `follow(at_once=True)`, every record that stood in the topics when it was called has been learned;
other calls of `follow` learn what the client has fetched since. No group, no offsets: a worker begins anew each time it starts. Only
committed records are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from streams.errors import RetryLater

Learn = Callable[[str, bytes | None, bytes | None], object]

EVERY_SECONDS = 0.05
"""How old what is known may be within a batch; the first lookup of one, and one that finds nothing, look again at once."""

_REACHES_WITHIN = 5.0
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
        client = {
            "bootstrap.servers": bootstrap,
            "group.id": "unused: partitions are assigned, nothing is committed",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        self._consumer = Consumer(client)
        self._asking = Consumer(client)
        """Asks where topics end: on the connection of the other that would wait behind the fetch that is under way."""

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
                    raise RetryLater(f"the code tables were not read within {seconds:g} s", remedy=_REMEDY)
                self._take(0.2, open_ends)
        except KafkaException as error:
            raise RetryLater(f"the code tables cannot be read: {error}", remedy=_REMEDY) from error
        self._next = time.monotonic() + EVERY_SECONDS

    def follow(self, *, at_once: bool = False) -> None:
        """Learn what has come since, waiting for nothing. If that was just done it is not done again. With `at_once` it is, up to where the
        topics end now. Raises RetryLater if Kafka does not serve in time.
        """
        now = time.monotonic()
        if now < self._next and not at_once:
            return
        try:
            if now >= self._next_topics:
                self._assign(now + 5)
            if at_once:
                self._reach(now + _REACHES_WITHIN)
            else:
                while self._take(0.0, set()):
                    pass
        except KafkaException as error:
            raise RetryLater(f"the code tables cannot be read: {error}", remedy=_REMEDY) from error
        self._next = time.monotonic() + EVERY_SECONDS

    def close(self) -> None:
        self._consumer.close()
        self._asking.close()

    def _reach(self, deadline: float) -> None:
        """Learn up to where the topics end, as one question to the brokers tells."""
        asked = [TopicPartition(*place, OFFSET_END) for place in self._assigned]
        if not asked:
            return
        ends = {(end.topic, end.partition): end.offset for end in self._asking.offsets_for_times(asked, timeout=5.0)}
        while any(self._assigned[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise RetryLater(f"the code tables were not read within {_REACHES_WITHIN:g} s", remedy=_REMEDY)
            self._take(0.05, set())

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
        first = self._consumer.poll(wait)  # `consume` would wait for a thousand
        records = [] if first is None else [first, *self._consumer.consume(999, 0)]
        for record in records:
            error = record.error()
            place = (record.topic() or "", record.partition() or 0)
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                open_ends.discard(place)
                self._assigned[place] = record.offset() or 0  # markers of transactions take offsets, too
                continue
            self._assigned[place] = (record.offset() or 0) + 1
            self._learn(place[0], record.key(), record.value())
        return bool(records)
