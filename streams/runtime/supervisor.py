"""The life of a worker: named tasks that run together, and one way out.

In: tasks, and an event that SIGTERM sets. Out: nothing, or the error that ended the worker, which becomes its exit
code.

Promises. A batch in flight is finished before the worker leaves. A worker that failed leaves within `LEAVES_WITHIN`
seconds, whatever still hangs: a task that lets no cancellation through would hold the process for ever, its page would
still answer, and no supervisor would start the worker again. That is why this is no `asyncio.TaskGroup`, which waits
for all of its tasks without a bound.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault, OpshubError

logger = get_logger(__name__)

LEAVES_WITHIN = 3.0
"""Seconds that a worker which failed may take to leave, before the process is ended."""


@dataclass(frozen=True)
class WorkerTask:
    """A part of the worker that runs as long as the worker does."""

    name: str
    run: Callable[[], Coroutine[Any, Any, object]]
    finishes_first: bool = False
    """Whether the worker waits, once this task is cancelled, until it has ended: it has work in hand that it must put
    back.
    """


async def run_until_stopped(
    worker: str, tasks: Sequence[WorkerTask], stopping: asyncio.Event, stop_lanes: Callable[[], Awaitable[object]]
) -> None:
    """Run `tasks` until `stopping` is set or one of them ends. Of several that failed at once, the first in `tasks`
    counts.

    (1) Wait. (2) If a task failed, start the clock of `LEAVES_WITHIN`. (3) Cancel the tasks, and wait for those that
    finish first.
    (4) Stop the lanes, which finish their batch. (5) Raise the failure: OpshubError as it is, RuntimeError for any
    other.
    """
    loop = asyncio.get_running_loop()
    # The tasks are held here: asyncio keeps only weak references to them.
    running = {task.name: asyncio.create_task(task.run(), name=task.name) for task in tasks}
    stop_requested = asyncio.create_task(stopping.wait(), name="stop requested")
    await asyncio.wait([stop_requested, *running.values()], return_when=asyncio.FIRST_COMPLETED)  # (1)
    failure = next(filter(None, map(_failure, running.values())), None)
    if failure is not None:
        loop.call_later(LEAVES_WITHIN, _end_process, worker, failure)  # (2)
    for task in (stop_requested, *running.values()):
        task.cancel()  # (3): those that do not finish first are not awaited, asyncio.run cancels them once more
    first = [running[task.name] for task in tasks if task.finishes_first]
    await asyncio.gather(*first, return_exceptions=True)
    await stop_lanes()  # (4)
    if isinstance(failure, OpshubError):  # (5)
        raise failure
    if failure is not None:
        raise RuntimeError(f"the worker can not go on: {failure!r}") from failure


def _failure(task: asyncio.Task[object]) -> BaseException | None:
    """Why a task ended; None while it runs. A part of the worker that ends without an error is missed by nobody, so it
    is a failure too.
    """
    if not task.done() or task.cancelled():
        return None
    # `exception()` also marks it as retrieved: asyncio would log it a second time.
    return task.exception() or EnvironmentFault(
        f"{task.get_name()} ended by itself", remedy="the supervisor starts this worker again; see its log"
    )


def _end_process(worker: str, failure: BaseException) -> None:
    """End without waiting for what does not let go. The supervisor goes by the exit code."""
    logger.error("worker %s ends: %s", worker, failure)
    os._exit(getattr(failure, "exit_code", EnvironmentFault.exit_code))


async def leave_in_time(worker: str, life: Awaitable[None]) -> None:
    """Await a worker's whole life, and end the process `LEAVES_WITHIN` seconds later if it still runs: `asyncio.run`
    cancels what is left, and waits for it without a bound.
    """
    code = EnvironmentFault.exit_code
    try:
        await life
        code = 0
    except Exception as error:
        code = getattr(error, "exit_code", code)
        logger.error("worker %s leaves: %s", worker, error)
        raise
    finally:
        # A worker that was asked to leave and did ends well, though a thread still hangs.
        asyncio.get_running_loop().call_later(LEAVES_WITHIN, os._exit, code)
