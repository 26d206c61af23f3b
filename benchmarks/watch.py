"""Watch a run from outside: how long marked rows take to each topic, and what each process uses.

The simulator writes `probe:<microseconds since 1970 when it was meant to be sent>` into some rows; here is when that
text arrives. Counted from the intended send, so that a stall of the source counts too.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psutil
from confluent_kafka import Consumer, TopicPartition
from hdrh.histogram import HdrHistogram

T = TypeVar("T")

_PROBE = re.compile(rb"probe:(\d{16})", re.IGNORECASE)
HIGHEST_US = 3_600_000_000


def histogram() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, 3)


class ProbeWatch(threading.Thread):
    """Follows probes in the raw and the canonical topics, from the present ends on."""

    def __init__(self, bootstrap: str, topics: dict[str, str]) -> None:
        """`topics`: topic → name of the place that it stands for."""
        super().__init__(name="probe-watch", daemon=True)
        self._places = topics
        self._ended = threading.Event()
        self.ready = threading.Event()
        self.counting = True
        self.places = {place: histogram() for place in topics.values()}
        self._seen: set[tuple[str, bytes]] = set()
        self._since = time.time_ns() // 1000
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": f"probe-{time.time_ns()}", "enable.auto.commit": False, "auto.offset.reset": "latest",
             "isolation.level": "read_committed", "fetch.queue.backoff.ms": 1, "log_level": 0}
        )  # fmt: skip

    def run(self) -> None:
        known = self._consumer.list_topics(timeout=10).topics
        parts = []
        for topic in self._places:
            for partition in known[topic].partitions if topic in known else ():
                _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                parts.append(TopicPartition(topic, partition, high))
        self._consumer.assign(parts)
        self.ready.set()
        while not self._ended.is_set():
            first = self._consumer.poll(0.05)
            # To consume many would wait for many, and be part of what is measured.
            for message in (first, *self._consumer.consume(1000, 0)) if first is not None else ():
                if message.error() is None and message.value():
                    self._look(self._places[message.topic()], message.value())
        self._consumer.close()

    def _look(self, place: str, value: bytes) -> None:
        now = time.time_ns() // 1000
        # The row after the change comes last in the envelope; before it may stand an older probe.
        for found in _PROBE.findall(value)[-1:]:
            # A record may bear the probe of an earlier run, and be told anew for another reason.
            if int(found) >= self._since and (place, found) not in self._seen:
                self._seen.add((place, found))
                if self.counting:
                    self.places[place].record_value(min(HIGHEST_US, max(1, now - int(found))))

    def end(self) -> None:
        self._ended.set()
        self.join(5)


class Usage:
    """CPU seconds and memory of named processes, children included."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self.cpu()

    def cpu(self) -> dict[str, float]:
        return {name: sum(_family(process, _seconds)) for name, process in self._processes.items()}

    def since(self) -> dict[str, float]:
        """CPU seconds since this was made, by process."""
        return {name: round(now - self._before.get(name, 0.0), 3) for name, now in self.cpu().items()}

    def memory(self) -> dict[str, float]:
        """Resident megabytes; pages that a family shares, such as Postgres' buffers, count once."""
        return {
            name: round((sum(own for own, _ in used) + max((shared for _, shared in used), default=0)) / 1e6, 1)
            for name, process in self._processes.items()
            for used in [_family(process, _resident)]
        }


def _family(process: psutil.Process, figure: Callable[[psutil.Process], T]) -> list[T]:
    """The figure of a process and of each that came of it and is still there."""
    found = []
    try:
        for one in [process, *process.children(recursive=True)]:
            try:
                found.append(figure(one))
            except psutil.Error:
                continue
    except psutil.Error:
        return found
    return found


def _seconds(process: psutil.Process) -> float:
    # A backend of Postgres that has ended leaves its seconds with its parent.
    times = process.cpu_times()
    return float(
        times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    )


def _resident(process: psutil.Process) -> tuple[int, int]:
    """Bytes: (its own, shared with others; 0 where the system does not tell)."""
    memory = process.memory_info()
    shared = getattr(memory, "shared", 0)
    return memory.rss - shared, shared


def percentiles(h: HdrHistogram) -> dict[str, float]:
    """Milliseconds."""
    if not h.get_total_count():
        return {}
    at = {f"p{p:g}": round(h.get_value_at_percentile(p) / 1000, 2) for p in (50, 90, 99, 99.9)}
    return {"count": h.get_total_count(), **at, "max": round(h.get_max_value() / 1000, 2)}
