"""Ends hanging transactions: Kafka transactions that nobody is going to end.

A broker that crashed between the decision to commit and the markers that say so may skip the markers when it is back
("Couldn't find leader endpoint for partitions …, likely deleted already"). From then on read-committed consumers see
nothing more of those partitions.

In: the brokers. Out: the missing marker, which says that the transaction is committed. If the decision had been to
abort, its records are seen and then come once more, in order, from the offsets that were not committed: changes are
merged by their positions, and canonical records repeat a version. Kafka's own `kafka-transactions.sh abort` would lose
what had been committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.structs import TopicPartition as AioPartition
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from mode.utils.logging import get_logger

from streams.kafka.clients import admin_client
from streams.maintenance.transaction_requests import DescribeProducers, OpenTransaction, WriteTxnMarkers
from streams.model.entities import ENTITIES
from streams.model.partition import Partition
from streams.provision.topics import change_topics

logger = get_logger(__name__)

LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

CHECK_INTERVAL_S = 10.0

HANGING_AFTER_S = 30.0
"""A partition that is blocked at one offset for so long has a hanging transaction: the coordinator aborts an open
transaction of a lane after eight seconds, and looks for such transactions every ten.
"""

Blocked = dict[Partition, tuple[int, float]]
"""Partition → (the last stable offset, at which read-committed consumers end; since when it is that)."""


class HangingTransactions:
    """The partitions that workers write to, and since when read-committed consumers are blocked in them."""

    def __init__(
        self, bootstrap: str, *, after: float = HANGING_AFTER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bootstrap = bootstrap
        self._after = after
        self._clock = clock
        self._blocked: Blocked = {}
        self._admin = admin_client(bootstrap)
        self._next_check = 0.0

    async def check(self) -> list[Partition]:
        """Every ten seconds, end what hangs; the partitions in which something was ended."""
        if self._clock() < self._next_check:
            return []
        self._next_check = self._clock() + CHECK_INTERVAL_S
        hanging = await asyncio.get_running_loop().run_in_executor(None, self.find)
        return await end_transactions(self._bootstrap, hanging) if hanging else []

    def find(self) -> dict[Partition, int]:
        """Partition → the offset at which it has been blocked for too long."""
        try:
            partitions = self._partitions()
            stable = self._ends(partitions, IsolationLevel.READ_COMMITTED)
            ends = self._ends(partitions, IsolationLevel.READ_UNCOMMITTED)
        except KafkaException:
            # A broker that is back gets the full time to end its transactions by itself.
            self._blocked.clear()
            return {}
        now = self._clock()
        self._blocked = blocked_since(stable, ends, self._blocked, now)
        return {tp: offset for tp, (offset, since) in self._blocked.items() if now - since >= self._after}

    def _partitions(self) -> list[Partition]:
        existing = self._admin.list_topics(timeout=5).topics
        topics = [*change_topics(), *(entity.topic for entity in ENTITIES.values() if entity.topic)]
        return [(topic, number) for topic in topics if topic in existing for number in existing[topic].partitions]

    def _ends(self, partitions: list[Partition], level: IsolationLevel) -> dict[Partition, int]:
        """The end of each partition, as consumers of this isolation level see it."""
        if not partitions:
            return {}
        requests = {TopicPartition(*partition): LATEST for partition in partitions}
        futures = self._admin.list_offsets(requests, isolation_level=level, request_timeout=5)
        return {(tp.topic, tp.partition): future.result(10).offset for tp, future in futures.items()}


def blocked_since(
    stable: Mapping[Partition, int], ends: Mapping[Partition, int], before: Blocked, now: float
) -> Blocked:
    """Partitions with records behind their last stable offset. The time starts again when the offset moves."""
    blocked: Blocked = {}
    for partition, offset in stable.items():
        if offset < ends.get(partition, offset):
            known = before.get(partition)
            blocked[partition] = known if known is not None and known[0] == offset else (offset, now)
    return blocked


async def end_transactions(bootstrap: str, hanging: Mapping[Partition, int]) -> list[Partition]:
    """Write the missing markers; the partitions in which that was done.

    When a broker refuses, it is logged and tried again at the next check.
    """
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    ended: list[Partition] = []
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
        for partition, offset in hanging.items():
            leader = cluster.leader_for_partition(AioPartition(*partition))
            for transaction in await _open_transactions(client, leader, partition):
                # One that began behind the blocked offset is not what blocks.
                if transaction.start <= offset and await _end(client, leader, partition, transaction):
                    ended.append(partition)
    except (AioKafkaError, TimeoutError, OSError) as error:
        logger.warning("hanging transactions in %d partitions are checked again later: %r", len(hanging), error)
    finally:
        await client.close()
    return ended


async def _open_transactions(client: AIOKafkaClient, leader: int, partition: Partition) -> list[OpenTransaction]:
    reply = await client.send(leader, DescribeProducers(*partition))
    # One topic and one partition were asked for.
    ((_, ((_, error, message, producers, _),), _),) = reply.topics
    if error:
        logger.warning("%s:%d: the broker does not list open transactions: error %d %s", *partition, error, message)
        return []
    # A coordinator epoch of -1 means that no marker was ever written; the request takes 0 then.
    return [
        OpenTransaction(producer_id, epoch, max(coordinator, 0), start)
        for producer_id, epoch, _, _, coordinator, start, _ in producers
        if start >= 0
    ]


async def _end(client: AIOKafkaClient, leader: int, partition: Partition, transaction: OpenTransaction) -> bool:
    reply = await client.send(leader, WriteTxnMarkers(transaction, *partition))
    ((_, ((_, ((_, error, _),), _),), _),) = reply.markers
    if error:
        logger.error("%s:%d: the broker does not end a hanging transaction: error %d", *partition, error)
        return False
    logger.warning(
        "%s:%d: nobody was going to end the transaction of producer %d that began at %d; its records are committed now",
        *partition,
        transaction.producer_id,
        transaction.start,
    )
    return True
