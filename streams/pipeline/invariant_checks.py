"""Check order flows that have come to rest: a rule of the business that does not hold is a conflict of kind
`invariant`, until it holds.

In: the flows that assemble settled, some seconds after the last change of each. Out: rows of the hub's `conflict`,
records on the topic `conflicts`, and what the business figures need of each flow (`flow_figure`). The job reads what
assemble has in memory, and the hub only for what has left it, so it costs the hub next to nothing. Flows that a worker
had not checked when it died, or when others took its partitions, are marked in the hub's `due`: any worker takes them
over once they are late. `opshub flow check` checks the whole hub by the same rules (`broken_rules`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
from confluent_kafka import Producer
from mode.utils.logging import get_logger

from streams.errors import OpshubError
from streams.flow.invariants import LOST, ORDERED, PAID, RETURN, Broken, InvariantLimits, broken
from streams.hub.figures import save_flow_figures
from streams.hub.flow_checks import (
    flows_checked,
    flows_with_open_invariants,
    overdue_flows,
    resolve_invariants,
    subjects_waiting_for_approval,
)
from streams.hub.intent_review import Hub
from streams.hub.order_flows import all_flows, waiting_subjects
from streams.hub.store import HubStore
from streams.model.state import AggregateState, Conflict
from streams.pipeline.assemble import Assemble
from streams.pipeline.due import DUE_SECONDS
from streams.pipeline.ingest import now_us
from streams.runtime.background import repeat

logger = get_logger(__name__)

EVERY_SECONDS = 1.0
QUIET_SECONDS = 30.0
"""Seconds without a change after which a flow is checked: people and systems write a document in pieces, and half of
one breaks rules.
"""
TAKE_OVER_EVERY_SECONDS = 10.0
MOST = 200
"""Flows in one check. It runs on the loop that settles changes, which must not wait longer."""

ConflictMessage = Callable[[Conflict, int], tuple[str, bytes, bytes]]
"""(conflict, µs since 1970) → (topic, key, value)."""


class InvariantChecks:
    """The checks of one worker. Without a producer nothing is written to the topic."""

    name = "invariant checks"

    def __init__(
        self,
        store: HubStore,
        assemble: Assemble,
        limits: InvariantLimits,
        message: ConflictMessage,
        producer: Producer | None = None,
        *,
        quiet_s: float = QUIET_SECONDS,
    ) -> None:
        self._store = store
        self._assemble = assemble
        self._limits = limits
        self._message = message
        self._producer = producer
        self._quiet_s = quiet_s
        self._next_us: dict[str, int] = {}
        """Flows that are to be checked, or checked once more, and when (µs since 1970)."""
        self._started = False
        self._next_take_over = 0.0

    async def run(self) -> None:
        """See BackgroundJob."""
        try:
            await repeat(EVERY_SECONDS, self._round)
        finally:
            await self._store.close()

    async def _round(self) -> None:
        if not self._started:
            # The worker that would have checked these once more has ended.
            self._next_us |= dict.fromkeys(await flows_with_open_invariants(self._store), 0)
            self._started = True
        if time.monotonic() > self._next_take_over:
            await self.take_over()
            self._next_take_over = time.monotonic() + TAKE_OVER_EVERY_SECONDS
        while await self.check() == MOST:
            await asyncio.sleep(0)  # lets the lanes work between two checks

    async def take_over(self) -> int:
        """Take over the flows that another worker changed and did not check in time; how many."""
        overdue = await overdue_flows(self._store, MOST)
        mine = [key for key in overdue if key not in self._next_us and not self._assemble.will_check(key)]
        self._next_us |= dict.fromkeys(mine, 0)
        return len(mine)

    async def check(self) -> int:
        """Check the flows that have been quiet long enough; how many."""
        now, started = now_us(), time.monotonic()
        due = [key for key, at in self._next_us.items() if at <= now][:MOST]
        keys = [*due, *self._assemble.take_quiet_flows(time.monotonic() - self._quiet_s, MOST - len(due))]
        if not keys:
            return 0
        self._next_us |= dict.fromkeys(keys, 0)
        missing = [key for key in keys if self._assemble.cached(key) is None]
        loaded = await self._store.load(dict.fromkeys(missing, "order_flow")) if missing else {}
        conflicts: list[Conflict] = []
        checked: dict[str, int | None] = {}
        joined: dict[str, str | None] = {}
        for key in keys:
            # Look into memory only now: since the query above, a batch may have changed what is there.
            state = self._assemble.cached(key) or loaded.get(key)
            if state is not None:
                broken_rules, checked[key] = broken(state.members.values(), self._limits, now)
                conflicts += [_conflict(key, rule) for rule in broken_rules]
                joined[key] = _joined_record(state)
        conflicts = await self._without_awaited_orders(conflicts, checked, now)
        await resolve_invariants(self._store, [*checked], [conflict.id for conflict in conflicts])
        for conflict in await self._store.log_conflicts(conflicts):
            self._assemble.counts["invariants"] += 1
            about = {"rule": conflict.rule, "entity": conflict.entity, "entity_id": conflict.entity_id}
            logger.warning(
                "%s does not hold for %s %s", conflict.rule, conflict.entity, conflict.entity_id, extra=about
            )
            self._emit(conflict)
        # Before the marks are deleted: a worker that dies in between leaves both to another one.
        await save_flow_figures(self._store, joined)
        # A flow that was marked since the check began must stay marked; the clocks of hub and worker may differ by a
        # second.
        since_s = time.monotonic() - started + min(1.0, self._quiet_s / 2)
        await flows_checked(self._store, checked, take_over_s=DUE_SECONDS["flow"], since_s=since_s)
        for key, next_us in checked.items():
            if next_us is None:
                del self._next_us[key]
            else:
                self._next_us[key] = next_us
        return len(keys)

    async def _without_awaited_orders(
        self, conflicts: list[Conflict], checked: dict[str, int | None], now: int
    ) -> list[Conflict]:
        """A deal whose order waits for an approval breaks no rule. It is checked once more: a rejection is reported to
        nobody here.
        """
        without_order = [c for c in conflicts if c.rule == ORDERED and not c.values["orders"]]
        if not without_order:
            return conflicts
        waiting = await subjects_waiting_for_approval(self._store, [c.entity_id for c in without_order])
        excused = {c.id for c in without_order if c.entity_id in waiting}
        next_us = now + self._limits.order_within_us
        for conflict in without_order:
            if conflict.id in excused:
                checked[conflict.aggregate_id] = min(next_us, checked[conflict.aggregate_id] or next_us)
        return [c for c in conflicts if c.id not in excused]

    def _emit(self, conflict: Conflict) -> None:
        """The hub has the conflict already: a message that is lost here is logged, and nothing waits for it."""
        if self._producer is None:
            return
        try:
            topic, key, value = self._message(conflict, now_us())
            self._producer.produce(topic, key=key, value=value)
            self._producer.poll(0)
        except (OpshubError, BufferError) as error:
            logger.warning("the conflict %s is in the hub, and not on the topic: %s", conflict.id, error)


class BrokenRule(msgspec.Struct, frozen=True):
    """A business rule that does not hold for a record: the value that it has and the value that it should have,
    unscaled.
    """

    rule: str
    entity: str
    id: str
    number: str | None
    actual: int | str | None
    expected: int | str | None


def broken_rules(hub: Hub, limits: InvariantLimits, *, limit: int = 1000) -> list[BrokenRule]:
    """Business rules that do not hold in the whole hub. A deal whose order waits for an approval breaks none."""
    waiting = waiting_subjects(hub)
    violations: list[BrokenRule] = []
    for members in all_flows(hub):
        rules, _ = broken(members, limits, now_us())
        records = {member.id: member.record for member in members} if rules else {}
        for rule in rules:
            if rule.rule == ORDERED and not rule.values["orders"] and rule.id in waiting:
                continue
            record = records.get(rule.id, {})
            number = record.get("number") or record.get("line_no")
            violations.append(
                BrokenRule(rule.rule, rule.entity, rule.id, None if number is None else str(number), *_sides(rule))
            )
            if len(violations) == limit:
                return violations
    return violations


def _joined_record(state: AggregateState) -> str | None:
    """The id of the flow's joined record; None for a flow that is another's by now, or gone."""
    return next(
        (
            member.id
            for member in state.members.values()
            if member.entity == "order_flow" and not member.deleted and member.merged_into is None
        ),
        None,
    )


def _sides(rule: Broken) -> tuple[int | str | None, int | str | None]:
    """(the value that a record has, the value that it should have)."""
    if rule.rule in (ORDERED, LOST):
        return rule.values["orders"], 1 if rule.rule == ORDERED else 0
    if rule.rule in (PAID, RETURN):
        return None, None
    actual, expected, *_ = *rule.values.values(), None
    return actual, expected


def _conflict(aggregate: str, rule: Broken) -> Conflict:
    values: dict[str, object] = {**rule.values}
    return Conflict(aggregate, rule.entity, rule.id, rule.field, "invariant", values, None, rule.rule, "open")
