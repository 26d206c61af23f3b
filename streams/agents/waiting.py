"""Keep in the worker's state what an agent waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mode.utils.logging import get_logger

from streams.runtime.batch_loop import OnWait
from streams.runtime.worker_state import WorkerState

logger = get_logger(__name__)


def on_wait(state: WorkerState, lane: str) -> OnWait:
    """Keep in the worker's state what a lane waits for; log it once."""

    def waits(seconds: float, error: BaseException) -> None:
        if lane not in state.waiting:
            logger.warning("%s: %s; trying again until it passes", lane, error)
        state.retries[lane] += 1
        state.waiting[lane] = f"{lane} waits: {error}"

    return waits


def on_resume(state: WorkerState, lane: str) -> Callable[[], object]:
    return partial(state.waiting.pop, lane, None)
