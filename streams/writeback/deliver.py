"""Deliver what is planned: ask people where a rule says so, write to the target, note what came of it.

For each target a loop of its own, so that one that is down holds up no other:

    (1) decide on what is planned: shadow, waiting for people, or approved
    (2) lease what is due (SKIP LOCKED; a lease that ran out is taken over)
    (3) read the hub as it is now; check that the document is whole and that what was approved still is
    (4) let the adapter do it, in one transaction of the target, found again by its idempotency key
    (5) note it, with the intents that follow from it, unless another took the lease over

A crash between (4) and (5) leaves a lease that runs out; whoever takes it over finds in the target what was done.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from croniter import croniter
from psycopg import AsyncConnection
from tenacity import RetryCallState, wait_exponential_jitter

from streams.errors import OpshubError, RetryLater
from streams.hub.store import HubStore
from streams.writeback.approve import is_live_for, open_questions, questions
from streams.writeback.context import gather
from streams.writeback.failures import Ahead, NotYet, Refused, TargetBusy, TargetDown
from streams.writeback.plan import holds
from streams.writeback.prepare import check_whole, prepare
from streams.writeback.rules import Rule, Writeback
from streams.writeback.work import Adapter, Job, Work

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BATCH = 50
POLL_S = 1.0

after_failure = wait_exponential_jitter(multiplier=0.5, max=120, jitter=0.5)
"""Pause after the n-th attempt that the target refused."""
while_incomplete = wait_exponential_jitter(multiplier=0.03, max=2, jitter=0.03)
"""Pause while a document is not whole, or the target is ahead of the hub."""
while_down = wait_exponential_jitter(multiplier=0.2, max=15, jitter=0.3)
"""Pause of the circuit breaker: nothing is sent to a target that did not answer."""


def pause_of(wait: Callable[[RetryCallState], float], attempt: int) -> timedelta:
    """The pause after this attempt, the first being 1."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = max(1, min(attempt, 30))
    return timedelta(seconds=wait(state))


class Breaker:
    """Opens when the target does not answer, for a pause that grows; one try closes it or opens it for longer."""

    def __init__(self) -> None:
        self.failures = 0
        self.cause = ""

    def failed(self, cause: str) -> float:
        """Seconds to stay away."""
        self.failures += 1
        self.cause = cause
        return pause_of(while_down, self.failures).total_seconds()

    def answered(self) -> None:
        self.failures, self.cause = 0, ""


