"""The agent ingest: raw topics → changes.<aggregate>."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

from mode.utils.logging import get_logger

from streams.agents.waiting import on_resume, on_wait
from streams.capture.pauses import paused_topics
from streams.decode.envelope import Decoder
from streams.emit.change_codec import encode_change
from streams.errors import EnvironmentFault, Fenced
from streams.hub.ingest_checkpoint import CountedElsewhere, PendingCheckpoint, write_checkpoint
from streams.hub.store import HubStore
from streams.pipeline.ingest import Ingest, now_us
from streams.pipeline.row_route import RowRoute
from streams.provision.column_types import types_version, with_types
from streams.provision.systems import System
from streams.runtime.acked_lane import AckedLane
from streams.runtime.batch import Batch
from streams.runtime.batch_loop import each_batch
from streams.runtime.fault_points import fault_point
from streams.runtime.faust_adapter import LaneApp
from streams.runtime.lane import Lane
from streams.runtime.logs import log_dead_letters
from streams.runtime.traces import Traces
from streams.runtime.worker_state import WorkerState
from streams.settings import Settings

logger = get_logger(__name__)

TYPES_INTERVAL_S = 5.0
"""How often a worker asks the hub whether the types of columns changed. Until it knows, values that do not fit the old
type are rejected.
"""

PAUSES_INTERVAL_S = 2.0
"""How often a worker asks the hub which tables are paused."""

INGEST_LINGER = 1.5
"""Factor of `Linger`. assemble is the slower step: what ingest saves where the cores are crowded is assemble's gain."""
INGEST_BATCH_SIZE = 4_000
"""Most records of a batch of ingest. It is never far behind, and a batch takes 15 kB of memory for each record while it
is worked on.
"""


def route_of(system: System, bootstrap: str = "") -> RowRoute:
    """The route of a system's raw records. `bootstrap` is needed where its dictionary looks into other tables."""
    decoder = Decoder(
        system.dictionary,
        prefix=system.source["config"]["topic.prefix"],
        on_drift=lambda drift: logger.warning("%s", drift),
        escapes=system.escapes_topics,
    )
    return RowRoute(system.dictionary, decoder, system.topics, bootstrap)


def routes_of(settings: Settings, systems: list[System]) -> dict[str, RowRoute]:
    """Raw topic → the route of its records."""
    routes: dict[str, RowRoute] = {}
    for system in systems:
        route = route_of(system, settings.kafka)
        routes |= dict.fromkeys(route.decoder.topics, route)
    return routes


def build_ingest(settings: Settings, systems: list[System]) -> tuple[Ingest, list[str]]:
    """The step, and the raw topics that it reads."""
    routes = routes_of(settings, systems)
    return Ingest(routes, encode_change), list(routes)


async def follow_column_types(settings: Settings, systems: list[System], version: str, step: Ingest) -> None:
    """Compile the dictionaries again whenever the hub learns other types of columns, until cancelled."""
    while True:
        await asyncio.sleep(TYPES_INTERVAL_S)
        try:
            if await asyncio.to_thread(types_version, settings) == version:
                continue
            typed, version = await asyncio.to_thread(with_types, settings, systems)
        except EnvironmentFault as error:
            logger.info("%s", error)
            continue
        logger.warning("the types of captured columns changed: the dictionaries were compiled again")
        step.replace_routes(routes_of(settings, typed))


async def follow_pauses(settings: Settings, systems: list[System], lane: Lane) -> None:
    """Leave the raw topics of paused tables unread, as the hub has them, until cancelled. While the hub is away the
    last answer stays.
    """
    while True:
        await asyncio.sleep(PAUSES_INTERVAL_S)
        try:
            lane.pause_topics(await asyncio.to_thread(paused_topics, settings, systems))
        except EnvironmentFault as error:
            logger.info("%s", error)


def add_ingest(
    app: LaneApp,
    state: WorkerState,
    step: Ingest,
    store: HubStore,
    topics: list[str],
    traces: Traces | None = None,
) -> None:
    """raw topics → changes.<aggregate>.

    The five steps of a batch; (4) and (5) are done for several batches together, when the lane is due or a dead letter
    must be stored.
    """
    size = min(app.settings.batch_size, INGEST_BATCH_SIZE)
    channel = app.lane("ingest", topics, kind=AckedLane, linger=INGEST_LINGER, batch_size=size)
    lane = app.lanes["ingest"]
    assert isinstance(lane, AckedLane)
    pending = PendingCheckpoint()

    async def work(batch: Batch) -> None:
        # A batch is empty when only a checkpoint is due, and is emitted already when only its checkpoint failed.
        if batch.records and not batch.emitted:
            fault_point("ingest.read")  # (1)
            read_us = now_us()
            outputs, outcome = await step.step(batch.records, store.rows)  # (2)
            fault_point("ingest.pure")
            log_dead_letters(logger, outcome.dead_letters)
            if traces is not None:
                outputs = traces.ingested(outputs, outcome.changes, read_us)
            await batch.commit(outputs)  # (3)
            pending.add(outcome)
            step.committed(outcome)
        # Ten checkpoints a second cost less than one for each batch. A dead letter is urgent: it must be in the hub
        # before a later record of its key is read.
        if not (lane.due or pending.is_urgent):
            return
        try:
            await write_checkpoint(store, pending)  # (4)
        except CountedElsewhere as elsewhere:
            raise Fenced("records were counted by another worker, or by an earlier try") from elsewhere
        fault_point("ingest.hub")
        await lane.checkpoint()  # (5)
        pending.clear()
        fault_point("ingest.committed")

    def drop_caches() -> None:
        pending.clear()
        step.forget()

    @app.agent(channel, name="ingest")
    async def ingest(stream: AsyncIterable[Batch]) -> None:
        await each_batch(stream, work, on_wait=on_wait(state, "ingest"), on_resume=on_resume(state, "ingest"))

    app.drop_caches["ingest"] = drop_caches
