"""Look at flows that have come to rest: rules of the business that do not hold are conflicts of kind `invariant`, until they hold.

In: the flows that assemble settled, some seconds after the last change of each. Out: rows of `conflict`, and records on the topic
`conflicts`. It reads what assemble has in memory, and the hub for what has left it, so that it costs the hub next to nothing. Flows that a
worker had not looked at when it died, or when others took them over, are marked in the hub's `due`: any worker looks at them once nobody
else has. `opshub flow check` looks at the whole hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer
from mode.utils.logging import get_logger

from streams.errors import OpshubError, RetryLater
from streams.flow.invariants import ORDERED, Broken, InvariantLimits, broken
from streams.hub.store import HubStore
from streams.model.state import Conflict
from streams.pipeline.assemble import Assemble
from streams.pipeline.due import WITHIN
from streams.pipeline.ingest import now_us

logger = get_logger(__name__)

EVERY_SECONDS = 1.0
QUIET_SECONDS = 30.0
"""A document is written in pieces, by people and by systems: what is half written is not looked at."""
ADOPT_EVERY_SECONDS = 10.0
MOST = 200
"""Flows in one look; the loop that settles changes must not wait for more."""


class Checking:
    """One worker's look at its flows. Without a producer the topic is not written."""

    def __init__(
        self,
        store: HubStore,
        assemble: Assemble,
        policy: InvariantLimits,
        message: Callable[[Conflict, int], tuple[str, bytes, bytes]],
        producer: Producer | None = None,
        *,
        quiet: float = QUIET_SECONDS,
    ) -> None:
        self._store = store
        self._assemble = assemble
        self._policy = policy
        self._message = message
        self._producer = producer
        self._quiet = quiet
        self._again: dict[str, int] = {}
        """Flows that are to be looked at, or looked at again, and when, in µs."""

    async def run(self) -> None:
        """Look until cancelled; a hub that is away is waited for."""
        started, adopted = False, 0.0
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                try:
                    if not started:
                        rows = await self._store.rows("broken_flows")
                        self._again |= {row[0]: 0 for row in rows}
                        started = True
                    if time.monotonic() > adopted + ADOPT_EVERY_SECONDS:
                        await self.adopt()
                        adopted = time.monotonic()
                    while await self.look() == MOST:
                        await asyncio.sleep(0)
                except RetryLater as later:
                    logger.info("%s", later)
        finally:
            await self._store.close()

    async def adopt(self) -> int:
        """Take on the flows that another worker changed and has not looked at in time; how many."""
        found = [row[0] for row in await self._store.rows("overdue_flows", MOST)]
        mine = [key for key in found if key not in self._again and not self._assemble.awaits_look(key)]
        self._again |= dict.fromkeys(mine, 0)
        return len(mine)

    async def look(self) -> int:
        """One look at what has been quiet long enough; how many flows that were."""
        now, begun = now_us(), time.monotonic()
        due = [one for one, at in self._again.items() if at <= now][:MOST]
        keys = [*due, *self._assemble.quiet(time.monotonic() - self._quiet, MOST - len(due))]
        if not keys:
            return 0
        self._again |= dict.fromkeys(keys, 0)
        missing = [key for key in keys if self._assemble.cached(key) is None]
        loaded = await self._store.load(dict.fromkeys(missing, "order_flow")) if missing else {}
        found: list[Conflict] = []
        looked_at: dict[str, int | None] = {}
        for key in keys:
            # What is in memory is asked for only now: a batch may be at work on it since.
            state = self._assemble.cached(key) or loaded.get(key)
            if state is not None:
                wrong, looked_at[key] = broken(state.members.values(), self._policy, now)
                found += [_conflict(key, one) for one in wrong]
        found = await self._without_asked(found, looked_at, now)
        await self._store.rows("end_invariants", list(looked_at), [one.id for one in found])
        for conflict in await self._store.log_conflicts(found):
            self._assemble.counts["invariants"] += 1
            logger.warning("%s: %s %s: %s", conflict.rule, conflict.entity, conflict.entity_id, conflict.values)
            self._tell(conflict)
        since = time.monotonic() - begun + min(1.0, self._quiet / 2)  # of what was marked since, nothing is forgotten
        await self._store.rows(
            "flows_seen",
            {"ids": list(looked_at), "again_us": list(looked_at.values()), "within": WITHIN["flow"], "since": since},
        )
        for key, again_us in looked_at.items():
            if again_us is None:
                del self._again[key]
            else:
                self._again[key] = again_us
        return len(keys)

    async def _without_asked(self, found: list[Conflict], looked_at: dict[str, int | None], now: int) -> list[Conflict]:
        """A deal whose order waits for somebody's yes is not broken; it is looked at again, since a no is told to nobody here."""
        lacking = [one for one in found if one.rule == ORDERED and not one.values["orders"]]
        if not lacking:
            return found
        asked = {row[0] for row in await self._store.rows("asked_about", [one.entity_id for one in lacking])}
        excused = {one.id for one in lacking if one.entity_id in asked}
        again_us = now + self._policy.order_within_us
        for one in lacking:
            if one.id in excused:
                looked_at[one.aggregate_id] = min(again_us, looked_at[one.aggregate_id] or again_us)
        return [one for one in found if one.id not in excused]

    def _tell(self, conflict: Conflict) -> None:
        if self._producer is None:
            return
        try:
            topic, key, value = self._message(conflict, now_us())
            self._producer.produce(topic, key=key, value=value)
            self._producer.poll(0)
        except (OpshubError, BufferError) as error:
            logger.warning("the conflict %s is in the hub, and not on the topic: %s", conflict.id, error)


def _conflict(aggregate: str, one: Broken) -> Conflict:
    values: dict[str, Any] = dict(one.values)
    return Conflict(aggregate, one.entity, one.id, one.field, "invariant", values, None, one.rule, "open")
