"""Reads lists of an interface, page by page, within its limits.

In: an address and its query. Out: pages of rows. A server that is busy is asked again, after the pause that it wishes
(`Retry-After`); one that fails in the middle of the pages is asked for that page again. Raises ReadFailed where it
stays so, and for an answer that is no list of rows.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from streams.errors import RetryLater
from streams.provision.source_file import Pages, Rest, Server
from streams.sources.rows import reach
from streams.writeback.failures import TargetDown
from streams.writeback.http_answers import ASK_AGAIN_LATER, MISSING, HttpAnswer
from streams.writeback.http_client import HttpClient
from streams.writeback.http_requests import HttpRequest

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
MOST_PAGES = 100_000
"""A cursor that leads in a circle ends here."""


class ReadFailed(RetryLater):
    """The table could not be read to its end. `pause_s`: the pause that the server asks for."""

    def __init__(self, message: str, *, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Interface:
    """The interface of one system. Its requests keep their distance: `per_second`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = HttpClient(server)
        self._next = 0.0

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, path: str, query: Mapping[str, Any], page: str | None = None) -> HttpAnswer:
        """The answer to a GET that is no fault of the server; also a 404. Raises ReadFailed."""
        request: HttpRequest = {"method": "GET", "path": path, "query": dict(query), "headers": {}, "json": None}
        backoff = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            await self._keep_distance()
            try:
                answer = await self._client.send(request, has_body=False, page=page)
            except TargetDown as down:
                problem, pause = str(down), down.retry_after_s
            else:
                if answer.status < 500 and answer.status != 429 and answer.status not in ASK_AGAIN_LATER:
                    return answer
                problem, pause = f"{answer.name}: {answer.status}: {answer.excerpt}", answer.retry_after_s
            if attempt == ATTEMPTS or pause > self._server.patience.total_seconds():
                raise ReadFailed(problem, pause_s=pause)
            await asyncio.sleep(pause or backoff)
            backoff *= 2
        raise AssertionError("unreachable")

    async def _keep_distance(self) -> None:
        now = time.monotonic()
        wait, self._next = self._next - now, max(now, self._next) + 1 / self._server.per_second
        if wait > 0:
            await asyncio.sleep(wait)

    async def pages(self, rest: Rest, query: Mapping[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
        """The pages of a list, the last one included. An empty page ends pages that are counted."""
        pages = rest.pages
        if pages is None:
            yield rows_of(rest, await self.ask(rest.path, query))
            return
        parameters = dict(query) | ({pages.size_parameter: pages.size} if pages.size_parameter and pages.size else {})
        count = pages.first if pages.first is not None else (1 if pages.by == "page" else 0)
        address: str | None = None
        last: list[dict[str, Any]] | None = None
        for number in range(1, MOST_PAGES):
            if pages.by in ("page", "offset"):
                assert pages.parameter is not None
                parameters[pages.parameter] = count
            answer = await self.ask(rest.path, parameters, address)
            rows = rows_of(rest, answer)
            if rows and rows == last:
                raise ReadFailed(f"{answer.name}: page {number} is the same as the page before: its `pages` do not fit")
            yield rows
            following = _following(pages, answer, rows, count)
            if following is None:
                return
            last = rows
            if pages.by == "cursor":
                assert pages.parameter is not None
                parameters[pages.parameter] = following
            elif isinstance(following, int):
                count = following
            else:
                address = str(following)
        raise ReadFailed(f"{rest.path}: it has no end after {MOST_PAGES:,} pages")


def _following(pages: Pages, answer: HttpAnswer, rows: list[dict[str, Any]], count: int) -> Any:
    """What leads to the next page: a count, a cursor or an address; None after the last one."""
    if pages.more is not None and not reach(answer.json, pages.more):
        return None
    if pages.by == "link":
        return next_link(answer.link)
    if pages.by in ("cursor", "next"):
        return reach(answer.json, pages.next) or None
    if not rows:
        return None
    return count + (1 if pages.by == "page" else len(rows))


def next_link(header: str) -> str | None:
    """The address with rel="next" in a header Link (RFC 8288)."""
    for address, parameters in re.findall(r"<([^>]*)>([^<]*)", header):
        if re.search(r';\s*rel\s*=\s*"?(?:[^";,]*\s)?next(?=[\s",;]|$)', parameters, re.IGNORECASE):
            return str(address)
    return None


def rows_of(rest: Rest, answer: HttpAnswer) -> list[dict[str, Any]]:
    """The rows of an answer. Raises ReadFailed where it is no list of rows."""
    require_json(answer)
    rows = reach(answer.json, rest.rows)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        where = f"at `rows: {rest.rows}`" if rest.rows else "(name the path to it: `rows`)"
        raise ReadFailed(f"{answer.name}: there is no list of rows {where}: {answer.excerpt}")
    return rows


def require_json(answer: HttpAnswer) -> None:
    """Raises ReadFailed for an answer that is no JSON with a status of 200."""
    if answer.status != 200:
        raise ReadFailed(f"{answer.name}: {answer.status}: {answer.excerpt}")
    if answer.json is MISSING:
        raise ReadFailed(f"{answer.name}: the answer is no JSON: {answer.excerpt}")
