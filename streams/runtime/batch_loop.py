"""The loop of an agent: run a step on every batch, and let the error table decide what an error means.

In: batches. Promise: no error leaves the loop with work undone, since Faust would take the batch for acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable

from streams.error_policy import Action, action_for_batch
from streams.runtime.batch import Batch

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries of a batch, while a server is away."""

OnWait = Callable[[float, BaseException], None]
"""Called with the seconds until the next try, and the error that made it necessary."""


async def each_batch(
    stream: AsyncIterable[Batch],
    work: Callable[[Batch], Awaitable[None]],
    *,
    on_wait: OnWait,
    on_resume: Callable[[], object] = lambda: None,
) -> None:
    """Run `work` on every batch. What it raises is looked up in `streams/error_policy.py`:

    RETRY: the same batch after a pause, until it passes; each time `on_wait` is called, and `on_resume` once it passed.
    REJOIN: the batch is dropped, its new owner has it.
    STOP_WORKER: the lane stops with the batch uncommitted, and the worker ends with it.
    LEAVE: the loop itself was cancelled.
    """
    async for batch in stream:
        pause = FIRST_PAUSE
        while not batch.done.done():
            try:
                await work(batch)
            except (
                BaseException
            ) as error:  # not Exception: MemoryError and a cancelled task have a line in the table, too
                action = action_for_batch(error)
                if action is Action.LEAVE:
                    raise
                if action is Action.RETRY:
                    on_wait(pause, error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                batch.finish(
                    error
                )  # a lane that is finished with Fenced rejoins its group; with anything else it stops
                if action is Action.REJOIN:
                    on_resume()
            else:
                batch.finish()
                on_resume()
