"""Service cases: what a service request concerns lives in many aggregates, so the hub is asked for it.

In: ids that assemble marked in the hub's `due` as `service_case`, in the transaction that wrote a request, return,
repair, item or contract, or the flow of an order that has a case. Out: changes of the system `hub` to the aggregate of
the order that a case concerns, else of its request; the one writer stores and emits them like any other change.

A case is made of what the hub has committed some seconds after a mark, so it does not depend on the order in which
that came. Two things would else be missed, and are not:

    what was named before it came    a request may name the number of an order that nobody knows yet: those that name
                                     something like that are looked for every `LOOK_AGAIN_SECONDS`
    what changed on the way          a case that changed is marked by its writer, and so made once more when it is there
"""

from __future__ import annotations

import time

from confluent_kafka import Producer

from streams.flow.service import Case, case_of
from streams.flow.service_record import opened_at, service_record
from streams.hub.maintenance import hub_time
from streams.hub.service import (
    SERVICE_CASE,
    LastCase,
    case_id,
    case_roots,
    case_rows,
    last_cases,
    mark_cases_of_products,
    mark_cases_that_find_more,
    mark_weeks_of_cases,
)
from streams.hub.store import HubStore
from streams.hub.sums import finish_sums, take_sums
from streams.model.change import Change
from streams.model.names import HUB, changes_topic
from streams.model.state import AggregateState
from streams.pipeline.emitting import Encode, Message, emit_changes

LEASE_SECONDS = 60.0
"""Seconds that a worker has for the cases that it took, before others take them."""
MOST = 100
"""Marks in one round."""
MAKE_EVERY_SECONDS = 5.0
"""Least seconds between two times that a case is made for one mark."""
REST_FACTOR = 20
"""A round that takes a second is not made again for so many seconds."""
LOOK_AGAIN_SECONDS = 15.0
"""Seconds between two searches for what cases name and the hub did not know."""


class ServiceCases:
    """Makes service cases; `Sums` calls it."""

    def __init__(self, store: HubStore, producer: Producer, encode: Encode) -> None:
        self._store = store
        self._producer = producer
        self._encode = encode
        self._next_look = 0.0

    async def round(self) -> None:
        """Make what is due, and look for what came since."""
        if time.monotonic() > self._next_look:
            started = time.monotonic()
            await self.look_again()
            took = time.monotonic() - started
            self._next_look = time.monotonic() + max(LOOK_AGAIN_SECONDS, took * REST_FACTOR)
        while await self.make_due() == MOST:
            pass

    async def look_again(self) -> int:
        """Mark the cases that name what came since; how many."""
        return await mark_cases_that_find_more(self._store)

    async def stock_changed(self, products: list[str]) -> None:
        """The stock of these products changed."""
        await mark_cases_of_products(self._store, products)

    async def make_due(self) -> int:
        """Make the cases that are due, and emit those that changed; how many marks that were."""
        taken = await take_sums(self._store, SERVICE_CASE, lease_s=LEASE_SECONDS, most=MOST)
        if not taken:
            return 0
        started = time.monotonic()
        roots = await case_roots(self._store, [mark.id for mark in taken])
        for begin in range(0, len(roots), MOST):
            messages = await self._changes(roots[begin : begin + MOST])
            await emit_changes(self._producer, self._encode, messages, "service cases")
        rest = (time.monotonic() - started) * REST_FACTOR
        await finish_sums(self._store, SERVICE_CASE, taken, next_after_s=max(MAKE_EVERY_SECONDS, rest))
        return len(taken)

    async def _changes(self, roots: list[str]) -> list[Message]:
        at_us = int((await hub_time(self._store)).now_s * 1e6)
        rows = await case_rows(self._store, roots)
        cases = {root: case_of(root, of_root) for root, of_root in rows.items()}
        homes = {case.order.aggregate_id for case in cases.values() if case is not None and case.order is not None}
        states = await self._store.load(dict.fromkeys(homes, "order_flow")) if homes else {}
        last = await last_cases(self._store, [case_id(root) for root in roots])
        # Each time that a case is made, also when it is as it was: only then is what changed last time committed.
        await mark_weeks_of_cases(
            self._store, [at for case in cases.values() if case is not None and (at := opened_at(case))]
        )
        messages: list[Message] = []
        for root, case in cases.items():
            message = case_change(root, case, states, last.get(case_id(root)), at_us)
            if message is not None:
                messages.append(message)
        return messages


def case_change(
    root: str, case: Case | None, states: dict[str, AggregateState], last: LastCase | None, at_us: int
) -> Message | None:
    """The change that makes a case what it is now; None where it is so already. `states`: the aggregates of orders.

    The hub's clock may have been put back since the last change, and a position must only grow.
    """
    at_us = max(at_us, last.at_us + 1) if last is not None else at_us
    if case is None:
        if last is None or last.deleted:
            return None
        change = Change(
            "change", SERVICE_CASE, case_id(root), HUB, root, "d", 0, at_us, 0, at_us, deleted=True, fields={}
        )
        return changes_topic("order_flow"), last.aggregate_id, change
    home = case.order if case.order is not None else case.root
    state = states.get(home.aggregate_id) if case.order is not None else None
    record = service_record(case, state.members.values() if state is not None else ())
    if last is not None and not last.deleted and last.record == record:
        return None
    change = Change(
        "change", SERVICE_CASE, case_id(root), HUB, root, "u", 0, at_us, 0, at_us, parent=home.id, fields=record
    )
    return changes_topic("order_flow"), home.aggregate_id, change
