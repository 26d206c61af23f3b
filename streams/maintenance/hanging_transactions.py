"""Transactions that nobody is going to end. A broker that crashed between the decision to commit and the markers that tell of it may skip
them when it is back ("Couldn't find leader endpoint for partitions …, likely deleted already"): from then on readers of what is committed
see nothing more of those partitions.

In: the brokers. Out: the marker that is missing, which says that the transaction is committed. Where the decision had been to abort, what
is seen then comes once more, in order, from the offsets that were not committed: changes are merged by their positions, and records
repeat a version. Kafka's own `kafka-transactions.sh abort` would lose what was committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.structs import TopicPartition as Place
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from mode.utils.logging import get_logger

from streams.kafka.clients import admin_client
from streams.maintenance.transaction_requests import DescribeProducers, Open, WriteTxnMarkers
from streams.model.entities import ENTITIES
from streams.model.partition import Partition
from streams.provision.topics import change_topics

logger = get_logger(__name__)


LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

LOOKS_EVERY = 10.0
AFTER = 30.0
"""Seconds for which a partition was held back at one place until nobody is going to end that transaction: the coordinator aborts a
lane's after eight, and looks every ten.
"""


class HangingTransactions:
    """Partitions that workers write to, and for how long readers of them were held back at one place."""

    def __init__(self, bootstrap: str, *, after: float = AFTER, clock: Callable[[], float] = time.monotonic) -> None:
        self._bootstrap = bootstrap
        self._after = after
        self._clock = clock
        self._held: dict[Partition, tuple[int, float]] = {}
        """Partition → the last offset that readers see, and since when it is that."""
        self._admin = admin_client(bootstrap)
        self._next_look = 0.0

    async def tend(self) -> list[Partition]:
        """Look, every now and then, and end what hangs; the partitions in which something was ended."""
        if self._clock() < self._next_look:
            return []
        self._next_look = self._clock() + LOOKS_EVERY
        hanging = await asyncio.get_running_loop().run_in_executor(None, self.look)
        return await end_all(self._bootstrap, hanging) if hanging else []

    def look(self) -> dict[Partition, int]:
        """Partitions that were held back for too long → where."""
        try:
            asked = self._asked()
            seen, ends = (
                self._ends(asked, one) for one in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
            )
        except KafkaException:
            self._held.clear()  # a broker that is back is given its time
            return {}
        now = self._clock()
        held = {tp: at for tp, at in seen.items() if at < ends.get(tp, at)}
        before = self._held
        self._held = {tp: before[tp] if before.get(tp, (-1,))[0] == at else (at, now) for tp, at in held.items()}
        return {tp: at for tp, (at, since) in self._held.items() if now - since >= self._after}

    def _asked(self) -> dict[TopicPartition, OffsetSpec]:
        there = self._admin.list_topics(timeout=5).topics
        wanted = [*change_topics(), *(entity.topic for entity in ENTITIES.values() if entity.topic)]
        return {
            TopicPartition(topic, partition): LATEST
            for topic in wanted
            if topic in there
            for partition in there[topic].partitions
        }

    def _ends(self, asked: dict[TopicPartition, OffsetSpec], level: IsolationLevel) -> dict[Partition, int]:
        told = self._admin.list_offsets(asked, isolation_level=level, request_timeout=5) if asked else {}
        return {(tp.topic, tp.partition): future.result(10).offset for tp, future in told.items()}


async def end_all(bootstrap: str, hanging: dict[Partition, int]) -> list[Partition]:
    """Write the missing markers; the partitions in which one was. A broker that refuses is said, and asked again at the next look."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    ended = []
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
        for (topic, partition), at in hanging.items():
            leader = cluster.leader_for_partition(Place(topic, partition))
            for one in await _open(client, leader, topic, partition):
                if one.start > at:
                    continue  # it began behind the one that holds readers back
                reply = await client.send(leader, WriteTxnMarkers(one, topic, partition))
                ((_, ((_, ((_, error, _),), _),), _),) = reply.markers
                if error:
                    logger.error(
                        "%s:%d: the broker does not end a hanging transaction: error %d", topic, partition, error
                    )
                    continue
                logger.warning(
                    "%s:%d: nobody was going to end the transaction of producer %d that began at %d; its records are committed now",
                    topic, partition, one.producer_id, one.start,
                )  # fmt: skip
                ended.append((topic, partition))
    except (AioKafkaError, TimeoutError, OSError) as error:
        logger.warning("hanging transactions in %d partitions are looked at again later: %r", len(hanging), error)
    finally:
        await client.close()
    return ended


async def _open(client: AIOKafkaClient, leader: int, topic: str, partition: int) -> list[Open]:
    reply = await client.send(leader, DescribeProducers(topic, partition))
    ((_, ((_, error, message, producers, _),), _),) = reply.topics
    if error:
        logger.warning(
            "%s:%d: the broker does not tell who holds it back: error %d %s", topic, partition, error, message
        )
        return []
    return [
        Open(id_, epoch, max(coordinator, 0), start)
        for id_, epoch, _, _, coordinator, start, _ in producers
        if start >= 0
    ]
