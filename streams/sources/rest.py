"""Reads one table of an interface: what changed since the watermark, all of it, or one row.

In: pages of rows. Out: rows for `save`, page by page, and where the next read begins. A list that changes while it is
read can move a row from a page that is still to come to one that was read. So counted pages are read again until a
pass brings nothing that the passes before did not have; only then the watermark moves, and only then is anything
deleted.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.provision.source_file import Rest
from streams.sources.pages import Interface, ReadFailed, require_json
from streams.sources.rows import Feed, FeedRow, feed_row, reach, row_of
from streams.sources.watermarks import Mark, is_later, kept_mark, mark_of, mark_text, micros, not_ahead, query_text

PASSES = 5
GONE = (404, 410)

Save = Callable[[Sequence[FeedRow]], Awaitable[None]]
"""Takes the rows of a page; they are safe when it returns."""


class _Pass(msgspec.Struct):
    """What one way through the pages brought: key → watermark."""

    seen: dict[str, Mark | None]
    pages: int


class RestTable:
    """One table of an interface."""

    def __init__(self, interface: Interface, feed: Feed, rest: Rest) -> None:
        self._interface = interface
        self._feed = feed
        self._rest = rest

    async def read_changes(self, watermark: str | None, save: Save) -> str | None:
        """Read what changed since the watermark; the next one, or None where it stays. Raises ReadFailed."""
        form = self._rest.watermark
        assert form is not None
        began = datetime.now(UTC)
        since = None if watermark is None else kept_mark(form, watermark)
        query = self._query(self._rest.query, since)
        first = await self._pass(query, save)
        times = [mark for mark in first.seen.values() if mark is not None]
        if first.seen and not times:
            raise ReadFailed(f"{self._rest.path}: no row has a {form.column} that is {form.form}")
        if not times:
            return None
        top = max(times)
        seen = set(first.seen)
        for _ in range(PASSES):
            if not self._can_shift(first):
                break
            later = await self._pass(query, save)
            # What changed since the first pass has a later mark, and the next read finds it.
            missed = {key for key, mark in later.seen.items() if key not in seen and not (mark and is_later(mark, top))}
            if not missed:
                break
            seen |= later.seen.keys()
        else:
            raise ReadFailed(f"{self._rest.path}: its pages change faster than they can be read; the watermark stays")
        top = not_ahead(top, began)
        return mark_text(top) if is_later(top, since) else None

    async def read_whole(self, save: Save) -> set[str]:
        """Read all rows; their keys. Raises ReadFailed."""
        query = self._rest.query if self._rest.whole_query is None else self._rest.whole_query
        without = {name: value for name, value in query.items() if "$watermark" not in str(value)}
        taken = await self._pass(without, save)
        keys = set(taken.seen)
        for _ in range(PASSES):
            if not self._can_shift(taken):
                return keys
            later = await self._pass(without, save)
            if not later.seen.keys() - keys:
                return keys
            keys |= later.seen.keys()
        raise ReadFailed(f"{self._rest.path}: its pages change faster than they can be read; nothing is deleted")

    async def read_single(self, key: str) -> FeedRow | None:
        """The row with this key as it is now; None where there is none. Raises ReadFailed."""
        assert self._rest.single is not None
        address = self._rest.single.replace("$key", urllib.parse.quote(key, safe=""))
        answer = await self._interface.ask(address, {})
        if answer.status in GONE:
            return None
        require_json(answer)
        content = reach(answer.json, self._rest.row)
        if not isinstance(content, dict):
            raise ReadFailed(f"{answer.name}: there is no row at `row: {self._rest.row}`: {answer.excerpt}")
        return self._row(content)[0]

    @property
    def reads_single(self) -> bool:
        return self._rest.single is not None

    async def _pass(self, query: dict[str, Any], save: Save) -> _Pass:
        times: dict[str, Mark | None] = {}
        count = 0
        async for page in self._interface.pages(self._rest, query):
            rows = [self._row(content) for content in page]
            times |= {row.key: mark for row, mark in rows}
            count += bool(rows)
            if rows:
                await save([row for row, _ in rows])
        return _Pass(times, count)

    def _can_shift(self, taken: _Pass) -> bool:
        """Whether a row can have moved between pages: a cursor, a link or an address says where the next one begins."""
        return self._rest.pages is not None and self._rest.pages.by in ("page", "offset") and taken.pages > 1

    def _row(self, content: dict[str, Any]) -> tuple[FeedRow, Mark | None]:
        form = self._rest.watermark
        mark = None if form is None else mark_of(form, reach(content, form.column))
        return feed_row(self._feed, row_of(self._feed, content), source_us=micros(mark)), mark

    def _query(self, query: dict[str, Any], since: Mark | None) -> dict[str, Any]:
        """The query with the watermark; without one yet, `initial`, or without what names it."""
        form, initial = self._rest.watermark, self._rest.initial
        assert form is not None
        text = query_text(form, since) if since is not None else None if initial is None else str(initial)
        return {
            name: value.replace("$watermark", text) if isinstance(value, str) and text is not None else value
            for name, value in query.items()
            if text is not None or "$watermark" not in str(value)
        }
