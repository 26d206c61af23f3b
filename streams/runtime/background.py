"""Jobs that run beside the lanes for as long as a worker does.

Their shape: `run()` repeats one unit of work until it is cancelled. What the work raises is looked up in the error
table: while a server is away the job goes on with the next round, any other error ends the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from mode.utils.logging import get_logger

from streams.error_policy import Action, action_for_batch

logger = get_logger(__name__)


class BackgroundJob(Protocol):
    """One job of a worker."""

    name: str

    async def run(self) -> None:
        """Run until cancelled."""


async def repeat(every_s: float, work: Callable[[], Awaitable[object]]) -> NoReturn:
    """Call `work` every so many seconds, until cancelled."""
    while True:
        await asyncio.sleep(every_s)  # first: a worker that starts has batches to catch up with
        try:
            await work()
        except Exception as error:
            if action_for_batch(error) not in (Action.RETRY, Action.REJOIN):
                raise
            logger.info("%s", error)
