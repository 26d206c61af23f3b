"""Deliver what is planned: ask people where a rule says so, write to the target, note what came of it.

For each target a loop of its own, so that one that is down holds up no other:

    (1) decide on what is planned: shadow, waiting for people, or approved
    (2) lease what is due (SKIP LOCKED; a lease that ran out is taken over)
    (3) read the hub as it is now; check that the document is whole and that what was approved still is
    (4) let the adapter do it, in a transaction of the target, found again by its idempotency key
    (5) note it, with the intents that follow from it, unless another took the lease over

Each step takes a whole batch, so that the number of round trips does not grow with the number of intents.

A crash between (4) and (5) leaves a lease that runs out; whoever takes it over finds in the target what was done.
"""

from __future__ import annotations

import asyncio
import logging
import time
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
from streams.hub.session import LIVELY
from streams.hub.store import HubStore
from streams.writeback.approve import is_live_for, open_questions, questions
from streams.writeback.context import gather
from streams.writeback.failures import Ahead, NotYet, Refused, TargetBusy, TargetDown
from streams.writeback.plan import holds
from streams.writeback.prepare import check_whole, no_more, prepare
from streams.writeback.rules import Rule, Writeback
from streams.writeback.work import Adapter, Job, Outcome, Work

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BATCH = 200
POLL_S = 1.0
NOTHING = "nothing to say"

Documents = dict[int, dict[str, Any] | NotYet]
"""Intent id → what the hub says of it."""
Last = dict[tuple[str, str], dict[str, Any] | None]
"""(subject, rule) → what the rule last wrote there."""

after_failure = wait_exponential_jitter(multiplier=0.5, max=120, jitter=0.5)
"""Pause after the n-th attempt that the target refused."""
while_incomplete = wait_exponential_jitter(multiplier=0.03, max=2, jitter=0.03)
"""Pause while a document is not whole, or the target is ahead of the hub."""
while_down = wait_exponential_jitter(multiplier=0.2, max=15, jitter=0.3)
"""Pause of the circuit breaker: nothing is sent to a target that did not answer."""


