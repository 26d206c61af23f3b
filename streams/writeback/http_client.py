"""One request to an HTTP target and its answer, within bounds of time and size.

In: a request that templates were filled into. Out: an `HttpAnswer`, whatever its status. Raises TargetDown where no
answer came. A GET follows redirects within the target's own origin; nothing else follows any.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from streams.writeback.failures import TargetDown
from streams.writeback.http_answers import MISSING, HttpAnswer
from streams.writeback.http_body import TooLarge, excerpt, parse_body, read_bounded, without_secrets
from streams.writeback.http_login import Session, is_same_origin, redirect_target
from streams.writeback.http_requests import HttpRequest, body_of
from streams.writeback.http_rules import HttpTarget

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Errors after which the target certainly has not seen the request."""
MOST_REDIRECTS = 5


class HttpClient:
    """The connection to one target. It logs in where the target wants that."""

    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._timeout_s = target.timeout.total_seconds()
        self._client = httpx.AsyncClient(
            base_url=target.base_url,
            headers={"Accept-Encoding": "gzip, deflate", **target.headers},
            auth=target.basic,
            timeout=self._timeout_s,
            verify=_tls(),
        )
        self._token_client: httpx.AsyncClient | None = None
        self._session = Session(target, self._log_in, self._cookie)

    async def close(self) -> None:
        await self._client.aclose()
        if self._token_client is not None:
            await self._token_client.aclose()

    async def prepare(self) -> None:
        """Log in, if that is needed: not between the last look at a lease and the request. Raises TargetDown."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._session.headers()
        except TimeoutError as error:
            raise TargetDown(f"log in: no answer within {self._timeout_s:g} s") from error

    async def send(self, request: HttpRequest, *, has_body: bool, page: str | None = None) -> HttpAnswer:
        """The answer. `page`: the address of a further page, with its query in it. Raises TargetDown."""
        name = f"{request['method']} {request['path']}"
        try:
            # httpx limits each read; this limits the whole answer, for which the lease must last.
            async with asyncio.timeout(self._timeout_s):
                answer = await self._send(name, request, has_body, page)
                if answer.status == 401 and self._session.can_renew:
                    # The token has run out. 401 means that nothing was done, so the request may go once more.
                    self._session.forget()
                    answer = await self._send(name, request, has_body, page)
        except TimeoutError as error:
            raise TargetDown(f"{name}: no answer within {self._timeout_s:g} s", blame="unclear") from error
        if answer.status in (401, 403) or 300 <= answer.status < 400:
            self._session.forget()
        return answer

    async def _send(self, name: str, request: HttpRequest, has_body: bool, page: str | None) -> HttpAnswer:
        address = self._address(name, page or request["path"])
        query = request["query"] if page is None and request["query"] else None
        # Bodies and queries are built here, so that a value that httpx cannot send is the rule's fault, not ours.
        headers = request["headers"] | await self._session.headers()
        body = body_of(request, has_json=has_body)
        if "xml" in request:
            headers = {"Content-Type": "application/xml; charset=utf-8"} | headers
        for _ in range(MOST_REDIRECTS):
            answer = await self._exchange(name, request["method"], address, params=query, headers=headers, **body)
            if request["method"] != "GET" or not 300 <= answer.status < 400 or not answer.location:
                return answer
            followed = redirect_target(self._client.base_url, address, answer.location)
            if followed is None:
                return answer
            address, query = followed, None
        return answer

    def _address(self, name: str, path: str) -> httpx.URL:
        """The whole address. Raises TargetDown for one of another host: it would be shown our credentials."""
        base = self._client.base_url
        try:
            address = httpx.URL(path)
            if address.is_relative_url:
                address = base.copy_with(raw_path=base.raw_path.rstrip(b"/") + b"/" + address.raw_path.lstrip(b"/"))
        except httpx.InvalidURL as error:
            raise TargetDown(f"{name}: {path!r} is no address: {error}", blame="intent", in_doubt=False) from error
        if not is_same_origin(base, address):
            raise TargetDown(
                f"{name}: the next page is at {address.host}, and nothing is asked there",
                blame="intent",
                in_doubt=False,
            )
        return address

    def _cookie(self, name: str) -> str:
        """The newest value of a cookie: a login sets it again, perhaps for another path."""
        values = [cookie.value for cookie in self._client.cookies.jar if cookie.name == name]
        return values[-1] or "" if values else ""

    async def _log_in(self, method: str, path: str, **body: Any) -> HttpAnswer:
        """One request of the login; `path` may be the address of another server, which has the tokens."""
        address = httpx.URL(path)
        if address.is_relative_url:
            return await self._exchange(f"{method} {path}", method, self._address(path, path), **body)
        if self._token_client is None:
            # Another server may have the tokens: it is not shown the headers that are meant for the target.
            headers = {"Accept": "application/json"}
            self._token_client = httpx.AsyncClient(headers=headers, timeout=self._timeout_s, verify=_tls())
        return await self._exchange(f"{method} {path}", method, address, self._token_client, **body)

    async def _exchange(
        self, name: str, method: str, address: httpx.URL, client: httpx.AsyncClient | None = None, **more: Any
    ) -> HttpAnswer:
        secrets = self._session.secrets
        try:
            async with (client or self._client).stream(method, address, **more) as response:
                try:
                    body = await read_bounded(
                        response.aiter_raw(), response.headers.get("Content-Encoding", ""), self._target.most_bytes
                    )
                except TooLarge:
                    raise TargetDown(
                        f"{name}: {response.status_code}: more than {self._target.most_bytes:,} bytes", blame="unclear"
                    ) from None
                except ValueError as error:
                    raise TargetDown(f"{name}: {response.status_code}: {error}", blame="unclear") from None
        except NEVER_SENT as error:
            raise TargetDown(f"{self._target.base_url} does not answer: {error or type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise TargetDown(f"{name}: no answer: {error or type(error).__name__}", blame="unclear") from error
        content_type = response.headers.get("Content-Type", "").lower()
        json = parse_body(body, content_type) if body else MISSING
        return HttpAnswer(
            name=name,
            status=response.status_code,
            content_type=content_type,
            location=without_secrets(response.headers.get("Location", ""), secrets)[:400],
            link=response.headers.get("Link", ""),
            retry_after_s=retry_after(response.headers.get("Retry-After")),
            json=json,
            is_empty=not body,
            excerpt=excerpt(body, secrets),
        )


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients: to read the certificates takes longer than a request."""
    return httpx.create_ssl_context()


def retry_after(text: str | None) -> float:
    """Seconds of a `Retry-After`, from a number or a date; 0 for anything else."""
    if text is None:
        return 0.0
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
