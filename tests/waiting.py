"""Wait for a state, not for seconds: the one way in which tests wait.

`wait_for` and `until` fail when the state does not come, and show what they saw last; `came_true` says whether it came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SECONDS = 180.0
"""A busy machine takes its time; a state that comes costs no more than it takes."""


def wait_for(
    holds: Callable[[], T], seconds: float = SECONDS, *, seen: Callable[[], object] | None = None, pause: float = 0.1
) -> T:
    """What `holds()` returns as soon as it is true.

    Fails after `seconds`, with what `seen()` returns then, else with what `holds()` returned last.
    """
    end = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() >= end:
            raise AssertionError(_not_reached(seconds, value if seen is None else seen()))
        time.sleep(pause)
    return value


async def until(holds: Callable[[], T], seconds: float = SECONDS, *, pause: float = 0.02, in_thread: bool = False) -> T:
    """As `wait_for`, in an event loop. `in_thread`: `holds` asks a server, which must not hold the loop up."""
    end = time.monotonic() + seconds
    while not (value := await asyncio.to_thread(holds) if in_thread else holds()):
        if time.monotonic() >= end:
            raise AssertionError(_not_reached(seconds, value))
        await asyncio.sleep(pause)
    return value


def came_true(holds: Callable[[], object], seconds: float, pause: float = 0.2) -> bool:
    """Whether `holds()` came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(pause)
    return False


def _not_reached(seconds: float, seen: object) -> str:
    return f"the state was not reached in {seconds:g} s; seen last: {seen!r}"
