"""The agents: one for each arrow of the walk. Each reads a batch, runs its step, and commits what the step gave rise to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mode.utils.logging import get_logger

from streams.errors import Fenced
from streams.hub.ingest_checkpoint import CountedElsewhere, PendingCheckpoint, write_checkpoint
from streams.hub.store import HubStore
from streams.pipeline.assemble import Assemble
from streams.pipeline.dead_letter_topic import dead_letter_output
from streams.pipeline.ingest import Ingest
from streams.runtime.acked_lane import AckedLane
from streams.runtime.fault_points import fault_point
from streams.runtime.faust_app import LaneApp, each_batch
from streams.runtime.lane import Batch

logger = get_logger(__name__)


def _on_wait(app: LaneApp, lane: str) -> Callable[[float, Exception], None]:
    def waiting(seconds: float, error: Exception) -> None:
        if lane not in app.waiting:
            logger.warning("%s: %s; trying again until it passes", lane, error)
        app.waiting[lane] = f"{lane} waits: {error}"

    return waiting


def add_ingest(app: LaneApp, step: Ingest, store: HubStore, topics: list[str], **options: Any) -> None:
    """raw topics → changes.<aggregate>."""
    # assemble is the slower one: what ingest saves where the cores are crowded is its gain.
    # It is never far behind, and a batch takes 15 kB a record while it is worked on.
    size = min(app.settings.batch_size, 4_000)
    channel = app.lane("ingest", topics, kind=AckedLane, gather=1.5, batch_size=size, **options)
    lane: Any = app.lanes["ingest"]
    pending = PendingCheckpoint()

    async def work(batch: Batch) -> None:
        if batch.records and not batch.emitted:
            fault_point("ingest.read")
            outputs, outcome = await step.step(batch.records, store.rows)
            fault_point("ingest.pure")
            await batch.commit(outputs)
            pending.add(outcome)
            step.committed(outcome)
        if not (lane.due or pending.is_urgent):
            return
        try:
            await write_checkpoint(store, pending)
        except CountedElsewhere as elsewhere:
            raise Fenced("records were counted by another worker, or by an earlier try") from elsewhere
        fault_point("ingest.hub")
        await lane.checkpoint()
        pending.clear()
        fault_point("ingest.committed")

    def forget() -> None:
        pending.clear()
        step.forget()

    @app.agent(channel, name="ingest")
    async def ingest(stream: Any) -> None:
        await each_batch(
            stream, work, on_wait=_on_wait(app, "ingest"), on_pass=partial(app.waiting.pop, "ingest", None)
        )

    app.forget["ingest"] = forget


def add_assemble(app: LaneApp, step: Assemble, topics: list[str], **options: Any) -> None:
    """changes.<aggregate> → hub and canonical.<entity>."""
    channel = app.lane("assemble", topics, **options)

    async def work(batch: Batch) -> None:
        fault_point("assemble.read")
        outputs, dead = await step.step(batch.records)
        fault_point("assemble.hub")
        outputs.extend(dead_letter_output(letter) for letter in dead)
        await batch.commit(outputs)
        fault_point("assemble.committed")

    @app.agent(channel, name="assemble")
    async def assemble(stream: Any) -> None:
        await each_batch(
            stream, work, on_wait=_on_wait(app, "assemble"), on_pass=partial(app.waiting.pop, "assemble", None)
        )

    app.forget["assemble"] = step.forget
