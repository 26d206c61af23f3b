"""How a worker's process starts: signals, the cycle collector, waiting for the first server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable

from aiohttp import web
from mode.utils.logging import get_logger

from streams.errors import EnvironmentFault
from streams.runtime.health_page import serve_not_started

logger = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two tries to reach a server."""


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def wait_for_server(reach: Callable[[], object], stopping: asyncio.Event, host: str, port: int) -> bool:
    """Call `reach`, in a thread, until it raises no EnvironmentFault; False when `stopping` is set first.

    Meanwhile a page at `host:port` answers that the worker is alive, not ready, and why.
    """
    page: web.AppRunner | None = None
    pause = FIRST_PAUSE
    try:
        while not stopping.is_set():
            try:
                await asyncio.get_running_loop().run_in_executor(None, reach)
                return True
            except EnvironmentFault as away:
                logger.warning("the worker waits: %s%s", away, f" ({away.remedy})" if away.remedy else "")
                if page is None:
                    page = await serve_not_started(host, port, f"waits to start: {away}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stopping.wait()
                pause = min(pause * 2, LONGEST_PAUSE)  # many workers must not overrun a server that comes back
        return False
    finally:
        if page is not None:
            await page.cleanup()


def calm_collector() -> None:
    """Let Python's cycle collector run at every 50,000 new objects, in place of every 700.

    A batch makes many objects that live until its end, none of them in a cycle; looking at them took a quarter of the
    CPU. What was built before this call is never looked at again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
