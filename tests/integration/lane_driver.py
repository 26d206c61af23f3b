"""A lane that runs while a test looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from streams.runtime.batch import Batch
from tests.waiting import until


class LaneDriver:
    """Enter it to have `lane` read, until it is left; what becomes of a batch is the subclass's `deliver`."""

    lane: Any
    assignments = 0

    async def deliver(self, batch: Batch) -> None:
        raise NotImplementedError

    async def _rebalanced(self, assigned: set[tuple[str, int]]) -> None:
        self.assignments += bool(assigned)

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self.lane.run(self.deliver, self._rebalanced))
        await self.until(lambda: self.lane.progress.assigned and not self.lane.progress.unreached())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lane.stop()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Callable[[], object], seconds: float = 30) -> None:
        await until(holds, seconds)
