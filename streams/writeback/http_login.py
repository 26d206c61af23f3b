"""Tokens and sessions of an HTTP target: client credentials of OAuth 2, or a call that logs in.

A token is kept in memory only. It is fetched before it runs out, and again after the target said 401 to it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from streams.writeback.failures import TargetDown
from streams.writeback.http_answers import MISSING, HttpAnswer, check_status, has_form, reach_answer
from streams.writeback.http_rules import Csrf, HttpTarget

MARGIN_S = 30.0
"""A token is not used in its last seconds: it may run out on the way."""
SHORTEST_S = 5.0

Post = Callable[..., Awaitable[HttpAnswer]]
"""Sends one request of the login, without a token."""


class Session:
    """The headers that show who we are. `secrets`: what must not be printed, with the token."""

    def __init__(self, target: HttpTarget, post: Post, cookie: Callable[[str], str]) -> None:
        """`cookie`: name → its value, "" for none."""
        self._target = target
        self._post = post
        self._cookie = cookie
        self._headers: dict[str, str] = {}
        self._until = 0.0
        self.secrets = _secrets_of(target)

    @property
    def can_renew(self) -> bool:
        """Whether a 401 may mean that the token has run out."""
        return self._target.oauth2 is not None or self._target.login is not None

    def forget(self) -> None:
        """The target did not accept the token: the next request fetches another one."""
        self._headers, self._until = {}, 0.0

    async def headers(self) -> dict[str, str]:
        """The headers for the next request. Raises TargetDown where there is no token to be had."""
        if self.can_renew and time.monotonic() >= self._until:
            self._headers = {}
            await (self._fetch_token() if self._target.oauth2 is not None else self._log_in())
        return self._headers

    async def _fetch_token(self) -> None:
        oauth2 = self._target.oauth2
        assert oauth2 is not None
        form = {"grant_type": "client_credentials", **({"scope": oauth2.scope} if oauth2.scope else {}), **oauth2.more}
        more: dict[str, Any] = {"data": form}
        if oauth2.client_auth == "basic":
            more["auth"] = (oauth2.client_id, oauth2.client_secret)
        else:
            form |= {"client_id": oauth2.client_id, "client_secret": oauth2.client_secret}
        answer = await self._post("POST", oauth2.token_url, **more)
        token = self._token(answer, "access_token")
        self._use("Authorization", "Bearer ", token, _seconds(reach_answer(answer.json, "expires_in")))

    async def _log_in(self) -> None:
        login = self._target.login
        assert login is not None
        body: dict[str, Any] = {"data": login.form} if login.form else {"json": login.json_body}
        if login.csrf is not None:
            await self._post("GET", login.csrf.path)
            self._show_csrf(login.csrf)
            if login.csrf.field is not None and login.form:
                body = {"data": {**login.form, login.csrf.field: self._cookie(login.csrf.cookie)}}
            body["headers"] = self._headers
        answer = await self._post("POST", login.path, **body)
        lifetime_s = login.lifetime.total_seconds() if login.lifetime is not None else 0.0
        if login.token is None:
            opened = has_form(answer, login.done) if login.done else 200 <= answer.status < 300
            if not opened:
                raise _no_login(answer)
            if login.csrf is not None:
                self._show_csrf(login.csrf)  # a login changes the token
            self._until = time.monotonic() + (lifetime_s or 3600.0)
            return
        self._use(login.header, login.prefix, self._token(answer, login.token), lifetime_s)

    def _show_csrf(self, csrf: Csrf) -> None:
        """Send the token of the cookie with each request. Frameworks that check it over TLS check the referring page,
        too.
        """
        token = self._cookie(csrf.cookie)
        self.secrets.add(token)
        self._headers = {csrf.header: token, "Referer": self._target.base_url}

    def _token(self, answer: HttpAnswer, path: str) -> str:
        check_status(answer, self._target.closed, writes=False)
        token = reach_answer(answer.json, path)
        if answer.status >= 400 or token is MISSING or not isinstance(token, str) or not token:
            raise _no_login(answer)
        self.secrets.add(token)
        return token

    def _use(self, header: str, prefix: str, token: str, lifetime_s: float) -> None:
        self._headers = {header: prefix + token}
        # Without a lifetime it is used until the target says 401.
        lives_s = max(SHORTEST_S, lifetime_s - MARGIN_S) if lifetime_s else float("inf")
        self._until = time.monotonic() + lives_s


def _no_login(answer: HttpAnswer) -> TargetDown:
    return TargetDown(
        f"{answer.name}: {answer.status}: no token came; check the credentials of the target", refuses=True
    )


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _secrets_of(target: HttpTarget) -> set[str]:
    secrets = {*target.secrets.values()}
    for name, value in target.headers.items():
        if name.lower() not in ("accept", "content-type", "user-agent", "accept-language"):
            secrets |= {value, value.rpartition(" ")[2]}
    if target.basic is not None:
        secrets.add(target.basic[1])
    if target.oauth2 is not None:
        secrets.add(target.oauth2.client_secret)
    if target.login is not None:
        secrets |= {text for text in _texts(target.login.json_body)} | {*target.login.form.values()}
    return secrets


def _texts(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [text for value in content.values() for text in _texts(value)]
    if isinstance(content, list):
        return [text for value in content for text in _texts(value)]
    return [content] if isinstance(content, str) else []


def redirect_target(base: httpx.URL, sent_to: httpx.URL, location: str) -> httpx.URL | None:
    """Where a redirected GET may go on: the same scheme, host and port; None where it leads elsewhere."""
    try:
        address = sent_to.join(location)
    except (httpx.InvalidURL, ValueError):
        return None
    return address if is_same_origin(base, address) else None


def is_same_origin(base: httpx.URL, address: httpx.URL) -> bool:
    """Whether an address belongs to the target: a token is shown to no other."""

    def origin(url: httpx.URL) -> tuple[str, str, int]:
        return url.scheme, url.host, url.port or {"https": 443}.get(url.scheme, 80)

    return origin(base) == origin(address)
