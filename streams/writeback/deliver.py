"""Deliver what is planned: ask people where a rule says so, write to the target, note what came of it.

For each target a loop of its own, so that one that is down holds up no other:

    (1) decide on what is planned: shadow, waiting for people, or approved
    (2) lease what is due (SKIP LOCKED; a lease that ran out is taken over); nothing is sent but under a lease that outlasts it
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
from collections.abc import Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection

from streams.errors import OpshubError, RetryLater
from streams.hub.session import KEEPALIVE
from streams.hub.store import HubStore
from streams.writeback.approve import open_questions, questions
from streams.writeback.breaker import IN_A_ROW, Breaker
from streams.writeback.context import gather
from streams.writeback.failures import Ahead, NotYet, Refused, TargetBusy, TargetDown, Unasked
from streams.writeback.lease import Leased, nested
from streams.writeback.noted import INCOMPLETE, not_done, noted, said_yes, waiting
from streams.writeback.prepare import check_whole, no_more, prepare
from streams.writeback.rule_inputs import matches
from streams.writeback.rules import HttpTarget, WritebackConfig, WritebackRule
from streams.writeback.triage import Documents, Last, decided, found
from streams.writeback.work import Adapter, Job, Outcome, Work

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
BATCH = 200
OVER_HTTP = 25
"""Intents of a batch that is sent one by one: what is read for them is not to be old when the last one's turn comes."""
POLL_S = 1.0
NOTHING = "nothing to say"


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
        timeouts = {
            target: told.target.timeout for target, told in writebacks.items() if isinstance(told.target, HttpTarget)
        }
        self._over_http = frozenset(timeouts)
        # A lease is renewed once a third of it has passed: what is left of it outlasts any request.
        self._leases = {target: max(lease, 2 * timeouts.get(target, lease / 2)) for target in adapters}
        self._rules: dict[str, WritebackRule] = {
            f"{system}/{rule}": told for system, one in writebacks.items() for rule, told in one.rules.items()
        }
        self._follow: dict[str, list[tuple[str, str, WritebackRule]]] = {}
        for full, rule in self._rules.items():
            if rule.after is not None and rule.mode != "off":
                self._follow.setdefault(rule.after, []).append((full, full.partition("/")[0], rule))
        self._wake: dict[str, asyncio.Event] = {target: asyncio.Event() for target in adapters}
        self._looked_again: dict[str, float] = dict.fromkeys(adapters, 0.0)
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
                    self._dsn, autocommit=True, application_name=f"opshub-deliver-{self._name}-listen", **KEEPALIVE
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
                        if target in self._over_http:
                            await store.rows("forget_echoes")
                    pause = await self.pass_once(target, store)
                except TargetBusy:
                    self.counts["busy"] += 1
                except TargetDown as down:
                    pause = breaker.failed(str(down), down.after)
                    self.counts["down"] += 1
                    logger.warning("%s: %s; again in %.1f s", target, down, pause)
                    await asyncio.sleep(pause)
                    continue
                except RetryLater as later:
                    self.waiting[target] = f"deliver waits: {later}"
                    logger.warning("%s; again in 1 s", later)
                    await asyncio.sleep(1.0)
                    continue
                # Not `wait_for`: Python 3.11's forgets that it was cancelled if the event is set in that moment, and this would never end.
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await wake.wait()
        finally:
            await store.close()

    async def pass_once(self, target: str, store: HubStore) -> float:
        """Decide on and deliver a batch; seconds until there is more. Raises TargetDown and TargetBusy with nothing leased."""
        ((paused, undecided, due_s, leased),) = await store.rows("work_of", target)
        self.waiting.pop(target, None)
        if target not in paused and time.monotonic() - self._looked_again[target] > POLL_S:
            self._looked_again[target] = time.monotonic()
            if await store.rows("look_again", target):
                due_s = 0.0
        looked_at, read = await self._decide(target, store) if undecided else (0, {})
        if target not in paused and (looked_at or leased or (due_s is not None and due_s <= 0)):
            if await self._deliver(target, store, [scope for scope in paused if "/" in scope], read):
                return 0.0
        if looked_at:
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
                if (rule := self._rules.get(work.rule))
                and (rule.approval or not rule.is_live_for(work.customer_id or work.subject_id))
            ],
            store,
        )
        told = []
        for work in works:
            rule = self._rules.get(work.rule)
            one = decided(work, rule, documents.get(work.id), last, self._adapters[target].describe)
            if one is None:
                self.counts[INCOMPLETE] += 1
            else:
                told.append(one)
        if told:
            await store.rows("triage_intents", _json(told))
        self.counts.update(one["state"] for one in told)
        return len(told), {one: document for one, document in documents.items() if isinstance(document, dict)}

    async def _read(self, works: list[tuple[Work, WritebackRule]], store: HubStore) -> tuple[Documents, Last]:
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
        adapter, breaker = self._adapters[target], self.breakers[target]
        if await adapter.open():
            # Whoever had these leases is gone, and with it all that it had on its way: no need to wait until they run out.
            await store.rows("take_over", target, self._name)
        lease = self._leases[target]
        batch = Leased(store.rows, self._name, lease, over_http=target in self._over_http)
        most = IN_A_ROW if breaker.failures else OVER_HTTP if target in self._over_http else BATCH
        rows = await store.rows("lease_intents", self._name, lease, target, paused_rules, most)
        works = sorted((Work(*row) for row in rows), key=lambda work: work.id)
        if not works:
            return 0
        batch.left.update((work.key, work) for work in works)
        ruled = [(work, rule) for work in works if (rule := self._rules.get(work.rule))]
        unread = [(work, rule) for work, rule in ruled if work.id not in read or rule.values]
        documents, last = await self._read(unread, store)
        documents = {**read, **documents}
        try:
            await self._look(target, batch, ruled, documents, last, store)
            told: list[dict[str, Any]] = []
            jobs: list[Job] = []
            for work in list(batch.left.values()):
                job = self._job(work, documents, last)
                if isinstance(job, Job):
                    jobs.append(job)
                else:
                    told.append(job)
                    del batch.left[work.key]
            await self._finish(told, store)
            while jobs:
                jobs = await self._send(target, batch, jobs, store)
        except (TargetDown, TargetBusy) as down:
            left = [noted(work, "approved", "put back", problem=str(down)) for work in batch.left.values()]
            await self._finish(left, store)
            await adapter.close()
            raise
        return len(works)

    async def _send(self, target: str, batch: Leased, jobs: list[Job], store: HubStore) -> list[Job]:
        """Have these done; those to be done once more, with a person's yes. Raises TargetDown where the target is at fault."""
        again: list[Job] = []
        silent: list[TargetDown] = []
        """Answers that did not come, one after the other."""
        async with aclosing(self._adapters[target].deliver(jobs, batch.hold)) as settling:
            async for settled in settling:
                self.progress[target] = time.monotonic()
                told = []
                for job, outcome in settled:
                    if isinstance(outcome, TargetDown):
                        one = self._silent(batch.left.pop(job.key), job.rule, outcome)
                        if one["state"] == "approved":
                            silent.append(outcome)
                        told.append(one)
                        if outcome.blame == "target":
                            break
                        continue
                    if not isinstance(outcome, Unasked):
                        silent.clear()
                        self.breakers[target].answered(job.key)
                    if isinstance(outcome, Ahead) and not job.force and said_yes(outcome, batch.left[job.key]):
                        again.append(msgspec.structs.replace(job, force=True))
                    else:
                        told.append(self._settled(batch.left.pop(job.key), job, outcome))
                self.counts["lease_lost"] += batch.take_lost()
                await self._finish(told, store)
                if len(silent) >= IN_A_ROW or (silent and silent[-1].blame == "target"):
                    break
        if silent:
            raise silent[-1]
        return again

    async def _look(
        self,
        target: str,
        batch: Leased,
        ruled: list[tuple[Work, WritebackRule]],
        documents: Documents,
        last: Last,
        store: HubStore,
    ) -> None:
        """Read what the target says now, for rules that look at it before they go on: `target` of the document."""
        asking: list[tuple[Work, Job]] = []
        for work, rule in ruled:
            document = documents[work.id]
            if rule.reads_target and isinstance(document, dict):
                try:
                    asking.append((work, prepare(work, rule, document, last.get((work.subject_id, work.rule)))))
                except OpshubError:
                    continue  # told by `_job`
        adapter = self._adapters[target]
        portions = [asking] if asking else []
        while portions:
            portion = portions.pop(0)
            try:
                found = await adapter.current([job for _, job in portion])
            except (TargetDown, Refused) as no:
                if isinstance(no, TargetDown) and no.blame == "target":
                    raise
                if len(portion) > 1:
                    portions = [[one] for one in portion] + portions
                    continue
                ((work, job),) = portion
                del batch.left[work.key]
                silent = isinstance(no, TargetDown)
                one = self._silent(work, job.rule, no) if silent else self._not_done(work, job.rule, no)  # type: ignore[arg-type]
                await self._finish([one], store)
                if silent and one["state"] == "approved":
                    raise
                continue
            for (work, _), told in zip(portion, found, strict=True):
                documents[work.id] = documents[work.id] | {"target": told}  # type: ignore[operator]

    def _job(self, work: Work, documents: Documents, last: Last) -> Job | dict[str, Any]:
        """What the adapter is to do, or what becomes of an intent that is not delivered now."""
        rule = self._rules.get(work.rule)
        if rule is None:
            return noted(work, "dead", "dead", problem=f"there is no rule {work.rule} any more")
        try:
            document = found(documents[work.id])
            taken_back = no_more(rule, document)
            if taken_back is not None:
                return noted(work, "superseded", "withdrawn", problem=taken_back)
            try:
                check_whole(work, rule, document)
            except NotYet as wait:
                if not said_yes(wait, work):
                    raise
            asked = open_questions(questions(rule, work.target, document), work)
            if asked:
                return noted(work, "waiting", "waiting", **waiting(asked, rule))
            job = prepare(work, rule, document, last.get((work.subject_id, work.rule)))
        except OpshubError as no:
            return self._not_done(work, rule, no)
        if matches(rule.skip_when, job.wanted):
            return noted(work, "delivered", NOTHING)
        return job

    def _settled(self, work: Work, job: Job, outcome: Outcome | OpshubError) -> dict[str, Any]:
        if isinstance(outcome, OpshubError):
            return self._not_done(work, job.rule, outcome)
        result = dict(outcome.result)
        if outcome.written is not None:
            result["written"] = outcome.written
        return noted(
            work,
            "delivered",
            outcome.what,
            request=self._adapters[work.target].describe(job),
            result=result,
            follow=self._following(work, outcome.result),
            echo=nested(outcome.written) if outcome.written is not None else None,
        )

    def _silent(self, work: Work, rule: WritebackRule, down: TargetDown) -> dict[str, Any]:
        """One to which the target gave no answer: others go first, or it counts against it."""
        counts, pause = self.breakers[work.target].silent(work.key, down)
        if counts:
            return self._not_done(work, rule, Refused(str(down), unsure=down.unsure))
        unsure = work.unsure or down.unsure
        return noted(work, "approved", "target down", problem=str(down), pause_s=pause, unsure=unsure)

    def _not_done(self, work: Work, rule: WritebackRule, no: OpshubError) -> dict[str, Any]:
        told = not_done(work, rule, no)
        if told["what"] == INCOMPLETE:
            self.counts[INCOMPLETE] += 1
        elif told["state"] != "waiting":
            logger.warning("%s: %s", work.key, no)
        if told["state"] == "dead":
            self.breakers[work.target].forget(work.key)
        return told

    async def _finish(self, told: list[dict[str, Any]], store: HubStore) -> None:
        if not told:
            return
        now = int(time.time() * 1e6)
        asked = {"told": _json(told), "leased_by": self._name, "now_us": now}
        done = {row[0] for row in await store.rows("finish_intents", asked)}
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


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
