"""Run a coroutine on a loop of its own in a thread, so that what waits for answers there does not wait for the work that is done here."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

SWITCH_SECONDS = 0.001
"""Python lets a thread compute for so long while another one wants to: five times as often as by default."""


async def run_apart(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Run `work()` to its end, in a thread; what it raises is raised here, and cancelling this cancels it."""
    here = asyncio.get_running_loop()
    ended: asyncio.Future[None] = here.create_future()
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    stopping = threading.Event()

    async def whole() -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.append((asyncio.get_running_loop(), task))
        if not stopping.is_set():
            await work()

    def tell(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def body() -> None:
        told: BaseException | None = None
        try:
            asyncio.run(whole())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            told = error
        with contextlib.suppress(RuntimeError):  # the loop that asked for it is closed
            here.call_soon_threadsafe(tell, told)

    sys.setswitchinterval(SWITCH_SECONDS)
    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        await asyncio.shield(ended)
    except asyncio.CancelledError:
        stopping.set()
        for loop, task in begun:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        await ended
        raise
