"""A Faust app whose agents receive whole batches.

What stays Faust's: the app, its agents and streams, topics and their delivery (the conductor), signals, the worker's
life cycle. What is ours: where records come from. Each agent gets a `Lane` and sees one event for one poll;
the event's value is a `Batch`. Faust's own consumer, fetcher, offset bookkeeping and tables are not started: they hand
over one record at a time, and can commit past work that is still in flight (faust-streaming/faust #606).
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
from faust.types import TP, ConsumerMessage
from mode import Service

from streams.errors import Fenced, RetryLater
from streams.runtime.fenced_lane import FencedLane
from streams.runtime.lane import Batch, Lane
from streams.settings import Settings


class BatchSchema(Schema):  # type: ignore[type-arg]
    """Hands a batch through as the event's value: `Schema.compile` is the seam at which a topic's decoding is made."""

    def compile(
        self,
        app: Any,
        *,
        on_key_decode_error: Any = None,
        on_value_decode_error: Any = None,
        default_propagate: bool = False,
    ) -> Any:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, {}, message)

        return decode


class LaneConductor(FaustConductor):
    """Subscribes as soon as the agents run; there are no tables to wait for."""

    @Service.task
    async def _subscriber(self) -> None:
        await self.app.agents.wait_until_agents_started()
        await self.app.consumer.subscribe(await self._update_indices())
        self.app.flow_control.resume()


class LaneConsumer(FaustConsumer):
    """What Faust sees as its consumer: it runs the app's lanes and hands their batches to the conductor."""

    app: Any

    async def subscribe(self, topics: Iterable[str]) -> None:
        wanted = set(topics)
        self._of: dict[str, set[TP]] = {}
        for lane in self.app.lanes.values():
            if wanted.intersection(lane.topics):
                self.add_future(self._run(lane))

    async def _run(self, lane: Lane) -> None:
        async def rebalanced(assigned: set[tuple[str, int]]) -> None:
            forget = self.app.forget.get(lane.name)
            if forget is not None:
                forget()
            self._of[lane.name] = {TP(topic, partition) for topic, partition in assigned}
            await self.app.topics.on_partitions_assigned(self.assignment())
            await self.app.on_partitions_assigned.send(self.assignment())

        async def deliver(batch: Batch) -> None:
            value: Any = batch
            tp, offset = TP(*next(iter(lane.assigned))), 0
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
            await self.app.crash(error)

    def assignment(self) -> set[TP]:
        return set().union(*self._of.values()) if getattr(self, "_of", None) else set()

    async def on_stop(self) -> None:
        await asyncio.gather(*(lane.stop() for lane in self.app.lanes.values()))

    # Offsets are committed with each batch, by its lane; Faust's own bookkeeping has nothing to do.

    def ack(self, message: Any) -> bool:
        message.acked = True
        return True

    def track_message(self, message: Any) -> None:
        return None

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
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

    async def _commit(self, offsets: Any) -> bool:
        return False

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        return None

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> Any:
        return record

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        return None

    async def earliest_offsets(self, *partitions: TP) -> Any:
        return {}

    async def highwaters(self, *partitions: TP) -> Any:
        return {}

    def highwater(self, tp: TP) -> int:
        return 0

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition

    async def position(self, tp: TP) -> int | None:
        return None

    async def seek_to_committed(self) -> Any:
        return {}

    async def seek_wait(self, partitions: Any) -> None:
        return None

    def topic_partitions(self, topic: str) -> int | None:
        return None


class LaneTransport(driver.Transport):
    """Faust transport over lanes."""

    Consumer = LaneConsumer
    Conductor = LaneConductor


class LaneBoot(BootStrategy):
    """Starts producer, consumer, agents and conductor: no tables, no leader election, no reply topic, no web."""

    def server(self) -> Iterable[Any]:
        return self._chain(self.sensors(), [self.app.consumer], self.agents(), self.kafka_conductor())


class LaneApp(faust.App):
    """A Faust app with lanes. `app.lane(name, topics)` gives an agent its channel."""

    BootStrategy = LaneBoot
    lanes: dict[str, Lane]

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        self.settings = settings
        self.lanes = {}
        self.waiting: dict[str, str] = {}
        """By lane: which server its step waits for, and what that said."""
        self.stopped: dict[str, str] = {}
        """By system: why nothing more is captured of it."""
        self.forget: dict[str, Callable[[], None]] = {}
        """By lane: what drops the caches of its step when partitions come or go."""
        self.deliverer: Any = None
        """What serves intents beside the lanes, in a worker of that role."""
        self.beside: list[Any] = []
        """What runs beside the lanes for as long as they do; each has `run`."""
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

    def lane(self, name: str, topics: list[str], kind: type[Lane] = FencedLane, **options: Any) -> Any:
        """The channel of an agent that reads `topics` in consumer group `<app_id>-<name>`; its events' values are batches."""
        settings = self.settings
        self.lanes[name] = kind(
            name,
            topics,
            bootstrap=settings.kafka,
            group=f"{settings.app_id}-{name}",
            client_id=f"{settings.app_id}-{name}-{settings.worker_name}",
            batch_size=options.pop("batch_size", settings.batch_size),
            session_timeout_ms=settings.session_timeout_ms,
            **options,
        )
        return self.topic(*topics, schema=BatchSchema())

    def _create_directories(self) -> None:
        """No tables, so no folders for them."""

    async def _wait_for_table_recovery_completed(self) -> bool:
        return False


async def each_batch(
    stream: Any,
    work: Callable[[Batch], Awaitable[None]],
    *,
    on_wait: Callable[[float, Exception], None],
    on_pass: Callable[[], object] = lambda: None,
) -> None:
    """Run `work` on every batch; what it raises decides what is next (see streams/errors.py).

    RetryLater: the same batch again after a pause, told to `on_wait(seconds, error)`, until `on_pass()`. Fenced: the batch
    is dropped, its new owner has it. Anything else stops the worker with the batch uncommitted: nothing raises out of the
    loop with work undone, for Faust would call it acknowledged.
    """
    async for batch in stream:
        pause = 0.1
        while not batch.done.done():
            try:
                await work(batch)
                batch.finish()
                on_pass()
            except Fenced as gone:
                batch.finish(gone)
                on_pass()
            except RetryLater as later:
                on_wait(pause, later)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                batch.finish(error)
