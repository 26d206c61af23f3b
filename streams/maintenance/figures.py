"""Keeps the business figures up to date, in one worker at a time, and samples lag and throughput every minute.

In: the narrow rows that workers wrote of the order flows that came to rest. Out: figures by week and of this moment, in
the hub. It rests a hundred times as long as it worked, so it costs the hub at most one per cent of a core, with two
million flows, too. docs/guides/figures.md says what each figure means.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping

import psycopg
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.figures import (
    Hub,
    keep_pace,
    may_compute,
    measure_blocked_flows,
    measure_now,
    measure_records,
    measure_weeks,
    take_due_weeks,
)
from streams.hub.session import KEEPALIVE, SERVER_SESSION_LIMITS
from streams.hub.store import translated

logger = get_logger(__name__)

LOCK_KEY = 0x6F706676
"""Key of the hub's advisory lock under which one worker computes figures."""

PACE_SECONDS = 60.0

REST_RATIO = 99.0
"""Seconds of rest for each second of computing."""

FIRST_SECONDS = 5.0
"""Before the first try: a worker that has just started has more urgent work."""

LIMITS = "SET max_parallel_workers_per_gather = 0; SET statement_timeout = '10min'"
"""Parallel workers would take the hub's cores from the pipeline."""


def compute_figures(hub: Hub, limits: Mapping[str, float], rest: Callable[[float], None] = lambda _: None) -> None:
    """Compute all figures now. `limits`: stage → seconds after which a flow is stuck. `rest` is called after each step
    with the seconds that the step took. In a transaction for each step: what fails is computed the next time.
    """
    steps: tuple[Callable[[], None], ...] = (
        lambda: measure_records(hub),
        lambda: _measure_due_weeks(hub),
        lambda: measure_blocked_flows(hub),
        lambda: measure_now(hub, limits),
    )
    for step in steps:
        began = time.monotonic()
        step()
        rest(time.monotonic() - began)


def _measure_due_weeks(hub: Hub) -> None:
    with hub.transaction():
        measure_weeks(hub, take_due_weeks(hub))


class Figures:
    """The job of one worker: it takes the lock where no other worker holds it, and computes until it is stopped."""

    def __init__(self, dsn: str, every_s: float, limits: Mapping[str, float]) -> None:
        self._dsn = dsn
        self._every_s = every_s
        self._limits = limits
        self._stopping = threading.Event()
        self._next_pace = 0.0
        self._hub: Hub | None = None
        """The session that computes."""

    def stop(self) -> None:
        """End it now, also in the middle of a statement: a worker that stops waits for its threads."""
        self._stopping.set()
        if self._hub is not None and not self._hub.closed:
            self._hub.cancel()

    def run_while_ours(self) -> None:
        """Compute again and again while this session holds the lock; return at once if another worker has it.

        Raises RetryLater while the hub does not answer.
        """
        try:
            with psycopg.connect(self._dsn, application_name="opshub-figures", autocommit=True, **KEEPALIVE) as hub:
                self._hub = hub
                hub.execute(SERVER_SESSION_LIMITS)
                hub.execute(LIMITS)
                if not may_compute(hub, LOCK_KEY):
                    return
                while not self._stopping.is_set():
                    self._sample(hub)
                    compute_figures(hub, self._limits, lambda took: self._rest(hub, took * REST_RATIO))
                    self._rest(hub, self._every_s)
        except psycopg.Error as error:
            raise translated(error) from error

    def _sample(self, hub: Hub) -> None:
        if time.monotonic() >= self._next_pace:
            keep_pace(hub)
            self._next_pace = time.monotonic() + PACE_SECONDS

    def _rest(self, hub: Hub, seconds: float) -> None:
        """Wait, and go on sampling meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stopping.wait(min(left, PACE_SECONDS / 2)):
            self._sample(hub)


async def compute_periodically(dsn: str, every_s: float, limits: Mapping[str, float]) -> None:
    """Compute the figures in a thread, every `every_s` seconds or so, until cancelled. 0: never. Every worker runs it;
    one at a time computes.
    """
    while every_s > 0:
        await asyncio.sleep(min(FIRST_SECONDS, every_s))
        figures = Figures(dsn, every_s, limits)
        try:
            await asyncio.to_thread(figures.run_while_ours)
        except RetryLater as error:
            logger.info("%s", error)
        finally:
            figures.stop()
        # Another worker has the lock, or the hub is away.
        await asyncio.sleep(every_s)
