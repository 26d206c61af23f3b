"""What the parts of one worker share: agents and the watcher write it, health and metrics read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streams.runtime.lane import Lane


class DeliveryProgress(Protocol):
    """What health reads of the deliverer."""

    @property
    def progress(self) -> Mapping[str, float]:
        """Target → when (`time.monotonic()`) the deliverer last finished a step to it."""

    @property
    def waiting(self) -> Mapping[str, str]:
        """Target → what the deliverer waits for there, for people."""


class ReadProgress(Protocol):
    """What health reads of the readers of systems without a database."""

    @property
    def waiting(self) -> Mapping[str, str]:
        """System → what its reader waits for, for people."""


@dataclass
class WorkerState:
    """Lanes by name, and what the worker waits for, in sentences for people."""

    name: str
    lanes: Mapping[str, Lane]
    waiting: dict[str, str] = field(default_factory=dict)
    """Lane → the server that its step waits for, and what that server answered."""
    retries: Counter[str] = field(default_factory=Counter)
    """Lane → how often a batch was tried again since a server was away."""
    stopped_systems: dict[str, str] = field(default_factory=dict)
    """System → why nothing more is captured of it."""
    deliverer: DeliveryProgress | None = None
    """In a worker that delivers intents."""
    sources: ReadProgress | None = None
    """In a worker that reads systems without a database."""

    def waiting_text(self) -> str | None:
        """Which servers this worker waits for, if any."""
        waits = [*self.waiting.values(), *(lane.broker.waiting for lane in self.lanes.values() if lane.broker.waiting)]
        if self.deliverer is not None:
            waits += sorted({*self.deliverer.waiting.values()})
        if self.sources is not None:
            waits += sorted({*self.sources.waiting.values()})
        return "; ".join(waits) or None
