"""What flows now, for all pages that look: one reader, and only while somebody looks.

In: the hub (accounts of raw records, workers as they report themselves, intents), the state of the connectors. Out: a
`Live` every two seconds, to every open page as a server-sent event. What does not answer is away: the rest goes
on, and the page says since when. Nothing here reads a table that grows with the company's records.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import msgspec

from streams.console.live_reading import Counters, Live, ServerLooks, live_of, read_counters, systems_of
from streams.console.place import Place
from streams.errors import OpshubError
from streams.provision.systems import System

log = logging.getLogger(__name__)

EVERY_S = 2.0
FIRST_S = 0.7
"""Between the first two readings: a rate needs two, and the picture should live at once."""

GRACE_S = 10.0
"""Readings go on for so long with nobody who listens: a page that was asked for connects when its browser is ready."""

RATE_OVER_S = 10.0
"""Rates are over so many seconds, so that they do not jump between two batches."""


class LiveReader:
    """Reads in a thread while pages are open. `latest` is the last reading, None before the first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._servers = ServerLooks(place.settings, place.server_answers)
        self._systems: list[System] | None = None
        self._reading = threading.Lock()
        """Held while the hub is asked, which may take seconds; the other lock never waits for a server."""
        self._lock = threading.Lock()
        self._listeners: set[Callable[[bytes], None]] = set()
        self._thread: threading.Thread | None = None
        self._counters: list[Counters] = []
        self._closed = threading.Event()
        self._until = 0.0
        """Until when to read though nobody listens (time.monotonic)."""
        self._read_at = 0.0
        self.latest: Live | None = None

    def read(self, *, at_most_s: float = EVERY_S) -> Live:
        """A reading that is no older than so many seconds. Never raises: what does not answer is in `away`."""
        with self._reading:
            if self.latest is not None and time.monotonic() - self._read_at < at_most_s:
                return self.latest
            self.latest = self._read()
            self._read_at = time.monotonic()
            return self.latest

    def _read(self) -> Live:
        names = self._place.settings.systems
        if self._systems is None:
            self._systems = systems_of(self._place.settings)
        counters: Counters | None = None
        error: OpshubError | None = None
        try:
            with self._place.hub() as hub:
                counters = read_counters(hub, names)
        except OpshubError as failed:
            error = failed
        if counters is not None:
            self._counters.append(counters)
            oldest = counters.at - RATE_OVER_S - EVERY_S
            self._counters = [kept for kept in self._counters if kept.at >= oldest]
        servers = self._servers.read(self._systems, error)
        return live_of(names, self._counters, servers, hub_answers=counters is not None)

    def expect_listener(self) -> None:
        """Begin to read: a page is on its way. Its first reading then has rates, which need two."""
        with self._lock:
            self._until = time.monotonic() + GRACE_S
            self._start()

    def _start(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="live", daemon=True)
            self._thread.start()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Queue[bytes]]:
        """A queue that gets each reading as JSON while the block runs, the first at once where there is one with rates.
        A page that is slow misses some.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)

        def put(event: bytes) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

        def hand_over(event: bytes) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(put, event)

        with self._lock:
            self._listeners.add(hand_over)
            self._start()
            is_fresh = time.monotonic() - self._read_at < 2 * EVERY_S
            if self.latest is not None and is_fresh and (len(self._counters) > 1 or not self.latest.hub):
                put(msgspec.json.encode(self.latest))
        try:
            yield queue
        finally:
            with self._lock:
                self._listeners.discard(hand_over)

    def _run(self) -> None:
        """Read until nobody listens."""
        pause = FIRST_S
        while not self._closed.wait(pause):
            try:
                event = msgspec.json.encode(self.read(at_most_s=FIRST_S / 2))
            except Exception:
                if self._closed.is_set():
                    return  # what it reads with is closed, too
                # Without this, no page would get another reading, and nobody would know why.
                log.exception("a reading for the overview failed")
                event = b""
            with self._lock:
                if not self._listeners and time.monotonic() >= self._until:
                    self._thread = None
                    return
                listeners = list(self._listeners) if event else []
            for listener in listeners:
                try:
                    listener(event)
                except RuntimeError:  # its event loop ended meanwhile
                    continue
            pause = FIRST_S if self._needs_another() else EVERY_S

    def _needs_another(self) -> bool:
        """Whether there is one reading of the hub, and so no rates yet."""
        return self.latest is not None and self.latest.hub and len(self._counters) < 2

    def close(self) -> None:
        self._closed.set()


_READERS: WeakKeyDictionary[Place, LiveReader] = WeakKeyDictionary()


def reader_of(place: Place) -> LiveReader:
    """The one reader of a console."""
    if place not in _READERS:
        _READERS[place] = LiveReader(place)
    return _READERS[place]
