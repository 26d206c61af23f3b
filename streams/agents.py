"""The agents: one for each arrow of the walk. Each reads a batch, runs its step, and commits what the step gave rise to."""

from __future__ import annotations

from typing import Any

from mode.utils.logging import get_logger

from streams.hub.store import HubStore
from streams.runtime.faust_app import LaneApp, each_batch
from streams.runtime.lane import Batch
from streams.walk.assemble import Assemble
from streams.walk.ingest import Ingest

logger = get_logger(__name__)


def _waiting(seconds: float, error: Exception) -> None:
    logger.warning("%s; again in %.1f s", error, seconds)


def add_ingest(app: LaneApp, step: Ingest, store: HubStore, topics: list[str], **options: Any) -> None:
    """raw topics → changes.<aggregate>."""
    channel = app.lane("ingest", topics, **options)

    async def work(batch: Batch) -> None:
        outputs, dead = await step.step(batch.records, store.rows)
        for letter in dead:
            await store.rows("dead_letter", *letter.row())
            outputs.append(letter.output())
        await batch.commit(outputs)

    @app.agent(channel, name="ingest")
    async def ingest(stream: Any) -> None:
        await each_batch(stream, work, on_wait=_waiting)

    app.forget["ingest"] = step.forget


def add_assemble(app: LaneApp, step: Assemble, topics: list[str], **options: Any) -> None:
    """changes.<aggregate> → hub and canonical.<entity>."""
    channel = app.lane("assemble", topics, **options)

    async def work(batch: Batch) -> None:
        outputs, dead = await step.step(batch.records)
        outputs.extend(letter.output() for letter in dead)
        await batch.commit(outputs)

    @app.agent(channel, name="assemble")
    async def assemble(stream: Any) -> None:
        await each_batch(stream, work, on_wait=_waiting)

    app.forget["assemble"] = step.forget
