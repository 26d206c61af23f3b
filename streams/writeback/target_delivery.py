"""Deliver the intents of one target, batch by batch.

    (1) decide on planned intents: shadow mode, ask people, or approve
    (2) lease what is due (SKIP LOCKED). Nothing is sent without a lease that outlasts it.
    (3) read the hub as it is now; check that the document is complete and that the approvals still cover it
    (4) the adapter does it in a transaction of the target, and finds by the idempotency key what was done before
    (5) record the outcome and the intents that follow, unless another deliverer took the lease over

Each step takes a whole batch, so that the number of round trips does not grow with the number of intents.

A crash before (4): the lease runs out, another deliverer leases the intent, and nothing was done. A crash between
(4) and (5): the lease runs out, and whoever takes it over finds in the target what was done. So nothing is done
twice and nothing is lost.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from streams.hub.intents import (
    DueWork,
    Intent,
    IntentOutcome,
    come_back,
    decide_planned,
    finish_intents,
    last_written,
    lease_intents,
    planned_intents,
    retry_waiting,
    take_over_leases,
)
from streams.hub.store import HubStore
from streams.model.intent import NewIntent
from streams.writeback.breaker import UNANSWERED_IN_A_ROW, Breaker
from streams.writeback.decide import AnswerFacts, Facts, LeasedFacts, NoAnswerFacts, PlannedFacts, decide
from streams.writeback.decisions import (
    Approve,
    AskPeople,
    Deliver,
    ForLeased,
    GiveUp,
    KeepPlanned,
    PutBack,
    Retry,
    Shadow,
    Wait,
)
from streams.writeback.documents import Document, Documents, read_documents
from streams.writeback.failures import NotReady, NotSent, Refused, TargetBusy, TargetDown
from streams.writeback.jobs import Adapter, Answer, Job, Unchanged
from streams.writeback.lease import LeasedBatch
from streams.writeback.outcomes import NOT_READY, record_outcome, record_planned
from streams.writeback.prepare import prepare
from streams.writeback.rule_book import RuleBook
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields

logger = logging.getLogger(__name__)

BATCH = 200
"""Intents of one batch. One by one, an intent took some twelve round trips (docs/decisions.md, 26)."""
BATCH_OVER_HTTP = 25
"""Intents of a batch that is sent one by one: what was read for them must not be old when the last one is sent."""
POLL_S = 1.0
"""Seconds after which a loop looks for work even if nothing woke it."""

LastWritten = dict[tuple[str, str], Fields | None]
"""(subject, rule) → what the rule last wrote there."""


class TargetDelivery:
    """The deliveries to one target, over one session with the hub. `pass_once` is called again and again.

    `on_written` is called with each intent that the target took, and the time in seconds since 1970.
    """

    def __init__(
        self,
        target: str,
        deliverer: str,
        store: HubStore,
        rules: RuleBook,
        adapter: Adapter,
        breaker: Breaker,
        counts: Counter[str],
        on_written: Callable[[Intent, float], object],
        *,
        lease: timedelta,
        over_http: bool,
        report_progress: Callable[[], None],
    ) -> None:
        self._target = target
        self._deliverer = deliverer
        self._store = store
        self._rules = rules
        self._adapter = adapter
        self._breaker = breaker
        self._counts = counts
        self._on_written = on_written
        self._lease = lease
        self._over_http = over_http
        self._report_progress = report_progress
        self._retried_waiting = 0.0
        self._is_away = False
        """Whether the hub knows that the target did not answer at the last try."""
        self._has_answered = False
        """Whether the target answered in this pass."""

    async def pass_once(self, work: DueWork) -> float:
        """Decide on and deliver one batch; seconds until there is more. Raises TargetDown and TargetBusy with nothing
        leased.
        """
        is_paused = self._target in work.paused or bool(work.away_s)
        self._is_away, self._has_answered = work.away_s is not None, False
        due_s = work.due_s
        # At most once a second: under load one pass follows another within milliseconds.
        if not is_paused and time.monotonic() - self._retried_waiting > POLL_S:
            self._retried_waiting = time.monotonic()
            if await retry_waiting(self._store, self._target, self._rules.caused_once(self._target)):
                due_s = 0.0
        decided, known = await self._decide_planned() if work.has_planned else (0, {})
        if not is_paused and (decided or work.has_leased or (due_s is not None and due_s <= 0)):
            paused_rules = [scope for scope in work.paused if "/" in scope]
            if await self._deliver_batch(paused_rules, known):
                if self._is_away and self._has_answered:
                    await come_back(self._store, self._target)
                return 0.0
        if decided:
            return 0.0
        # Not less than 5 ms: work that is due and cannot be leased, because another intent of its subject is on its
        # way, would make a busy loop.
        if work.away_s and self._target not in work.paused:
            due_s = work.away_s
        elif is_paused:
            due_s = None
        return POLL_S if due_s is None else min(POLL_S, max(0.005, due_s))

    # -- (1)

    async def _decide_planned(self) -> tuple[int, dict[int, Document]]:
        """Decide on a batch of planned intents: how many were decided, and the documents that were read for it."""
        intents = await planned_intents(self._store, self._target, BATCH)
        documents, written = await self._read(
            [
                (intent, rule)
                for intent, rule in self._with_rules(intents)
                # The others are approved whatever the hub has now: they are read once, at delivery.
                if rule.approval or not rule.is_live_for(intent.customer_id or intent.subject_id)
            ]
        )
        rows = []
        for intent in intents:
            facts = PlannedFacts(documents.get(intent.id), written.get((intent.subject_id, intent.rule)))
            decision = decide(intent, self._rules.get(intent.rule), facts, datetime.now(UTC))
            if isinstance(decision, Approve | Shadow | AskPeople | GiveUp):
                rows.append(record_planned(intent, decision, self._adapter.describe))
            else:
                assert isinstance(decision, KeepPlanned)
                self._counts[NOT_READY] += 1
        if rows:
            await decide_planned(self._store, rows)
        self._counts.update(row.state for row in rows)
        return len(rows), {id: document for id, document in documents.items() if isinstance(document, Document)}

    def _with_rules(self, intents: Iterable[Intent]) -> list[tuple[Intent, WritebackRule]]:
        return [(intent, rule) for intent in intents if (rule := self._rules.get(intent.rule)) is not None]

    async def _read(self, wanted: Sequence[tuple[Intent, WritebackRule]]) -> tuple[Documents, LastWritten]:
        """What the hub has now for these intents, and what their rules last wrote to their subjects."""
        if not wanted:
            return {}, {}
        documents = await read_documents(self._store, wanted)
        updates = {(intent.subject_id, intent.rule) for intent, rule in wanted if rule.values}
        rows = await last_written(self._store, list(updates)) if updates else []
        return documents, {(row.subject_id, row.rule): row.written for row in rows}

    # -- (2) to (5)

    async def _deliver_batch(self, paused_rules: Sequence[str], known: dict[int, Document]) -> int:
        """Lease and deliver one batch; how many intents it had. `known`: documents that were read a moment ago."""
        if await self._adapter.open():
            # Whoever had these leases is gone, and nothing of it is on its way any more: no need to wait until they
            # run out.
            await take_over_leases(self._store, self._deliverer, self._target)
        intents = await lease_intents(
            self._store,
            self._deliverer,
            self._target,
            lease=self._lease,
            paused_rules=paused_rules,
            limit=self._limit(),
        )
        if not intents:
            return 0
        batch = LeasedBatch(self._store, self._deliverer, intents, lease=self._lease, asks_each_time=self._over_http)
        with_rules = self._with_rules(intents)
        # What is compared with the target must not be a moment old, so a rule with `values` is read again.
        unread = [(intent, rule) for intent, rule in with_rules if intent.id not in known or rule.values]
        read, written = await self._read(unread)
        documents: Documents = {**known, **read}
        try:
            await self._read_targets(batch, with_rules, documents, written)
            jobs = await self._prepare_jobs(batch, documents, written)
            while jobs:
                jobs = await self._send(batch, jobs)
        except (TargetDown, TargetBusy) as down:
            # Without this they would wait until their leases run out, and the target may be back in a second.
            left = PutBack(str(down), was_sent=False)
            await self._finish([(intent, left) for intent in batch.intents.values()])
            # A session in an unknown state is not used again; closing it also gives up the replication origin.
            await self._adapter.close()
            raise
        return len(intents)

    def _limit(self) -> int:
        # A target that did not answer is tried with few intents: so many in a row show whether it is still down.
        if self._breaker.failures or self._is_away:
            return UNANSWERED_IN_A_ROW
        return BATCH_OVER_HTTP if self._over_http else BATCH

    async def _prepare_jobs(self, batch: LeasedBatch, documents: Documents, written: LastWritten) -> list[Job]:
        """The jobs of what is delivered now. The other intents get their outcome, and leave the batch."""
        jobs: list[Job] = []
        outcomes: list[tuple[Intent, ForLeased]] = []
        for intent in list(batch.intents.values()):
            facts = LeasedFacts(documents.get(intent.id), written.get((intent.subject_id, intent.rule)))
            decision = self._decide(intent, facts)
            if isinstance(decision, Deliver):
                jobs.append(decision.job)
            else:
                outcomes.append((batch.intents.pop(intent.key), decision))
        await self._finish(outcomes)
        return jobs

    async def _send(self, batch: LeasedBatch, jobs: Sequence[Job]) -> list[Job]:
        """Let the adapter do these; returns the jobs to do once more, because a person approved to overwrite a row.

        Raises TargetDown when the target is at fault.
        """
        overwrites: list[Job] = []
        unanswered: list[TargetDown] = []
        """Those without an answer, one after the other."""
        async with aclosing(self._adapter.deliver(jobs, batch.still_leased)) as portions:
            async for answers in portions:
                self._report_progress()
                outcomes: list[tuple[Intent, ForLeased]] = []
                for job, answer in answers:
                    intent = batch.intents.get(job.key)
                    if intent is None:
                        continue  # Its lease was lost before anything was sent: another deliverer has it.
                    if isinstance(answer, TargetDown):
                        decision = self._decide_unanswered(intent, answer)
                        if isinstance(decision, PutBack):
                            unanswered.append(answer)
                        outcomes.append((batch.intents.pop(job.key), decision))
                        if answer.blame == "target":
                            break  # The others of this portion would fail the same way: they are put back.
                        continue
                    # A job that was not sent says nothing about the target: the breaker stays as it is.
                    if not isinstance(answer, NotSent):
                        unanswered.clear()
                        self._breaker.answered(job.key)
                        self._has_answered = True
                    decision = self._decide(intent, AnswerFacts(job, answer))
                    if isinstance(decision, Deliver):
                        overwrites.append(decision.job)
                    else:
                        outcomes.append((batch.intents.pop(job.key), decision))
                self._counts["lease_lost"] += batch.take_lost()
                # Recorded after each portion: a crash leaves in doubt only what was sent since.
                await self._finish(outcomes)
                if len(unanswered) >= UNANSWERED_IN_A_ROW or (unanswered and unanswered[-1].blame == "target"):
                    break
        # The caller puts back what is left of the batch, and the breaker opens.
        if unanswered:
            raise unanswered[-1]
        return overwrites

    async def _read_targets(
        self,
        batch: LeasedBatch,
        with_rules: Sequence[tuple[Intent, WritebackRule]],
        documents: Documents,
        written: LastWritten,
    ) -> None:
        """Read what the target has now, for rules that look at it before they go on: `target` of the document."""
        reading: list[tuple[Intent, Job]] = []
        for intent, rule in with_rules:
            document = documents[intent.id]
            if rule.reads_target and isinstance(document, Document):
                try:
                    job = prepare(intent, rule, document, written.get((intent.subject_id, intent.rule)))
                except (Refused, NotReady):
                    continue  # `_prepare_jobs` meets the same problem, and records it.
                reading.append((intent, job))
        portions = [reading] if reading else []
        while portions:
            portion = portions.pop(0)
            try:
                rows = await self._adapter.read_current([job for _, job in portion])
            except (TargetDown, Refused) as problem:
                if isinstance(problem, TargetDown) and problem.blame == "target":
                    raise
                if len(portion) > 1:
                    # One of them is at fault: each individually.
                    portions = [[item] for item in portion] + portions
                    continue
                ((intent, job),) = portion
                del batch.intents[intent.key]
                if isinstance(problem, TargetDown):
                    decision = self._decide_unanswered(intent, problem)
                else:
                    decision = self._decide(intent, AnswerFacts(job, problem))
                await self._finish([(intent, decision)])
                if isinstance(decision, PutBack):
                    raise
                continue
            for (intent, _), row in zip(portion, rows, strict=True):
                document = documents[intent.id]
                assert isinstance(document, Document)
                documents[intent.id] = msgspec.structs.replace(document, target=row)

    def _decide_unanswered(self, intent: Intent, down: TargetDown) -> ForLeased:
        """Others go first, or it counts against the intent."""
        verdict = self._breaker.unanswered(intent.key, down)
        return self._decide(intent, NoAnswerFacts(down, verdict.counts_against_intent, verdict.pause_s))

    def _decide(self, intent: Intent, facts: Facts) -> ForLeased:
        decision = decide(intent, self._rules.get(intent.rule), facts, datetime.now(UTC))
        assert not isinstance(decision, KeepPlanned | Approve | Shadow)
        if isinstance(decision, Wait):
            self._counts[NOT_READY] += 1
        elif isinstance(decision, Retry | GiveUp):
            about = {"intent": intent.id, "rule": intent.rule, "entity": intent.entity, "entity_id": intent.entity_id}
            # Not the problem itself: a target may quote a person's data in it. The hub keeps it.
            what = "is given up" if isinstance(decision, GiveUp) else "is tried again"
            logger.warning(
                "intent %d (%s) %s; `opshub approvals show %d` shows why",
                intent.id,
                intent.rule,
                what,
                intent.id,
                extra=about,
            )
        # A dead intent is not sent any more, so it cannot be a suspect.
        if isinstance(decision, GiveUp):
            self._breaker.forget(intent.key)
        return decision

    async def _finish(self, decisions: Sequence[tuple[Intent, ForLeased]]) -> None:
        """Record these outcomes. An intent whose lease was taken over meanwhile is counted, and left to the other
        deliverer.
        """
        if not decisions:
            return
        outcomes: list[IntentOutcome] = [
            record_outcome(intent, decision, self._adapter.describe, partial(self._follow, intent))
            for intent, decision in decisions
        ]
        now = time.time()
        recorded = await finish_intents(self._store, self._deliverer, outcomes, now_us=int(now * 1e6))
        for (intent, _), outcome in zip(decisions, outcomes, strict=True):
            if outcome.id not in recorded:
                self._counts["lease_lost"] += 1
            elif outcome.state == "delivered":
                self._counts[f"delivered_{outcome.what.replace(' ', '_')}"] += 1
                self._on_written(intent, now)

    def _follow(self, intent: Intent, answer: Answer) -> list[NewIntent]:
        """The intents of rules that come `after` this one; `given` is what the delivery returned."""
        given = {} if isinstance(answer, Unchanged) else answer.result
        return [
            NewIntent(
                key=f"{named.name}:{intent.key}",
                rule=named.name,
                target=named.target,
                entity=intent.entity,
                entity_id=intent.entity_id,
                aggregate_id=intent.aggregate_id,
                subject_id=subject_id,
                customer_id=intent.customer_id,
                version=intent.version,
                cause_us=intent.cause_us,
                given=given,
            )
            for named in self._rules.following(intent.rule)
            if (subject_id := intent.customer_id if named.rule.subject == "customer_id" else intent.subject_id)
            is not None
        ]
