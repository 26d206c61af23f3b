"""What every request passes: may it come from there, whose is it, and the security headers of the answer.

In this order: the Host header must be ours (against DNS rebinding), HTTPS must be used where it is promised, what
changes something must come from our own pages or a program, the body must not be huge, and whoever is nobody is sent to
sign in. After it, `request.state` has `person`, `csrf` and `away` (why nobody could be recognised).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.console import event_streams
from streams.console.access import Access, host_of
from streams.console.limits import Bucket
from streams.console.people import Person
from streams.console.problems import NotAllowed, SignInNeeded, TooMany, problem_answer
from streams.console.sign_in import SignIn
from streams.errors import EnvironmentFault, OpshubError

CSRF_COOKIE = "csrf"
SESSION_COOKIE = "session"

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
ONLY_TLS = "max-age=31536000"

LARGEST_BODY = 2 << 20
"""Bytes of a request."""

FOR_ALL = ("/sign-in", "/choose", "/api/v1/openapi.json")
"""What whoever is not signed in may ask for, beside `/static/` and `/sign-in/…`."""

API = "/api/"
FOR_PROGRAMS = ("/metrics",)
"""Paths beside the API that take a token: Prometheus can send one (`authorization` in its configuration)."""

SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """The one door of the console; see the top of this module."""

    def __init__(self, app: ASGIApp, sign_in: SignIn, access: Access) -> None:
        self.app = app
        self.sign_in = sign_in
        self.access = access
        # A person's clicks and live parts stay far below; a program that runs wild is slowed down.
        self._requests = Bucket(400, 40)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        csrf_cookie = request.cookies.get(self.access.cookie(CSRF_COOKIE)) or ""
        made = "" if csrf_cookie else secrets.token_urlsafe(24)
        session = request.cookies.get(self.access.cookie(SESSION_COOKIE)) or ""
        state = scope.setdefault("state", {})
        # Bound to the session: a cookie that somebody else has set is of no use to them.
        key = (csrf_cookie or made) + session
        state.update(person=None, away=None, csrf_key=key, csrf=_form_token(key, secrets.token_urlsafe(9)))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(scope, MutableHeaders(scope=message), made)
            await send(message)

        answer = self._refused(request)
        if answer is None and not scope["path"].startswith("/static/"):
            answer = await self._recognise(request, session)
        person = state["person"]
        if answer is not None or person is None or request.method != "GET":
            await (answer or self.app)(scope, _limited(receive), with_headers)
            return
        await event_streams.serve(self.app, scope, receive, with_headers, lambda: self.sign_in.stands(person))

    def _add_headers(self, scope: Scope, headers: MutableHeaders, csrf: str) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self.access.is_secure:
            headers.setdefault("strict-transport-security", ONLY_TLS)
        if not scope["path"].startswith("/static/"):
            headers.setdefault("cache-control", "no-store")
            if csrf:
                headers.append("set-cookie", self.cookie(CSRF_COOKIE, csrf))

    def cookie(self, name: str, value: str, *, max_age: int | None = None) -> str:
        """A Set-Cookie header. Lax: a link from a chat or a mail finds the person signed in."""
        secure = "; Secure" if self.access.is_secure else ""
        age = "" if max_age is None else f"; Max-Age={max_age}"
        return f"{self.access.cookie(name)}={value}; Path=/; SameSite=Lax; HttpOnly{secure}{age}"

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that may not come like this."""
        headers, why = request.headers, ""
        if host_of(headers.get("host", "")) not in self.access.hosts:
            return _plain(421, "this name does not lead to the console: OPSHUB_CONSOLE_URL says which one does")
        if self.access.is_local and any(name in headers for name in ("forwarded", "x-forwarded-for", "via")):
            why = "a proxy passed this on that the console does not know: name it in OPSHUB_CONSOLE_PROXY"
        elif self.access.is_secure and request.url.scheme != "https":
            why = "this did not come by HTTPS: the proxy must send X-Forwarded-Proto, and OPSHUB_CONSOLE_PROXY name it"
        elif request.method not in SAFE and not _is_from_here(request):
            why = "a page of another site sent this"
        elif _length(headers) > LARGEST_BODY:
            return _plain(413, f"more than {LARGEST_BODY:,} bytes")
        return _plain(403, why) if why else None

    async def _recognise(self, request: Request, session: str) -> Response | None:
        """Put the person into the state; the answer to nobody."""
        path = request.url.path
        is_api = path.startswith(API) or path in FOR_PROGRAMS
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if is_api and scheme.lower() == "bearer" else None
        person: Person | None = None
        try:
            person = await run_in_threadpool(self.sign_in.person, session=session, token=bearer)
            if person is None or not person.is_local:
                self._requests.take(person.name if person else _address(request))
        except EnvironmentFault as error:
            # Pages say what is away, each in its place; without a person none of them shows anything.
            request.state.away = error
            if is_api:
                return problem_answer(error)
            return None
        except (SignInNeeded, TooMany) as error:
            return _failed(error, is_api=is_api)
        request.state.person = person
        if person is not None or path in FOR_ALL or path.startswith("/sign-in/"):
            return None
        if is_api:
            return _failed(
                SignInNeeded("nobody is signed in", remedy="send `Authorization: Bearer` with a token"), is_api=True
            )
        if "text/event-stream" in request.headers.get("accept", ""):
            return _plain(401, "nobody is signed in")
        target = f"/sign-in?to={quote(path + (f'?{request.url.query}' if request.url.query else ''))}"
        if "hx-request" in request.headers:
            # A part of a page: the whole page goes to sign in.
            return Response(status_code=401, headers={"hx-redirect": "/sign-in"})
        return RedirectResponse(target, status_code=303)


def check_form(request: Request, token: str) -> None:
    """Raises NotAllowed for a form that our pages did not send."""
    salt, _, _ = token.partition(".")
    if not salt or not hmac.compare_digest(_form_token(request.state.csrf_key, salt).encode(), token.encode()):
        raise NotAllowed("this form is too old, or was not sent by a page of the console", remedy="load the page again")


def _form_token(key: str, salt: str) -> str:
    """What our forms carry. Each page has another salt: its compressed length gives nothing away (BREACH)."""
    return f"{salt}.{hmac.new(key.encode(), salt.encode(), hashlib.sha256).hexdigest()}"


def _is_from_here(request: Request) -> bool:
    """Whether no other site's page sent it. Programs send neither header."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def _length(headers: Headers) -> int:
    """What the header promises; a length that is no number is too much."""
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() else LARGEST_BODY + 1


def _limited(receive: Receive) -> Receive:
    """Ends a body that is longer than it may be, whatever its header promised."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return limited


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


def _failed(error: OpshubError, *, is_api: bool) -> Response:
    if is_api:
        return problem_answer(error)
    return _plain(429 if isinstance(error, TooMany) else 401, f"{error}: {error.remedy}")


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status)