def pause_of(wait: Callable[[RetryCallState], float], attempt: int) -> float:
    """Seconds of pause after this attempt, the first being 1."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = max(1, min(attempt, 30))
    return wait(state)


class Breaker:
    """Opens when the target does not answer, for a pause that grows; one try closes it or opens it for longer."""

    def __init__(self) -> None:
        self.failures = 0
        self.cause = ""

    def failed(self, cause: str) -> float:
        """Seconds to stay away."""
        self.failures += 1
        self.cause = cause
        return pause_of(while_down, self.failures)

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
        self.progress: dict[str, float] = dict.fromkeys(adapters, time.monotonic())
        """Target → when its loop last came round, or settled something, by the monotonic clock; for the watchdog."""
        self.waiting: dict[str, str] = {}
        """Target → why its loop waits for the hub, while it does."""
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
                    self._dsn, autocommit=True, application_name=f"opshub-deliver-{self._name}-listen", **LIVELY
                ) as hub:
                    await hub.execute("LISTEN opshub_intent")
                    async for told in hub.notifies():
                        for target, event in self._wake.items():
                            if told.payload in ("", target):
                                event.set()
            except psycopg.Error as error:
                logger.warning("the hub does not answer: %s; again in 2 s", str(error).strip())
                await asyncio.sleep(2)

    async def _serve(self, target: str) -> None:
        store = HubStore(self._dsn, f"opshub-deliver-{self._name}-{target}")
        breaker, wake = self.breakers[target], self._wake[target]
        expired = 0.0
        try:
            while True:
                wake.clear()
                pause = POLL_S
                self.progress[target] = time.monotonic()
                try:
                    if time.monotonic() - expired > POLL_S:
                        expired = time.monotonic()
                        await store.rows("expire_intents")
                    pause = await self.pass_once(target, store)
                except TargetBusy:
                    self.counts["busy"] += 1
                except TargetDown as down:
                    pause = breaker.failed(str(down))
                    self.counts["down"] += 1
                    logger.warning("%s: %s; again in %.1f s", target, down, pause)
                    await asyncio.sleep(pause)
                    continue
                except RetryLater as later:
                    self.waiting[target] = f"deliver waits: {later}"
                    logger.warning("%s; again in 1 s", later)
                    await asyncio.sleep(1.0)
                    continue
                try:
                    await asyncio.wait_for(wake.wait(), pause)
                except TimeoutError:
                    pass
        finally:
            await store.close()

    async def pass_once(self, target: str, store: HubStore) -> float:
        """Decide on and deliver a batch; seconds until there is more. Raises TargetDown and TargetBusy with nothing leased."""
        ((paused, undecided, due_s, leased),) = await store.rows("work_of", target)
        self.waiting.pop(target, None)
        decided, read = await self._decide(target, store) if undecided else (0, {})
        if target not in paused and (decided or leased or (due_s is not None and due_s <= 0)):
            if await self._deliver(target, store, [scope for scope in paused if "/" in scope], read):
                return 0.0
        if decided:
            return 0.0
        return POLL_S if due_s is None or target in paused else min(POLL_S, max(0.005, due_s))

    # -- (1)

    async def _decide(self, target: str, store: HubStore) -> tuple[int, dict[int, dict[str, Any]]]:
        """Decide on a batch of what is planned for this target; how many that were, and what was read of them for that."""
        works = [Work(*row) for row in await store.rows("planned_intents", target, BATCH)]
        documents, last = await self._read(
            [
                (work, rule)
                for work in works
                if (rule := self._rules.get(work.rule)) and (rule.approval or not is_live_for(rule, work))
            ],
            store,
        )
        told = [one for work in works if (one := self._decision(work, documents, last)) is not None]
        if told:
            await store.rows("triage_intents", _json(told))
        self.counts.update(one["state"] for one in told)
        return len(told), {one: document for one, document in documents.items() if isinstance(document, dict)}

    def _decision(self, work: Work, documents: Documents, last: Last) -> dict[str, Any] | None:
        rule = self._rules.get(work.rule)
        told: dict[str, Any] = {
            "id": work.id, "was": work.state, "state": "approved", "reasons": [], "people": 0, "problem": None,
            "request": None, "expires_s": None, "not_before": None,
        }  # fmt: skip
        if rule is None:
            return told | {"state": "dead", "problem": f"there is no rule {work.rule} any more"}
        if not is_live_for(rule, work):
            try:
                document = _found(documents, work)
                check_whole(work, rule, document)
                job = prepare(work, rule, document, last.get((work.subject_id, work.rule)))
                return told | {"state": "shadow", "request": self._adapters[work.target].describe(job)}
            except NotYet as wait:
                if rule.ready is None or work.age_s < rule.ready.within.total_seconds():
                    self.counts["incomplete"] += 1
                    return None
                return told | {"state": "shadow", "problem": str(wait)}
            except Refused as no:
                return told | {"state": "shadow", "problem": str(no)}
        if rule.schedule is not None:
            told["not_before"] = croniter(rule.schedule, datetime.now(UTC)).get_next(datetime)
        document_or = documents.get(work.id)
        if rule.approval and isinstance(document_or, dict):
            asked = open_questions(questions(rule, work.target, document_or), work)
            if asked:
                told |= _waiting(asked, rule)
        return told

    async def _read(self, works: list[tuple[Work, Rule]], store: HubStore) -> tuple[Documents, Last]:
        """What the hub says now of these intents, and what their rules last wrote to their subjects."""
        if not works:
            return {}, {}
        documents = await gather(works, store.rows)
        writing = {(work.subject_id, work.rule) for work, rule in works if rule.values}
        last: Last = {}
        if writing:
            for subject, rule_name, written in await store.rows(
                "last_written", [subject for subject, _ in writing], [name for _, name in writing]
            ):
                last[subject, rule_name] = written
        return documents, last

    # -- (2) to (5)

    async def _deliver(
        self, target: str, store: HubStore, paused_rules: list[str], read: Mapping[int, dict[str, Any]]
    ) -> int:
        """Lease and deliver one batch; how many that were. `read`: what was read a moment ago is not read again."""
        adapter = self._adapters[target]
        if await adapter.open():
            # Whoever had these leases is gone, and with it all that it had on its way: no need to wait until they run out.
            await store.rows("take_over", target, self._name)
        self.breakers[target].answered()
        rows = await store.rows("lease_intents", self._name, self._lease, target, paused_rules, BATCH)
        works = sorted((Work(*row) for row in rows), key=lambda work: work.id)
        if not works:
            return 0
        left = {work.key: work for work in works}
        ruled = [(work, rule) for work in works if (rule := self._rules.get(work.rule))]
        unread = [(work, rule) for work, rule in ruled if work.id not in read or rule.values]
        documents, last = await self._read(unread, store)
        documents = {**read, **documents}
        told: list[dict[str, Any]] = []
        jobs: list[Job] = []
        for work in works:
            job = self._job(work, documents, last)
            if isinstance(job, Job):
                jobs.append(job)
            else:
                told.append(job)
                del left[work.key]
        await self._finish(told, store)
        try:
            while jobs:
                again: list[Job] = []
                async for settled in adapter.deliver(jobs):
                    self.progress[target] = time.monotonic()
                    told = []
                    for job, outcome in settled:
                        if isinstance(outcome, Ahead) and not job.force and _said_yes(outcome, left[job.key]):
                            again.append(msgspec.structs.replace(job, force=True))
                        else:
                            told.append(self._settled(left.pop(job.key), job, outcome))
                    await self._finish(told, store)
                jobs = again
        except TargetDown as down:
            await self._finish(
                [_told(work, "approved", "target down", problem=str(down)) for work in left.values()], store
            )
            await adapter.close()
            raise
        return len(works)

    def _job(self, work: Work, documents: Documents, last: Last) -> Job | dict[str, Any]:
        """What the adapter is to do, or what becomes of an intent that is not delivered now."""
        rule = self._rules.get(work.rule)
        if rule is None:
            return _told(work, "dead", "dead", problem=f"there is no rule {work.rule} any more")
        try:
            document = _found(documents, work)
            taken_back = no_more(rule, document)
            if taken_back is not None:
                return _told(work, "superseded", "withdrawn", problem=taken_back)
            try:
                check_whole(work, rule, document)
            except NotYet as wait:
                if not _said_yes(wait, work):
                    raise
            asked = open_questions(questions(rule, work.target, document), work)
            if asked:
                return _told(work, "waiting", "waiting", **_waiting(asked, rule))
            job = prepare(work, rule, document, last.get((work.subject_id, work.rule)))
        except OpshubError as no:
            return self._not_done(work, rule, no)
        if holds(rule.skip_when, job.wanted):
            return _told(work, "delivered", NOTHING)
        return job

    def _settled(self, work: Work, job: Job, outcome: Outcome | OpshubError) -> dict[str, Any]:
        if isinstance(outcome, OpshubError):
            return self._not_done(work, job.rule, outcome)
        result = dict(outcome.result)
        if outcome.written is not None:
            result["written"] = outcome.written
        return _told(
            work,
            "delivered",
            outcome.what,
            request=self._adapters[work.target].describe(job),
            result=result,
            follow=self._following(work, outcome.result),
        )

    def _not_done(self, work: Work, rule: Rule, no: OpshubError) -> dict[str, Any]:
        if isinstance(no, NotYet):
            return self._not_yet(work, rule, no)
        dead = work.failures + 1 >= rule.attempts
        state = "dead" if dead else "failed"
        logger.warning("%s: %s", work.key, no)
        pause = 0.0 if dead else pause_of(after_failure, work.failures + 1)
        return _told(work, state, state, problem=str(no), pause_s=pause)

    def _not_yet(self, work: Work, rule: Rule, wait: NotYet) -> dict[str, Any]:
        """Again shortly; when it stays so a person is asked, once."""
        self.counts["incomplete"] += 1
        within = rule.ready.within.total_seconds() if rule.ready is not None else 60.0
        reason = {"reason": wait.ask, "people": 1}
        if work.age_s < within:
            pause = pause_of(while_incomplete, work.attempts)
            return _told(work, "approved", "incomplete", problem=str(wait), pause_s=pause)
        if open_questions([reason], work):
            return _told(work, "waiting", "waiting", **_waiting([reason], rule))
        return _told(work, "dead", "dead", problem=str(wait))

    async def _finish(self, told: list[dict[str, Any]], store: HubStore) -> None:
        if not told:
            return
        done = {row[0] for row in await store.rows("finish_intents", {"told": _json(told), "leased_by": self._name})}
        now = int(time.time() * 1e6)
        for one in told:
            if one["id"] not in done:
                self.counts["lease_lost"] += 1
            elif one["state"] == "delivered":
                self.counts[f"delivered_{one['what']}"] += 1
                if one["what"] != NOTHING:
                    self.latencies.append(now - one["cause_us"])

    def _following(self, work: Work, result: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "key": f"{name}:{work.key}", "rule": name, "target": target, "entity": work.entity, "entity_id": work.entity_id,
                "aggregate_id": work.aggregate_id, "subject_id": work.subject_id if rule.subject != "customer_id" else work.customer_id,
                "customer_id": work.customer_id, "version": work.version, "cause_us": work.cause_us, "given": result,
            }
            for name, target, rule in self._follow.get(work.rule, ())
        ]  # fmt: skip


def _found(documents: Documents, work: Work) -> dict[str, Any]:
    document = documents[work.id]
    if isinstance(document, NotYet):
        raise document
    return document


def _told(work: Work, state: str, what: str, /, **more: Any) -> dict[str, Any]:
    """What became of a leased intent, as `finish_intents` takes it."""
    told: dict[str, Any] = {
        "problem": None, "request": None, "result": None, "pause_s": 0.0, "reasons": None, "people": None, "expires_s": None, "follow": [],
    }  # fmt: skip
    return (
        told
        | more
        | {"id": work.id, "attempts": work.attempts, "cause_us": work.cause_us, "state": state, "what": what}
    )


def _said_yes(wait: NotYet, work: Work) -> bool:
    return not open_questions([{"reason": wait.ask, "people": 1}], work)


def _waiting(asked: list[dict[str, Any]], rule: Rule) -> dict[str, Any]:
    return {
        "state": "waiting",
        "reasons": asked,
        "people": max(one["people"] for one in asked),
        "expires_s": rule.expires_after.total_seconds() if rule.expires_after is not None else None,
        "problem": "; ".join(one["reason"] for one in asked),
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
