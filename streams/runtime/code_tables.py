"""Code tables on every worker: raw topics that each worker reads whole, whatever partitions it owns.

A dictionary may look into other tables (`lookup`, `rates`). In: the list of their raw topics, and a function that
learns one record.

Promises. After `catch_up`, and after `follow(at_once=True)`, every record that was in the topics at the time of the
call is learned; other calls of `follow` learn what the client has fetched since. Only committed records are read. There
is no group and no offset is kept: a worker reads the topics from their beginning each time it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition

from streams.errors import RetryLater
from streams.kafka.clients import reading_consumer
from streams.model.partition import Partition

Learn = Callable[[str, bytes | None, bytes | None], object]

FOLLOW_EVERY_SECONDS = 0.05
"""Seconds that a table may be behind within a batch. The first lookup of a batch, and one without a result, follow at
once.
"""
TOPICS_EVERY_SECONDS = 1.0
"""Seconds between two looks for topics and partitions that are new."""
REACH_SECONDS = 5.0
"""Seconds that one call of `follow` may take to reach the ends of the topics."""
TAKE_MOST = 1_000
"""Records that are learned at a time."""
_REMEDY = "is Kafka healthy? see `opshub status`"


class CodeTables:
    """Reads some topics from their beginning, and follows them to their end."""

    def __init__(self, bootstrap: str, topics: Iterable[str], learn: Learn) -> None:
        self._topics = set(topics)
        self._learn = learn
        self._next_offsets: dict[Partition, int] = {}
        self._next_follow = 0.0
        self._next_topics = 0.0
        options = {"isolation.level": "read_committed", "enable.partition.eof": True}
        self._consumer = reading_consumer(bootstrap, "opshub-code-tables", **options)
        self._ends_client = reading_consumer(bootstrap, "opshub-code-tables", **options)
        """Asks where topics end. On the connection of the reading client the request would wait behind the fetch that
        is under way.
        """

    def catch_up(self, seconds: float = 30.0) -> None:
        """Learn everything that is in the topics now; a topic that does not exist yet is empty.

        Raises RetryLater if Kafka does not serve in time.
        """
        deadline = time.monotonic() + seconds
        try:
            self._assign(deadline)
            open_ends = set(self._next_offsets)
            while open_ends:
                if time.monotonic() > deadline:
                    raise RetryLater(f"the code tables were not read within {seconds:g} s", remedy=_REMEDY)
                self._take(0.2, open_ends)
        except KafkaException as error:
            raise RetryLater(f"the code tables cannot be read: {error}", remedy=_REMEDY) from error
        self._next_follow = time.monotonic() + FOLLOW_EVERY_SECONDS

    def follow(self, *, at_once: bool = False) -> None:
        """Learn what the client has fetched since, at most every `FOLLOW_EVERY_SECONDS`. With `at_once`, wait until
        everything up to the present ends of the topics is learned. Raises RetryLater if Kafka does not serve in time.
        """
        now = time.monotonic()
        if now < self._next_follow and not at_once:
            return
        try:
            if now >= self._next_topics:
                self._assign(now + 5)
            if at_once:
                self._reach_ends(now + REACH_SECONDS)
            else:
                while self._take(0.0, set()):
                    pass
        except KafkaException as error:
            raise RetryLater(f"the code tables cannot be read: {error}", remedy=_REMEDY) from error
        self._next_follow = time.monotonic() + FOLLOW_EVERY_SECONDS

    def close(self) -> None:
        self._consumer.close()
        self._ends_client.close()

    def _reach_ends(self, deadline: float) -> None:
        """Learn up to where the topics end now."""
        partitions = [TopicPartition(*tp, OFFSET_END) for tp in self._next_offsets]
        if not partitions:
            return
        answers = self._ends_client.offsets_for_times(partitions, timeout=REACH_SECONDS)
        ends = {(answer.topic, answer.partition): answer.offset for answer in answers}
        while any(self._next_offsets[tp] < end for tp, end in ends.items()):
            if time.monotonic() > deadline:
                raise RetryLater(f"the code tables were not read within {REACH_SECONDS:g} s", remedy=_REMEDY)
            self._take(0.05, set())

    def _assign(self, deadline: float) -> None:
        """Begin with partitions that are new; the others go on where they are."""
        self._next_topics = time.monotonic() + TOPICS_EVERY_SECONDS
        known = self._consumer.list_topics(timeout=max(0.1, deadline - time.monotonic())).topics
        existing = {(t, p) for t in self._topics if t in known and known[t].error is None for p in known[t].partitions}
        new = existing - set(self._next_offsets)
        if new:
            self._next_offsets |= dict.fromkeys(new, OFFSET_BEGINNING)
            # `assign` replaces the whole assignment: partitions that are being read keep their offsets.
            self._consumer.assign([TopicPartition(t, p, offset) for (t, p), offset in self._next_offsets.items()])

    def _take(self, wait: float, open_ends: set[Partition]) -> bool:
        """Learn up to `TAKE_MOST` records; False if there were none. A partition at its end is removed from
        `open_ends`.
        """
        first = self._consumer.poll(wait)  # `consume` alone would wait until it has all of them
        records = [] if first is None else [first, *self._consumer.consume(TAKE_MOST - 1, 0)]
        for record in records:
            # An event of the consumer has an error and an offset, too.
            error = record.error()
            tp = (record.topic() or "", record.partition() or 0)
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                open_ends.discard(tp)
                self._next_offsets[tp] = record.offset() or 0  # markers of transactions take offsets, too
                continue
            self._next_offsets[tp] = (record.offset() or 0) + 1
            self._learn(tp[0], record.key(), record.value())
        return bool(records)
