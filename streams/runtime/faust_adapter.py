"""Everything that opshub has to do with Faust. No other module imports it; `tests/unit/test_rooms.py` holds that.

What Faust does here: it runs agents and their streams, routes topics to agents (its conductor), and starts and stops
all of it in order (the worker's life cycle). Users add agents of their own on canonical topics in the same way: see
docs/guides/consume.md.

What Faust must not do here, and why. Each of these loses records:
- Read from Kafka and commit offsets. Its consumer can commit past work that is still in flight (faust-streaming/faust
  #606, open). Its fetcher, offsets and acks are therefore never started: a `Lane` polls, produces and commits.
- Take an agent that raises for done. Faust acknowledges the event that the agent was working on, and `take()` its whole
  batch. So no error leaves an agent's loop with work undone: `batch_loop.each_batch` decides about every error.
- Keep state. Recovery of its tables has a long list of open faults (faust-streaming #21, #74, #44, #92, #333): the hub
  holds all state.
- Serve HTTP. Its web server can show the contents of tables; health has a page of its own (`health_page`).

Each agent reads one channel. Its events' values are batches: one event for one poll of the channel's lane.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.serializers.schemas import Schema
from faust.transport.conductor import Conductor as FaustConductor
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import confluent as driver
from faust.types import TP, AppT, ChannelT, ConsumerMessage, EventT, Message
from mode import Service

from streams.model.partition import Partition
from streams.runtime.batch import Batch
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.lane import Lane
from streams.settings import Settings


class BatchSchema(Schema):  # type: ignore[type-arg]
    """Passes a batch on as the event's value: Faust asks a topic's schema how a message becomes an event."""

    def compile(
        self,
        app: AppT,
        *,
        on_key_decode_error: object = None,
        on_value_decode_error: object = None,
        default_propagate: bool = False,
    ) -> Callable[..., Awaitable[EventT[Batch]]]:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> EventT[Batch]:
            return create_event(None, message.value, {}, message)

        return decode


class LaneConductor(FaustConductor):
    """Subscribes as soon as the agents run; there are no tables to wait for."""

    @Service.task
    async def _subscriber(self) -> None:
        await self.app.agents.wait_until_agents_started()
        await self.app.consumer.subscribe(await self._update_indices())
        self.app.flow_control.resume()  # Faust starts paused, until its own consumer has partitions


class LaneConsumer(FaustConsumer):
    """What Faust takes for its consumer: it runs the app's lanes and gives their batches to the conductor."""

    app: LaneApp

    async def subscribe(self, topics: Iterable[str]) -> None:
        wanted = set(topics)
        self._of: dict[str, set[TP]] = {}
        for lane in self.app.lanes.values():
            if wanted.intersection(lane.topics):
                self.add_future(self._run(lane))

    async def _run(self, lane: Lane) -> None:
        async def rebalanced(assigned: set[Partition]) -> None:
            drop_caches = self.app.drop_caches.get(lane.name)
            if drop_caches is not None:
                drop_caches()
            self._of[lane.name] = {TP(topic, partition) for topic, partition in assigned}
            # Faust's conductor routes batches by its index of the assigned partitions.
            await self.app.topics.on_partitions_assigned(self.assignment())
            await self.app.on_partitions_assigned.send(self.assignment())

        async def deliver(batch: Batch) -> None:
            value: Any = batch
            # Faust routes by the topic of a message: an empty batch gets a partition of its lane, a full one that of
            # its first record.
            tp, offset = TP(*next(iter(lane.progress.assigned))), 0
            if batch.records:
                tp, offset = TP(batch.records[0].topic(), batch.records[0].partition()), batch.records[-1].offset()
            await self.callback(
                ConsumerMessage(
                    tp.topic, tp.partition, offset, time.time(), 0, {}, None, value, None, 0, 0, tp,
                    generation_id=self.app.consumer_generation_id,
                )
            )  # fmt: skip

        try:
            await lane.run(deliver, rebalanced)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await self.app.crash(error)  # ends `wait_until_stopped`, and so the worker

    def assignment(self) -> set[TP]:
        return set().union(*self._of.values()) if getattr(self, "_of", None) else set()

    async def on_stop(self) -> None:
        await asyncio.gather(*(lane.stop() for lane in self.app.lanes.values()))

    # The lanes poll, produce and commit. What follows switches Faust's own bookkeeping off.

    def ack(self, message: Message) -> bool:
        message.acked = True
        return True

    def track_message(self, message: Message) -> None:
        return None

    async def commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:
        return False

    async def wait_empty(self) -> None:
        return None

    def on_buffer_full(self, tp: TP) -> None:
        return None

    def on_buffer_drop(self, tp: TP) -> None:
        return None

    @Service.task
    async def _commit_handler(self) -> None:
        return None

    @Service.task
    async def _commit_livelock_detector(self) -> None:
        return None

    async def _commit(self, offsets: object) -> bool:
        return False

    async def _getmany(self, active_partitions: object, timeout: float) -> dict[TP, list[object]]:
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        return None

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> Any:
        return record

    async def create_topic(self, topic: str, *args: object, **kwargs: object) -> None:
        return None

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return {}

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {}

    def highwater(self, tp: TP) -> int:
        return 0

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition

    async def position(self, tp: TP) -> int | None:
        return None

    async def seek_to_committed(self) -> dict[TP, int]:
        return {}

    async def seek_wait(self, partitions: object) -> None:
        return None

    def topic_partitions(self, topic: str) -> int | None:
        return None


class LaneTransport(driver.Transport):
    """The transport that Faust makes its consumer and conductor of."""

    Consumer = LaneConsumer
    Conductor = LaneConductor


class LaneBoot(BootStrategy):
    """Starts consumer, agents and conductor: no tables, no leader election, no reply topic, no web server."""

    def server(self) -> Iterable[Any]:
        return self._chain(self.sensors(), [self.app.consumer], self.agents(), self.kafka_conductor())


class LaneApp(faust.App):
    """A Faust app with lanes. `app.lane(name, topics)` gives an agent its channel."""

    BootStrategy = LaneBoot

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        self.settings = settings
        self.lanes: dict[str, Lane] = {}
        self.drop_caches: dict[str, Callable[[], None]] = {}
        """By lane: called when partitions come or go, before the next batch."""
        super().__init__(
            settings.app_id,
            broker=f"confluent://{settings.kafka.split(',')[0]}",
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            reply_create_topic=False,
            stream_wait_empty=False,
            stream_buffer_maxsize=8,
            datadir=settings.state_dir / "faust",
            **kwargs,
        )
        self.transport = LaneTransport(self.conf.broker, self)

    def lane(
        self,
        name: str,
        topics: list[str],
        kind: type[Lane] = FencedLane,
        *,
        batch_size: int | None = None,
        **options: Any,
    ) -> ChannelT[Batch]:
        """The channel of an agent that reads `topics` in consumer group `<app_id>-<name>`; its events' values are
        batches.
        """
        settings = self.settings
        self.lanes[name] = kind(
            name,
            topics,
            bootstrap=settings.kafka,
            group=f"{settings.app_id}-{name}",
            client_id=f"{settings.app_id}-{name}-{settings.worker}",
            batch_size=batch_size or settings.batch_size,
            session_timeout_ms=settings.session_timeout_ms,
            **options,
        )
        return self.topic(*topics, schema=BatchSchema())

    def _create_directories(self) -> None:
        """No tables, so no folders for them."""

    async def _wait_for_table_recovery_completed(self) -> bool:
        return False
