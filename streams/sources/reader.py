"""Reads the systems without a database: one loop for each system, in whichever process has its lease.

In: source.yaml, and what the hub knows of each table. Out: raw records in Kafka. A table that cannot be read holds up
no other one; its problem stands in the hub until a read succeeds. Two readers may run at once: the lease in the hub
lets one of them read, and each transaction checks it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import psycopg

from streams.errors import RetryLater
from streams.hub.session import KEEPALIVE
from streams.hub.sources import (
    Hub,
    SourceRead,
    add_table,
    delete_hint,
    end_read,
    fail_read,
    forget_events,
    give_lease,
    hints,
    lock_table,
    source_reads,
    take_lease,
    want_read,
)
from streams.hub.systems import capture_pauses
from streams.provision.source_file import FeedTable
from streams.runtime.fault_points import fault_point
from streams.sources.feeds import FeedSystem
from streams.sources.files import take_files
from streams.sources.pages import Interface, ReadFailed
from streams.sources.rest import RestTable
from streams.sources.rows import Feed, FeedRow
from streams.sources.sender import Sender
from streams.sources.table_store import RowTooLarge, TableWriter, deletes, too_many

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

LEASE_S = 30.0
TICK_S = 1.0
SHORTEST_RETRY_S = 5.0
"""A table whose read failed is due again after this time, doubled with each failure, or when its schedule says so."""
LONGEST_RETRY_S = 300.0
MOST_CONFIRMED = 1_000
"""So many rows that look deleted are asked for one by one, where the interface can do that."""
FORGET_S = 3600.0


def hub_connection(dsn: str) -> Hub:
    """A session of a reader. Raises psycopg.OperationalError."""
    return psycopg.connect(dsn, autocommit=True, application_name="opshub-sources", **KEEPALIVE)


class SystemReader:
    """The reader of one system in one process."""

    def __init__(self, system: FeedSystem, hub_dsn: str, holder: str, sender: Sender, counts: Counter[str]) -> None:
        self._system = system
        self._dsn = hub_dsn
        self._holder = holder
        self._sender = sender
        self._counts = counts
        self._interface = None if system.source.server is None else Interface(system.source.server)
        self._retry: dict[str, tuple[float, float]] = {}
        """Table → (not before this time of the monotonic clock, the pause after the next failure)."""
        self._forgot = 0.0
        self.wake = asyncio.Event()
        self.waiting: str | None = None
        """Why it waits for a server, while it does."""

    async def run(self) -> None:
        """Read until cancelled."""
        name = self._system.name
        try:
            while True:
                self.wake.clear()
                try:
                    await self.pass_once()
                    self.waiting = None
                except (RetryLater, psycopg.Error) as error:
                    self.waiting = f"{name} waits: {str(error).strip()}"
                    logger.warning("%s", self.waiting)
                # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as the event is set.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await self.wake.wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let another reader have the lease at once."""
        with suppress(psycopg.Error), hub_connection(self._dsn) as hub:
            give_lease(hub, self._system.name, self._holder)
        if self._interface is not None:
            await self._interface.close()

    async def pass_once(self) -> bool:
        """Read what is due, if this reader has the lease; whether it has it."""
        if not await asyncio.to_thread(self._take_lease):
            return False
        keeping = asyncio.create_task(self._keep_lease())
        try:
            reads, paused = await asyncio.to_thread(self._state)
            # What an earlier reader saved and Kafka did not get.
            await asyncio.to_thread(self._sender.send, self._system.name)
            if paused:
                return True
            await self._read_hints()
            for name, table in self._system.source.tables.items():
                read = reads[self._system.name, name]
                if table.rest is None and table.file is None:
                    continue
                if self._is_due(name, table, read, datetime.now(UTC)):
                    await self._read_table(name, table, read)
        finally:
            keeping.cancel()
        return True

    def _take_lease(self) -> bool:
        with hub_connection(self._dsn) as hub:
            return take_lease(hub, self._system.name, self._holder, LEASE_S)

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            # A lease that is lost shows when something is to be written: the hub refuses it.
            with suppress(psycopg.Error):
                await asyncio.to_thread(self._take_lease)

    def _state(self) -> tuple[dict[tuple[str, str], SourceRead], bool]:
        with hub_connection(self._dsn) as hub:
            for table in self._system.source.tables:
                add_table(hub, self._system.name, table)
            if time.monotonic() - self._forgot > FORGET_S:
                self._forgot = time.monotonic()
                forget_events(hub)
            paused = self._system.name in {pause.scope for pause in capture_pauses(hub)}
            return source_reads(hub, [self._system.name]), paused

    def _is_due(self, name: str, table: FeedTable, read: SourceRead, now: datetime) -> bool:
        if not table.sync.may_run(now) or self._retry.get(name, (0.0, 0.0))[0] > time.monotonic():
            return False
        if read.wanted_at is not None or read.read_at is None or name in self._retry:
            return True
        due = table.sync.due_at(read.read_at)
        return (due is not None and now >= due) or _sweep_due(table, read, now)

    async def _read_table(self, name: str, table: FeedTable, read: SourceRead) -> None:
        began = datetime.now(UTC)
        try:
            if table.file is not None:
                await self._read_files(name, table, began)
            else:
                await self._read_rest(name, table, read, began)
        except ReadFailed as failed:
            await self._failed(name, str(failed), failed.pause_s)
        except (RowTooLarge, OSError) as error:
            await self._failed(name, str(error))
        except (RetryLater, psycopg.Error):
            raise
        except Exception as error:
            # What nobody foresaw in an answer or a file must hold up no other table.
            logger.exception("%s/%s cannot be read", self._system.name, name)
            await self._failed(name, f"{type(error).__name__}: {error}")
        else:
            self._retry.pop(name, None)
            self._counts["reads"] += 1

    async def _failed(self, name: str, problem: str, pause_s: float = 0.0) -> None:
        _, pause = self._retry.get(name, (0.0, SHORTEST_RETRY_S))
        self._retry[name] = (time.monotonic() + max(pause, pause_s), min(LONGEST_RETRY_S, pause * 2))
        self._counts["failed"] += 1
        logger.warning("%s/%s: %s; next try in %.0f s", self._system.name, name, problem, max(pause, pause_s))
        await asyncio.to_thread(self._in_hub, lambda hub: fail_read(hub, self._system.name, name, problem))

    async def _read_files(self, name: str, table: FeedTable, began: datetime) -> None:
        assert table.file is not None
        feed, files = self._system.feeds[name], table.file
        outcomes = await asyncio.to_thread(
            take_files, files, feed, lambda: hub_connection(self._dsn), self._holder
        )  # fmt: skip
        for outcome in outcomes:
            self._counts["files_refused" if outcome.problem else "files"] += 1
        if changes := sum(outcome.changes for outcome in outcomes):
            await asyncio.to_thread(self._changed, name, changes)
        refused = [outcome.problem for outcome in outcomes if outcome.problem is not None]
        if refused:
            raise ReadFailed(refused[0])
        await self._end(name, watermark=None, swept=False, began=began)

    async def _read_rest(self, name: str, table: FeedTable, read: SourceRead, began: datetime) -> None:
        assert table.rest is not None and self._interface is not None
        feed, rest = self._system.feeds[name], table.rest
        source = RestTable(self._interface, feed, rest)

        async def save(rows: Sequence[FeedRow]) -> None:
            await asyncio.to_thread(self._write, feed, rows)

        watermark = None
        swept = rest.reads_whole or read.whole_wanted or _sweep_due(table, read, began)
        if swept:
            start = await asyncio.to_thread(self._position, feed)
            keys = await source.read_whole(save)
            await self._delete_absent(source, feed, keys, start, rest.most_deletes)
        if not rest.reads_whole:
            watermark = await source.read_changes(read.watermark, save)
        await self._end(name, watermark=watermark, swept=swept, began=began)

    async def _delete_absent(self, source: RestTable, feed: Feed, keys: set[str], start: int, most: float) -> None:
        """Delete what a whole read did not bring. Where a single row can be read, it is asked for first."""

        def find(hub: Hub) -> dict[str, bytes]:
            with hub.transaction():
                return TableWriter(hub, feed, self._holder).absent(keys, start)

        absent = await asyncio.to_thread(self._in_hub, find)
        if too_many(len(absent), len(keys), most):
            raise ReadFailed(
                f"{len(absent):,} rows are gone from it, and {len(keys):,} are there: it looks incomplete, and nothing "
                "is deleted; raise `most_deletes` where it is right"
            )
        gone: list[FeedRow] = []
        for key in absent:
            if source.reads_single and len(absent) <= MOST_CONFIRMED:
                row = await source.read_single(key)
                gone.append(FeedRow(key, None) if row is None else row)
            else:
                gone += deletes([key])
        if gone:
            await asyncio.to_thread(self._write, feed, gone)

    async def _read_hints(self) -> None:
        """Read the rows that webhooks named."""
        for hint in await asyncio.to_thread(self._in_hub, lambda hub: hints(hub, self._system.name)):
            table = self._system.source.tables.get(hint.table)
            if table is not None and table.rest is not None and self._interface is not None:
                if self._retry.get(f"{hint.table} one", (0.0, 0.0))[0] > time.monotonic():
                    continue
                feed = self._system.feeds[hint.table]
                try:
                    row = await RestTable(self._interface, feed, table.rest).read_single(hint.key)
                except ReadFailed as failed:
                    # The other rows that are named wait with it: the interface is away, most likely.
                    self._retry[f"{hint.table} one"] = (
                        time.monotonic() + max(SHORTEST_RETRY_S, failed.pause_s),
                        SHORTEST_RETRY_S,
                    )
                    logger.warning("%s/%s, row %s: %s", self._system.name, hint.table, hint.key, failed)
                    continue
                await asyncio.to_thread(self._write, feed, [FeedRow(hint.key, None) if row is None else row])
                self._counts["read_back"] += 1
            await asyncio.to_thread(self._in_hub, lambda hub, hint=hint: delete_hint(hub, self._system.name, hint))

    def _write(self, feed: Feed, rows: Sequence[FeedRow]) -> None:
        """Keep rows, and send what of them differs."""
        with hub_connection(self._dsn) as hub, hub.transaction():
            writer = TableWriter(hub, feed, self._holder)
            writer.write(rows)
            fault_point("sources.saved")
        if writer.changes:
            self._changed(feed.table, writer.changes)

    def _changed(self, changed: str, changes: int) -> None:
        """Send what was kept, and let the tables be read that wait for a change of this one."""
        self._counts["changes"] += changes
        self._sender.send(self._system.name)
        for name, table in self._system.source.tables.items():
            if table.sync.on == changed:
                self._in_hub(partial(want_read, system=self._system.name, table=name))

    def _position(self, feed: Feed) -> int:
        with hub_connection(self._dsn) as hub, hub.transaction():
            return lock_table(hub, feed.system, feed.table)

    async def _end(self, name: str, *, watermark: str | None, swept: bool, began: datetime) -> None:
        def end(hub: Hub) -> None:
            with hub.transaction():
                TableWriter(hub, self._system.feeds[name], self._holder)
                end_read(hub, self._system.name, name, watermark=watermark, swept=swept, began=began)

        await asyncio.to_thread(self._in_hub, end)

    def _in_hub(self, work: Callable[[Hub], Answer]) -> Answer:
        with hub_connection(self._dsn) as hub:
            return work(hub)


def _sweep_due(table: FeedTable, read: SourceRead, now: datetime) -> bool:
    rest = table.rest
    if rest is None or rest.sweep is None:
        return False
    due = table.sync.model_copy(update={"every": rest.sweep, "on": None}).due_at(read.swept_at)
    return due is not None and now >= due
