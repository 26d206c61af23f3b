"""What every request passes: who is it, may it come from there, and the security headers of the answer."""

from __future__ import annotations

import hmac
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.cli.context import who
from streams.console.people import Grant, Person
from streams.console.place import Place
from streams.console.problems import NotAllowed

CSRF_COOKIE = "csrf"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Puts `person` and `csrf` into the request's state, and security headers on each answer."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self.app = app
        self.place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        token = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(24)
        scope.setdefault("state", {}).update(person=self._person(request), csrf=token)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
                if CSRF_COOKIE not in request.cookies:
                    headers.append("set-cookie", f"{CSRF_COOKIE}={token}; Path=/; SameSite=Strict; HttpOnly")
            await send(message)

        await self.app(scope, receive, with_headers)

    def _person(self, request: Request) -> Person | None:
        """Whoever sits at this machine: no sign-in is set up."""
        return Person(
            who(), (Grant("admin"),), is_local=True, plain_fields=frozenset(self.place.settings.console_plain_fields)
        )


def check_form(request: Request, token: str) -> None:
    """Raises NotAllowed for a form that our pages did not send."""
    expected = request.cookies.get(CSRF_COOKIE, "")
    from_here = Headers(scope=request.scope).get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not expected or not from_here or not hmac.compare_digest(expected, token):
        raise NotAllowed("this form is too old, or was not sent by a page of the console", remedy="load the page again")
