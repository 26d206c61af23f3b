"""A lane whose batches end in one Kafka transaction each: the outputs of the batch, and the offsets that it consumed.

Promise, beside those of every lane. A worker that lost its partitions without knowing it (it was paused for longer than
its session) is refused by the group coordinator when it sends its offsets (KIP-447: member and generation travel with
the transaction). So nothing that it emits late is ever read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced, RetryLater
from streams.runtime.batch import Offsets, Output
from streams.runtime.fault_points import fault_point
from streams.runtime.lane import Lane
from streams.runtime.producing import PARTITIONS_LOST, produce, producer_config

logger = get_logger(__name__)

PRODUCERS = 3
"""Producers that take turns. After a commit the broker still marks the partitions of that transaction; until then the
same producer can not begin another one, and that takes longer than a small batch.
"""
INIT_SECONDS = 10
"""Seconds that Kafka may take to grant a transactional id, before the lane reports that it waits."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two tries of a transaction that was aborted."""
REPORT_PAUSE_FROM = 0.3
"""A transaction that is aborted once or twice is normal; from this pause on the lane reports that it waits."""


class FencedLane(Lane):
    """`client_id` is also the prefix of the transactional ids. `transaction_timeout_ms`: how long a transaction that a
    killed worker left open holds up whoever takes over its partitions.
    """

    def __init__(
        self,
        name: str,
        topics: list[str],
        *,
        bootstrap: str,
        client_id: str,
        transaction_timeout_ms: int = 8_000,
        **options: Any,
    ) -> None:
        super().__init__(name, topics, bootstrap=bootstrap, client_id=client_id, **options)
        self._producers = [
            Producer(
                {
                    **producer_config(bootstrap, client_id),
                    "transactional.id": f"{client_id}-{turn}",
                    "transaction.timeout.ms": transaction_timeout_ms,
                    "linger.ms": 0.5,  # the end of the transaction flushes
                    # The broker answers "wait" to a transaction that begins while it marks this producer's last one:
                    # ask soon.
                    "retry.backoff.ms": 5,
                    "retry.backoff.max.ms": 50,
                },
                logger=logger,
            )
            for turn in range(PRODUCERS)
        ]
        self._turn = 0

    def _open(self) -> None:
        granted = 0
        while not self.stopping.is_set() and granted < len(self._producers):
            try:
                self._producers[granted].init_transactions(INIT_SECONDS)
                self._end_abandoned_transaction(self._producers[granted])
                granted += 1
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if not error.retriable():
                    raise EnvironmentFault(
                        f"Kafka did not grant the transactional id of {self.name}: {error.str()}",
                        remedy="check that transactions are allowed to this user",
                    ) from raised
                self.broker.waiting = f"{self.name} waits: Kafka does not answer ({error.str()})"
                logger.warning("%s", self.broker.waiting)
        self.broker.waiting = None

    def _end_abandoned_transaction(self, producer: Producer) -> None:
        """End what an earlier process with this transactional id may have left open in the group's offsets.

        A broker that crashed (a full disk) can forget a transaction and keep the offsets that it was to commit. Until
        this producer's next transaction with offsets ends, nobody can read those partitions; if that one commits, the
        old offsets are committed too. So the first transaction is aborted.
        """
        try:
            producer.begin_transaction()
            some_offset = [TopicPartition(self.topics[0], 0, 0)]
            self.calls.repeat(
                producer.send_offsets_to_transaction, some_offset, self.poller.consumer.consumer_group_metadata()
            )
        except KafkaException as raised:
            logger.warning("%s: an abandoned transaction is not ended: %s", self.name, raised.args[0].str())
        self._abort(producer)

    def _commit(self, outputs: Iterable[Output], consumed: Offsets) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in consumed.items()]
        pause = FIRST_PAUSE
        emitted = list(outputs)
        producer = self._producers[self._turn]
        self._turn = (self._turn + 1) % len(self._producers)
        while True:
            try:
                producer.begin_transaction()
                produce(producer, emitted)
                fault_point(self._produced_point)
                self.calls.repeat(
                    producer.send_offsets_to_transaction, offsets, self.poller.consumer.consumer_group_metadata()
                )
                self.calls.repeat(producer.commit_transaction)
                self.figures.records_out += len(emitted)
                self.broker.waiting = None
                return
            except RetryLater:  # a fault point
                self._abort(producer)
                raise
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                self._abort_or_raise(producer, error, raised)
                if pause > REPORT_PAUSE_FROM:
                    self.broker.waiting = f"{self.name} waits: Kafka does not accept what it emits ({error.str()})"
                logger.warning("%s: transaction aborted (%s), next try in %.2f s", self.name, error.str(), pause)
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _abort_or_raise(self, producer: Producer, error: KafkaError, raised: KafkaException) -> None:
        """Abort a transaction that is worth another try. Raises what the worker does instead for every other error."""
        if error.fatal() or error.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED):
            raise EnvironmentFault(
                f"the broker ended the transaction of {self.name} after a silence, or another worker has its name: "
                f"{error.str()}",
                remedy="nothing, the supervisor starts it again; if it goes on, give each worker a name of its own "
                "(--worker-name, OPSHUB_WORKER_NAME)",
            ) from raised
        self._abort(producer)
        if error.code() in PARTITIONS_LOST:
            raise Fenced(error.str()) from raised
        if self.stopping.is_set():
            raise Fenced("it leaves") from raised
        if not (error.retriable() or error.txn_requires_abort()):
            raise RetryLater(f"Kafka refused what {self.name} emits: {error.str()}") from raised

    def _abort(self, producer: Producer) -> None:
        try:
            self.calls.repeat(producer.abort_transaction)
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            if error.fatal():
                raise EnvironmentFault(f"{self.name}: {error.str()}", remedy="restart this worker") from raised
            logger.warning("%s: abort: %s", self.name, error.str())
