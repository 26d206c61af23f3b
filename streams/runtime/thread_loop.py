"""Run a coroutine on an event loop of its own, in a thread.

For work that is a chain of requests and answers: on the worker's main loop each answer would wait until a batch is
computed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

SWITCH_SECONDS = 0.001
"""Seconds that Python lets a thread compute while another one wants to: a fifth of the default, so that answers are
read in time.
"""


async def run_in_thread_loop(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Run `work()` to its end in a thread. What it raises is raised here; cancelling this cancels it, and waits for its
    end.
    """
    caller_loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = caller_loop.create_future()
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    stopping = threading.Event()

    async def whole() -> None:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        if not stopping.is_set():
            await work()

    def end(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def body() -> None:
        raised: BaseException | None = None
        try:
            asyncio.run(whole())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            raised = error
        with contextlib.suppress(RuntimeError):  # the caller's loop is closed
            caller_loop.call_soon_threadsafe(end, raised)

    sys.setswitchinterval(SWITCH_SECONDS)
    # A daemon: a thread that hangs in a call must not hold the process.
    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        # Shielded: to cancel the wait must not cancel the future that the thread sets at its end.
        await asyncio.shield(ended)
    except asyncio.CancelledError:
        stopping.set()
        for loop, task in started:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        await ended
        raise
