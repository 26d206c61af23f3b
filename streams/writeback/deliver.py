"""The deliverer of one worker: a loop for each target, so that a target that is down blocks no other.

In: intents of the hub. Out: writes in the target systems, and outcomes in the hub. `target_delivery.py` has the
steps of a loop, with the argument why nothing is done twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

import psycopg
from psycopg import AsyncConnection

from streams.errors import RetryLater
from streams.hub.intents import Intent, due_work, expire_intents, forget_echoes, stay_away
from streams.hub.session import KEEPALIVE
from streams.hub.store import HubStore
from streams.writeback.breaker import Breaker
from streams.writeback.failures import TargetBusy, TargetDown
from streams.writeback.http_rules import HttpTarget
from streams.writeback.jobs import Adapter
from streams.writeback.rule_book import RuleBook
from streams.writeback.rules import WritebackConfig
from streams.writeback.target_delivery import POLL_S, TargetDelivery

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""Another deliverer takes an intent over after this time. Longer than any statement or request, short enough for a
crashed worker.
"""


class Deliverer:
    """All targets of one worker. `run` ends when it is cancelled."""

    def __init__(
        self,
        dsn: str,
        name: str,
        writebacks: Mapping[str, WritebackConfig],
        adapters: Mapping[str, Adapter],
        *,
        lease: timedelta = LEASE,
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._adapters = dict(adapters)
        self._rules = RuleBook(writebacks)
        timeouts = {
            target: writeback.target.timeout
            for target, writeback in writebacks.items()
            if isinstance(writeback.target, HttpTarget)
        }
        self._over_http = frozenset(timeouts)
        # A lease is renewed once a third of it has passed: with twice the time-out, what is left of it outlasts any
        # request.
        self._leases = {target: max(lease, 2 * timeouts.get(target, lease / 2)) for target in adapters}
        self._wake: dict[str, asyncio.Event] = {target: asyncio.Event() for target in adapters}
        self.breakers: dict[str, Breaker] = {target: Breaker() for target in adapters}
        self.progress: dict[str, float] = dict.fromkeys(adapters, time.monotonic())
        """Target → when its loop last started a pass, or got an answer, by the monotonic clock; the watchdog reads it.
        """
        self.waiting: dict[str, str] = {}
        """Target → why its loop waits for the hub, while it does."""
        self.counts: Counter[str] = Counter()
        self.on_written: Callable[[Intent, float], object] = lambda intent, now: None
        """Called with each intent that a target took, and the time in seconds since 1970."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                for target in self._adapters:
                    tasks.create_task(self._serve(target))
        finally:
            # Also when cancelled: the origin is free for the next deliverer at once.
            for adapter in self._adapters.values():
                await adapter.close()

    async def _listen(self) -> None:
        """Wake the loops when an intent was planned or decided. A lost notification costs a second: the loops poll,
        too.
        """
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name=f"opshub-deliver-{self._name}-listen", **KEEPALIVE
                ) as hub:
                    await hub.execute("LISTEN opshub_intent")
                    async for notification in hub.notifies():
                        for target, event in self._wake.items():
                            if notification.payload in ("", target):
                                event.set()
            except psycopg.Error as error:
                logger.warning("the hub does not answer: %s; next try in 2 s", str(error).strip())
                await asyncio.sleep(2)

    async def _serve(self, target: str) -> None:
        store = HubStore(self._dsn, f"opshub-deliver-{self._name}-{target}")
        delivery = self._delivery(target, store)
        breaker, wake = self.breakers[target], self._wake[target]
        maintained = 0.0
        try:
            while True:
                wake.clear()
                pause = POLL_S
                self.progress[target] = time.monotonic()
                try:
                    # Any loop may do this for all targets: both statements change nothing when there is nothing.
                    if time.monotonic() - maintained > POLL_S:
                        maintained = time.monotonic()
                        await expire_intents(store)
                        if target in self._over_http:
                            await forget_echoes(store)
                    work = await due_work(store, target)
                    self.waiting.pop(target, None)
                    pause = await delivery.pass_once(work)
                except TargetBusy:
                    self.counts["busy"] += 1
                except TargetDown as down:
                    pause = breaker.target_failed(str(down), down.retry_after_s, refuses=down.refuses)
                    self.counts["down"] += 1
                    logger.warning("%s: %s; next try in %.1f s", target, down, pause)
                    # In the hub: the other workers stay away, too, people see it, and `writeback resume` ends it.
                    with suppress(RetryLater):
                        await stay_away(store, target, refuses=down.refuses, problem=str(down), pause_s=pause)
                        continue
                    await asyncio.sleep(min(pause, POLL_S))
                    continue
                except RetryLater as retry_later:
                    self.waiting[target] = f"deliver waits: {retry_later}"
                    logger.warning("%s; next try in 1 s", retry_later)
                    await asyncio.sleep(1.0)
                    continue
                # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the event is set, and this
                # loop would never end.
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await wake.wait()
        finally:
            await store.close()

    def _delivery(self, target: str, store: HubStore) -> TargetDelivery:
        def report_progress() -> None:
            self.progress[target] = time.monotonic()

        return TargetDelivery(
            target,
            self._name,
            store,
            self._rules,
            self._adapters[target],
            self.breakers[target],
            self.counts,
            self.on_written,
            lease=self._leases[target],
            over_http=target in self._over_http,
            report_progress=report_progress,
        )
