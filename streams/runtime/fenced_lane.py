"""A lane whose batches end in one transaction each: everything that the batch gave rise to, and the offsets that it consumed.

Promise, beside those of every lane. A worker that lost its partitions without knowing (it stood still for longer than the session) is
refused by the group coordinator when it sends its offsets (KIP-447: member and generation travel with the transaction), so nothing that it
emits late is ever read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, Fenced, RetryLater
from streams.model.partition import Partition
from streams.runtime.fault_points import fault_point
from streams.runtime.lane import ASKS_FOR, GONE, PRODUCER, Lane, Output

logger = get_logger(__name__)

PRODUCERS = 3
"""They take turns: after a commit the broker still marks the partitions of that transaction, and lets the same producer not begin
another before it is done, which takes longer than a small batch does.
"""


class FencedLane(Lane):
    """`client_id` is the transactional id as well. `transaction_timeout_ms` is how long a transaction that a killed worker left open holds
    up whoever takes over.
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
                PRODUCER
                | {
                    "bootstrap.servers": bootstrap,
                    "client.id": client_id,
                    "transactional.id": f"{client_id}-{turn}",
                    "transaction.timeout.ms": transaction_timeout_ms,
                    "linger.ms": 0.5,
                    # A transaction that begins while this producer's last one is still being marked is told to wait.
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
        while not self._stopping and granted < len(self._producers):
            try:
                self._producers[granted].init_transactions(10)
                self._forget_old(self._producers[granted])
                granted += 1
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if not error.retriable():
                    raise EnvironmentFault(
                        f"Kafka did not grant the transactional id of {self.name}: {error.str()}",
                        remedy="check that transactions are allowed to this user",
                    ) from raised
                self.waiting = f"{self.name} waits: Kafka does not answer ({error.str()})"
                logger.warning("%s", self.waiting)
        self.waiting = None

    def _forget_old(self, producer: Producer) -> None:
        """End what an earlier life of this producer may have left open in the group's offsets.

        A broker that crashed (a full disk) can forget a transaction, and keep the offsets that it was to commit: until this producer's next
        transaction with offsets ends, nobody may read those partitions, and if that one commits, so do they. So one is aborted first.
        """
        try:
            producer.begin_transaction()
            somewhere = [TopicPartition(self.topics[0], 0, 0)]
            self._patiently(producer.send_offsets_to_transaction, somewhere, self._consumer.consumer_group_metadata())
        except KafkaException as raised:
            logger.warning("%s: what was left open is not ended: %s", self.name, raised.args[0].str())
        self._abort(producer)

    def _commit(self, outputs: Iterable[Output], consumed: dict[Partition, int]) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in consumed.items()]
        pause = 0.05
        outputs = list(outputs)
        producer = self._producers[self._turn]
        self._turn = (self._turn + 1) % len(self._producers)
        while True:
            try:
                producer.begin_transaction()
                self._produce(producer, outputs)
                fault_point(self._produced)
                self._patiently(producer.send_offsets_to_transaction, offsets, self._consumer.consumer_group_metadata())
                self._patiently(producer.commit_transaction)
                self.records_out += len(outputs)
                self.waiting = None
                return
            except RetryLater:
                self._abort(producer)
                raise
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.code() in GONE or error.fatal():
                    if error.fatal() or error.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED):
                        raise EnvironmentFault(
                            f"{self.name} may not end its transaction, which the broker ended after a silence, or another worker has the "
                            f"same name: {error.str()}",
                            remedy="nothing, the supervisor starts it again; if it goes on, give each worker a name of its own "
                            "(--worker-name, OPSHUB_WORKER_NAME)",
                        ) from raised
                    self._abort(producer)
                    raise Fenced(error.str()) from raised
                self._abort(producer)
                if self._stopping:
                    raise Fenced("it leaves") from raised
                if not (error.retriable() or error.txn_requires_abort()):
                    raise RetryLater(f"Kafka refused what {self.name} emits: {error.str()}") from raised
                if pause > 0.3:
                    self.waiting = f"{self.name} waits: Kafka does not take what it emits ({error.str()})"
                logger.warning("%s: transaction aborted (%s), again in %.2f s", self.name, error.str(), pause)
                time.sleep(pause)
                pause = min(pause * 2, 2.0)

    def _patiently(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Make a call of a transactional producer, again and again while the broker is away: one that ran out of time goes on behind,
        and until it was asked for its outcome the producer takes no other call, not even to abort. Raises EnvironmentFault as
        `_is_not_taken` does.
        """
        back: float | None = None
        while True:
            self.asking_since = time.monotonic()
            try:
                call(*arguments, ASKS_FOR)
                return
            except KafkaException as raised:
                error: KafkaError = raised.args[0]
                if error.code() != KafkaError._TIMED_OUT or not error.retriable() or self._stopping:
                    raise
                try:
                    back = self._is_not_taken("end its transaction", error.str(), back)
                except EnvironmentFault as asleep:
                    raise asleep from raised
            finally:
                self.asking_since = None

    def _abort(self, producer: Producer) -> None:
        try:
            self._patiently(producer.abort_transaction)
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            if error.fatal():
                raise EnvironmentFault(f"{self.name}: {error.str()}", remedy="restart this worker") from raised
            logger.warning("%s: abort: %s", self.name, error.str())
