"""Sum what stands over many records: what a customer owes, what there is of a product.

In: the customers and products that assemble marked in the hub's `due`, in the transaction that wrote an invoice, a service request or a
stock level. Out: changes of the system `hub` to the aggregate of the customer or product, whose one writer stores, emits and tells them on
as any other. So a sum is true some seconds after the first of its records changed, and is made anew at most so often, however many of them
change. What was sent and not taken off the list when a worker died is summed again, which changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import KafkaError, Producer
from mode.utils.logging import get_logger

from streams.errors import RetryLater
from streams.hub.store import HubStore
from streams.model.change import Change
from streams.model.ids import source_id
from streams.model.names import HUB, changes_topic

logger = get_logger(__name__)

EVERY_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""A customer or product is summed so often at most; one that takes long, with a hundred thousand invoices, more seldom."""
SHARE = 20
"""One that takes a second is left alone for so many."""
LEASE_SECONDS = 60.0
MOST = 200
DAY_EVERY_SECONDS = 300.0
"""How often is looked for invoices that have become overdue since."""

SUMS = {"customer": "receivables", "product": "stock"}
"""Kind of the aggregate → the entity of its sum."""


class Summing:
    """Runs in every worker that assembles. The producer must choose partitions as the lanes do."""

    def __init__(self, store: HubStore, producer: Producer, encode: Callable[[Change], bytes]) -> None:
        self._store = store
        self._producer = producer
        self._encode = encode

    async def run(self) -> None:
        """Sum until cancelled; a hub that is away is waited for."""
        day = 0.0
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                try:
                    if time.monotonic() > day:
                        await self.mark_overdue()
                        day = time.monotonic() + DAY_EVERY_SECONDS
                    for kind in SUMS:
                        while await self.sum_some(kind) == MOST:
                            await asyncio.sleep(0)
                except RetryLater as later:
                    logger.info("%s", later)
        finally:
            await self._store.close()

    async def mark_overdue(self) -> int:
        """Mark the customers of which an invoice has become overdue by itself; how many."""
        ids = [row[0] for row in await self._store.rows("overdue_since")]
        if ids:
            await self._store.mark_due([("customer", one, 0.0) for one in ids])
        return len(ids)

    async def sum_some(self, kind: str) -> int:
        """Sum what is due of one kind, and tell what is another than was told; how many were summed."""
        taken = await self._store.rows("take_sums", {"kind": kind, "lease": LEASE_SECONDS, "most": MOST})
        if not taken:
            return 0
        ids = [row[0] for row in taken]
        begun = time.monotonic()
        sums = await self._store.rows(f"sum_{kind}", ids)
        told: dict[str, dict[str, dict[str, Any]]] = {}
        looked: dict[str, int] = {}
        for aggregate, key, record, at_us in await self._store.rows("sums_told", ids, SUMS[kind]):
            told.setdefault(aggregate, {})[key] = json.loads(record)
            looked[aggregate] = max(at_us, looked.get(aggregate, 0))
        took = time.monotonic() - begun
        news: list[Change] = []
        for key, at_us, found in sums:
            # The hub's clock may have been put back since the last look.
            news += changes(kind, key, max(at_us, looked.get(key, 0) + 1), found, told.get(key, {}))
        await self._send(kind, news)
        again = max(AGAIN_SECONDS, took * SHARE)
        marks, leases = [row[1] for row in taken], [row[2] for row in taken]
        await self._store.rows("sums_done", ids, marks, leases, kind, again, kind)
        return len(ids)

    async def _send(self, kind: str, found: list[Change]) -> None:
        failed: list[str] = []

        def sent(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        for change in found:
            assert change.parent is not None
            self._producer.produce(
                changes_topic(kind), key=change.parent.encode(), value=self._encode(change), on_delivery=sent
            )
        left = await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, 10) if found else 0
        if left or failed:
            raise RetryLater(f"Kafka does not take sums: {failed[0] if failed else 'no answer in 10 s'}")


def changes(kind: str, key: str, at_us: int, found: str | None, told: dict[str, dict[str, Any]]) -> Iterator[Change]:
    """What is to be told of one customer or product. `found`: the sums as JSON; `told`: key → the sum as it was told, of all that
    this one is.

    The time of the look is the position: of two workers that sum the same, the later one counts.
    """
    for other in [*told] if found is None else [one for one in told if one != key]:
        yield _change(kind, other, key, at_us, deleted=True)  # of a record that was merged into this one
    if found is None:
        return
    fields = json.loads(found) | {f"{kind}_id": key}
    before = told.get(key)
    if before is None:
        news = any(fields[name] for name in fields if name not in ("currency", f"{kind}_id"))
    else:
        news = any(before.get(name) != value for name, value in fields.items())
    if news:
        yield _change(kind, key, key, at_us, fields=fields)


def _change(
    kind: str, key: str, parent: str, at_us: int, *, deleted: bool = False, fields: dict[str, Any] | None = None
) -> Change:
    entity = SUMS[kind]
    return Change(
        "change", entity, source_id(HUB, entity, key), HUB, key, "d" if deleted else "u", 0, at_us, 0, at_us,
        parent=parent, deleted=deleted, fields=fields or {},
    )  # fmt: skip
