"""Sums over many records: what a customer owes, what there is of a product.

In: the customers and products that assemble marked in the hub's `due`, in the transaction that wrote an invoice, a
service request or a stock level. Out: changes of the system `hub` to the aggregate of the customer or product; its one
writer stores and emits them like any other change. A sum is right some seconds after the first of its records changed.
It is made at most once in `SUM_EVERY_SECONDS`, however many of its records change. What was emitted and not finished
when a worker died is summed once more, which changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

from confluent_kafka import Producer

from streams.hub.save import DueTime
from streams.hub.store import HubStore
from streams.hub.sums import customers_overdue_since_yesterday, finish_sums, last_sums, make_sums, take_sums
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import HUB, changes_topic
from streams.pipeline.emitting import Encode, emit_changes
from streams.pipeline.service_cases import ServiceCases
from streams.runtime.background import repeat

EVERY_SECONDS = 1.0
SUM_EVERY_SECONDS = 30.0
"""Least seconds between two sums of a customer or product; one that takes long, with a hundred thousand invoices, is
made less often.
"""
REST_FACTOR = 20
"""A sum that takes a second is not made again for so many seconds: sums take at most a twentieth of the hub's time."""
LEASE_SECONDS = 60.0
"""Seconds that a worker has for the sums that it took, before others take them."""
MOST = 200
"""Sums in one round of one kind."""
OVERDUE_EVERY_SECONDS = 300.0
"""Seconds between two searches for invoices that became overdue by themselves."""

SUMS = {"customer": "receivables", "product": "stock"}
"""Kind of the aggregate → the entity of its sum."""

Fields = dict[str, object]
"""The fields of a sum, by name."""


class Sums:
    """Runs in every worker that assembles."""

    name = "sums"

    def __init__(self, store: HubStore, producer: Producer, encode: Encode) -> None:
        self._store = store
        self._producer = producer
        self._encode = encode
        self._next_overdue = 0.0
        self.cases = ServiceCases(store, producer, encode)

    async def run(self) -> None:
        """See BackgroundJob."""
        try:
            await repeat(EVERY_SECONDS, self._round)
        finally:
            await self._store.close()

    async def _round(self) -> None:
        if time.monotonic() > self._next_overdue:
            await self.mark_overdue()
            self._next_overdue = time.monotonic() + OVERDUE_EVERY_SECONDS
        for kind in SUMS:
            while await self.sum_due(kind) == MOST:
                await asyncio.sleep(0)  # lets the lanes work between two rounds
        await self.cases.round()

    async def mark_overdue(self) -> int:
        """Mark the customers with an invoice that became overdue by itself; how many."""
        ids = await customers_overdue_since_yesterday(self._store)
        if ids:
            # At once: no transaction is under way whose commit a mark would have to wait for.
            await self._store.mark_due([DueTime("customer", id, 0.0) for id in ids])
        return len(ids)

    async def sum_due(self, kind: str) -> int:
        """Make the sums of one kind that are due, and emit those that changed; how many were made."""
        taken = await take_sums(self._store, kind, lease_s=LEASE_SECONDS, most=MOST)
        if not taken:
            return 0
        ids = [due.id for due in taken]
        started = time.monotonic()
        made = await make_sums(self._store, kind, ids)
        last_by_id: dict[str, dict[str, Fields]] = {}
        last_us: dict[str, int] = {}
        for last in await last_sums(self._store, SUMS[kind], ids):
            last_by_id.setdefault(last.aggregate_id, {})[last.key] = json.loads(last.record)
            last_us[last.aggregate_id] = max(last.at_us, last_us.get(last.aggregate_id, 0))
        took = time.monotonic() - started
        messages = []
        for id, at_us, record in made:
            # The hub's clock may have been put back since the last sum, and a position must only grow.
            position_us = max(at_us, last_us.get(id, 0) + 1)
            for change in changes(kind, id, position_us, record, last_by_id.get(id, {})):
                messages.append((changes_topic(kind), id, change))
        await emit_changes(self._producer, self._encode, messages, "sums")
        if kind == "product":
            await self.cases.stock_changed(ids)
        await finish_sums(self._store, kind, taken, next_after_s=max(SUM_EVERY_SECONDS, took * REST_FACTOR))
        return len(ids)


def changes(kind: str, id: str, at_us: int, record: str | None, last: dict[str, Fields]) -> Iterator[Change]:
    """What changed in the sum of one customer or product. `record`: its fields as JSON, or None when it is gone;
    `last`: the sums that its aggregate emitted last, by key, its own and those of records that were merged into it.

    The time of the sum is its position: of two workers that make the same sum, the later one counts.
    """
    for key in [*last] if record is None else [key for key in last if key != id]:
        yield _change(kind, key, id, at_us, deleted=True)
    if record is None:
        return
    fields: Fields = json.loads(record) | {f"{kind}_id": id}
    before = last.get(id)
    if before is None:
        # Nothing to sum is no record: most customers owe nothing.
        changed = any(fields[name] for name in fields if name not in ("currency", f"{kind}_id"))
    else:
        changed = any(before.get(name) != value for name, value in fields.items())
    if changed:
        yield _change(kind, id, id, at_us, fields=fields)


def _change(
    kind: str, key: str, parent: str, at_us: int, *, deleted: bool = False, fields: Fields | None = None
) -> Change:
    entity = SUMS[kind]
    return Change(
        "change", entity, source_id(HUB, entity, key), HUB, key, "d" if deleted else "u", 0, at_us, 0, at_us,
        parent=parent, deleted=deleted, fields=fields or {},
    )  # fmt: skip