class Deliverer:
    """All targets of one worker. `run` ends when it is cancelled."""

    def __init__(
        self,
        dsn: str,
        name: str,
        writebacks: Mapping[str, Writeback],
        adapters: Mapping[str, Adapter],
        *,
        lease: timedelta = LEASE,
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._adapters = dict(adapters)
        self._lease = lease
        self._rules: dict[str, Rule] = {
            f"{system}/{rule}": told for system, one in writebacks.items() for rule, told in one.rules.items()
        }
        self._follow: dict[str, list[tuple[str, str, Rule]]] = {}
        for full, rule in self._rules.items():
            if rule.after is not None and rule.mode != "off":
                self._follow.setdefault(rule.after, []).append((full, full.partition("/")[0], rule))
        self._wake: dict[str, asyncio.Event] = {target: asyncio.Event() for target in adapters}
        self.breakers: dict[str, Breaker] = {target: Breaker() for target in adapters}
        self.counts: Counter[str] = Counter()
        self.latencies: list[int] = []
        """Microseconds from the commit at the source to the delivery; whoever reads it empties it."""

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                for target in self._adapters:
                    tasks.create_task(self._serve(target))
        finally:
            for adapter in self._adapters.values():
                await adapter.close()

    async def _listen(self) -> None:
        """Wake the loops when an intent was planned or decided; they look by themselves, too, once a second."""
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name=f"opshub-deliver-{self._name}-listen"
                ) as hub:
                    await hub.execute("LISTEN opshub_intent")
                    async for _ in hub.notifies():
                        for event in self._wake.values():
                            event.set()
            except psycopg.Error as error:
                logger.warning("the hub does not answer: %s; again in 2 s", str(error).strip())
                await asyncio.sleep(2)

    async def _serve(self, target: str) -> None:
        store = HubStore(self._dsn, f"opshub-deliver-{self._name}-{target}")
        breaker, wake = self.breakers[target], self._wake[target]
        try:
            while True:
                wake.clear()
                pause = POLL_S
                try:
                    worked = await self.decide(target, store) + await self.pass_once(target, store)
                    if worked:
                        continue
                    pause = await self._until_due(target, store)
                except TargetBusy:
                    self.counts["busy"] += 1
                except TargetDown as down:
                    pause = breaker.failed(str(down))
                    self.counts["down"] += 1
                    logger.warning("%s: %s; again in %.1f s", target, down, pause)
                    await asyncio.sleep(pause)
                    continue
                except RetryLater as later:
                    logger.warning("%s; again in 1 s", later)
                    await asyncio.sleep(1.0)
                    continue
                try:
                    await asyncio.wait_for(wake.wait(), pause)
                except TimeoutError:
                    pass
        finally:
            await store.close()

    async def _until_due(self, target: str, store: HubStore) -> float:
        ((seconds, _),) = await store.rows("next_due", target)
        return POLL_S if seconds is None else min(POLL_S, max(0.005, seconds))

    # -- (1)

    async def decide(self, target: str, store: HubStore) -> int:
        """Decide on a batch of what is planned for this target; how many that were."""
        works = [Work(*row) for row in await store.rows("planned_intents", target, BATCH)]
        decided = [await self._decide(work, store) for work in works]
        await store.rows("expire_intents")
        return sum(decided)

    async def _decide(self, work: Work, store: HubStore) -> bool:
        rule = self._rules.get(work.rule)
        told: dict[str, Any] = {
            "id": work.id, "was": work.state, "state": "approved", "reasons": "[]", "people": 0, "problem": None,
            "request": None, "expires": None, "not_before": None,
        }  # fmt: skip
        if rule is None:
            told |= {"state": "dead", "problem": f"there is no rule {work.rule} any more"}
        elif not is_live_for(rule, work):
            try:
                document = await gather(work, rule, store.rows)
                check_whole(work, rule, document)
                job = await self._job(work, rule, document, store)
                told |= {"state": "shadow", "request": _json(self._adapters[work.target].describe(job))}
            except NotYet as wait:
                if rule.ready is None or work.age_s < rule.ready.within.total_seconds():
                    self.counts["incomplete"] += 1
                    return False
                told |= {"state": "shadow", "problem": str(wait)}
            except Refused as no:
                told |= {"state": "shadow", "problem": str(no)}
        else:
            if rule.schedule is not None:
                told["not_before"] = croniter(rule.schedule, datetime.now(UTC)).get_next(datetime)
            asked = []
            if rule.approval:
                try:
                    asked = open_questions(questions(rule, work.target, await gather(work, rule, store.rows)), work)
                except NotYet:
                    asked = []
            if asked:
                told |= _waiting(asked, rule)
        await store.rows("triage_intent", told)
        self.counts[told["state"]] += 1
        return True

    # -- (2) to (5)

    async def pass_once(self, target: str, store: HubStore) -> int:
        """Lease and deliver one batch; how many that were. Raises TargetDown and TargetBusy with nothing leased."""
        adapter = self._adapters[target]
        paused = {row[0] for row in await store.rows("pauses")}
        if target in paused:
            return 0
        ((seconds, leased),) = await store.rows("next_due", target)
        if seconds is None or (seconds > 0 and not leased):
            return 0
        if await adapter.open():
            # Whoever had these leases is gone, and with it all that it had on its way: no need to wait until they run out.
            await store.rows("take_over", target, self._name)
        self.breakers[target].answered()
        rows = await store.rows(
            "lease_intents", self._name, self._lease, target, [rule for rule in paused if "/" in rule], BATCH
        )
        works = sorted((Work(*row) for row in rows), key=lambda work: work.id)
        for number, work in enumerate(works):
            try:
                await self._one(work, adapter, store)
            except TargetDown as down:
                for left in works[number:]:
                    await self._finish(left, store, "approved", "target down", problem=str(down))
                await adapter.close()
                raise
        return len(works)

    async def _one(self, work: Work, adapter: Adapter, store: HubStore) -> None:
        rule = self._rules.get(work.rule)
        if rule is None:
            await self._finish(work, store, "dead", "dead", problem=f"there is no rule {work.rule} any more")
            return
        try:
            document = await gather(work, rule, store.rows)
            try:
                check_whole(work, rule, document)
            except NotYet as wait:
                if not _said_yes(wait, work):
                    raise
            asked = open_questions(questions(rule, work.target, document), work)
            if asked:
                await self._finish(work, store, "waiting", "waiting", **_waiting(asked, rule))
                return
            job = await self._job(work, rule, document, store)
            if holds(rule.skip_when, job.wanted):
                await self._finish(work, store, "delivered", "nothing to say")
                return
            try:
                outcome = await adapter.deliver(job)
            except Ahead as ahead:
                if not _said_yes(ahead, work):
                    raise
                outcome = await adapter.deliver(msgspec.structs.replace(job, force=True))
        except NotYet as wait:
            await self._not_yet(work, rule, wait, store)
        except TargetDown:
            raise
        except OpshubError as no:
            dead = work.failures + 1 >= rule.attempts
            pause = timedelta(0) if dead else pause_of(after_failure, work.failures + 1)
            await self._finish(
                work, store, "dead" if dead else "failed", "dead" if dead else "failed", problem=str(no), pause=pause
            )
            logger.warning("%s: %s", work.key, no)
        else:
            result = dict(outcome.result)
            if outcome.written is not None:
                result["written"] = outcome.written
            request = _json(adapter.describe(job))
            follow = self._following(work, outcome.result)
            if await self._finish(
                work,
                store,
                "delivered",
                outcome.what,
                request=request,
                result=_json(result),
                follow=_json(follow),
                problem=None,
            ):
                self.counts[f"delivered_{outcome.what}"] += 1
                self.latencies.append(int(datetime.now(UTC).timestamp() * 1e6) - work.cause_us)

    async def _job(self, work: Work, rule: Rule, document: dict[str, Any], store: HubStore) -> Job:
        last = await store.rows("last_written", work.subject_id, work.rule) if rule.values else []
        return prepare(work, rule, document, last[0][0] if last else None)

    async def _not_yet(self, work: Work, rule: Rule, wait: NotYet, store: HubStore) -> None:
        """Again shortly; when it stays so a person is asked, once."""
        within = rule.ready.within.total_seconds() if rule.ready is not None else 60.0
        reason = {"reason": wait.ask, "people": 1}
        if work.age_s < within:
            await self._finish(
                work,
                store,
                "approved",
                "incomplete",
                problem=str(wait),
                pause=pause_of(while_incomplete, work.attempts),
            )
        elif open_questions([reason], work):
            await self._finish(work, store, "waiting", "waiting", **_waiting([reason], rule))
        else:
            await self._finish(work, store, "dead", "dead", problem=str(wait))
        self.counts["incomplete"] += 1

    async def _finish(self, work: Work, store: HubStore, state: str, what: str, /, **told: Any) -> bool:
        values: dict[str, Any] = {
            "problem": None, "request": None, "result": None, "pause": timedelta(0), "reasons": None,
            "people": None, "expires": None, "follow": "[]",
        }  # fmt: skip
        values |= {name: value for name, value in told.items() if name in values}
        values |= {"id": work.id, "state": state, "what": what, "leased_by": self._name, "attempts": work.attempts}
        done = await store.rows("finish_intent", values)
        if not done:
            self.counts["lease_lost"] += 1
        return bool(done)

    def _following(self, work: Work, result: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "key": f"{name}:{work.key}", "rule": name, "target": target, "entity": work.entity, "entity_id": work.entity_id,
                "aggregate_id": work.aggregate_id, "subject_id": work.subject_id if rule.subject != "customer_id" else work.customer_id,
                "customer_id": work.customer_id, "version": work.version, "cause_us": work.cause_us, "given": result,
            }
            for name, target, rule in self._follow.get(work.rule, ())
        ]  # fmt: skip


def _said_yes(wait: NotYet, work: Work) -> bool:
    return not open_questions([{"reason": wait.ask, "people": 1}], work)


def _waiting(asked: list[dict[str, Any]], rule: Rule) -> dict[str, Any]:
    return {
        "state": "waiting",
        "reasons": json.dumps(asked),
        "people": max(one["people"] for one in asked),
        "expires": rule.expires_after,
        "problem": "; ".join(one["reason"] for one in asked),
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
