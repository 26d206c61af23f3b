"""The hub's memory of a table that has no database: what comes is compared with it, and what differs is to be sent.

In: rows, as they were read. Out: raw records in the hub, in the same transaction as what is known of the rows, so that
a crash, a restart or a second reader loses and doubles nothing: a raw record has its position before Kafka gets it, and
keeps it however often it is sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streams.errors import Fenced, RetryLater
from streams.hub.sources import (
    Hub,
    KnownRow,
    RawRecord,
    RowToSave,
    add_sends,
    has_lease,
    known_rows,
    live_rows,
    lock_table,
    save_position,
    save_rows,
)
from streams.model import limits
from streams.sources.rows import Feed, FeedRow, digest_of, encode_json, envelope, is_older, message_key

CHUNK = 2_000
"""Rows that are compared at a time."""


class RowTooLarge(RetryLater):
    """A row is larger than a record may be; nothing of its page or file is kept."""


class TableWriter:
    """Writes rows of one table within one transaction of the hub. `position` is that of the last change.

    Raises Fenced where `holder` no longer has the lease of the system: another reader has read since.
    """

    def __init__(self, hub: Hub, feed: Feed, holder: str | None = None) -> None:
        if holder is not None and not has_lease(hub, feed.system, holder):
            raise Fenced(f"another reader reads {feed.system}")
        self._hub = hub
        self._feed = feed
        self._now_us = lock_table(hub, feed.system, feed.table)
        self.position = self._now_us
        self.changes = 0

    def write(self, rows: Iterable[FeedRow]) -> None:
        """Queue what differs from what is known. Of a key that comes twice the later row counts."""
        iterator = iter(rows)
        while chunk := list(itertools.islice(iterator, CHUNK)):
            self._write(chunk)

    def _write(self, rows: list[FeedRow]) -> None:
        feed = self._feed
        known = known_rows(self._hub, feed.system, feed.table, list({row.key for row in rows}))
        to_save: dict[str, RowToSave] = {}
        to_send: list[RawRecord] = []
        for row in rows:
            before = known.get(row.key)
            digest = digest_of(row.row)
            if before is None and row.row is None:
                continue  # gone before anybody knew it
            if before is not None and (before.digest == digest or is_older(row.version, before.version)):
                continue
            self.position += 1
            value = None if row.row is None else encode_json(row.row)
            known[row.key] = KnownRow(row.key, digest, value, row.version, self.position)
            to_save[row.key] = RowToSave(row.key, digest, value, row.version, self.position)
            to_send.append(self._record(before, row))
        if to_send:
            save_rows(self._hub, feed.system, feed.table, list(to_save.values()))
            add_sends(self._hub, feed.system, feed.topic, to_send)
            save_position(self._hub, feed.system, feed.table, self.position)
            self.changes += len(to_send)

    def _record(self, known: KnownRow | None, row: FeedRow) -> RawRecord:
        before: dict[str, Any] | None = None
        if known is not None and known.row is not None:
            before = msgspec.json.decode(known.row)
        shown = row.row if row.row is not None else before
        assert shown is not None
        source_us = self._now_us if row.source_us is None else row.source_us
        value = envelope(self._feed, before, row.row, self.position, source_us)
        if len(value) > limits.RECORD:
            # Kafka would never take it, and everything of the system would wait behind it.
            raise RowTooLarge(f"{self._feed.table}: the row {row.key} makes a raw record of {len(value):,} bytes")
        return RawRecord(self._feed.topic, self.position, message_key(self._feed, shown), value)

    def absent(self, keys: set[str], before: int) -> dict[str, bytes]:
        """Rows that live, did not change after position `before`, and are not among `keys`."""
        live = live_rows(self._hub, self._feed.system, self._feed.table, before)
        return {key: row for key, row in live.items() if key not in keys and not key.startswith("?")}


def too_many(absent: int, present: int, most: float) -> bool:
    """Whether so many rows would be deleted that the answer is rather wrong: more than this share, and than 10."""
    return absent > 10 and absent > most * (absent + present)


def deletes(keys: Iterable[str]) -> Iterator[FeedRow]:
    """Rows that are gone."""
    return (FeedRow(key, None) for key in keys)
