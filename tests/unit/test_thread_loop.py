"""A coroutine in a thread: its end, its errors and its cancellation are those of whoever waits for it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from streams.runtime.thread_loop import run_in_thread_loop


async def test_thread_runs_while_the_callers_loop_is_busy() -> None:
    beats: list[float] = []

    async def beat() -> None:
        assert threading.current_thread() is not threading.main_thread()
        while len(beats) < 5:
            beats.append(time.monotonic())
            await asyncio.sleep(0.01)

    waiting = asyncio.ensure_future(run_in_thread_loop(beat, "beat"))
    await asyncio.sleep(0)
    end = time.monotonic() + 10
    while len(beats) < 5 and time.monotonic() < end:
        time.sleep(0.01)  # this loop is busy
    assert len(beats) == 5
    await waiting


async def test_error_of_the_thread_is_raised_in_the_caller() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_in_thread_loop(fail, "fail")


async def test_cancelled_work_cleans_up_first() -> None:
    events: list[str] = []

    async def work() -> None:
        try:
            events.append("begun")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            events.append("cleaned up")

    waiting = asyncio.ensure_future(run_in_thread_loop(work, "work"))
    while not events:
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert events == ["begun", "cleaned up"]


async def test_work_can_be_cancelled_before_it_begins() -> None:
    async def work() -> None:
        await asyncio.sleep(60)

    waiting = asyncio.ensure_future(run_in_thread_loop(work, "work"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)
