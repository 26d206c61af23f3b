"""Sign in, by password or at the identity provider, and sign out."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console import provider
from streams.console.guard import SESSION_COOKIE, check_form
from streams.console.problems import NotAllowed, TooMany, status_of
from streams.console.render import page
from streams.console.sign_in import From, SignIn
from streams.errors import OpshubError

STATE_COOKIE = "provider-state"


def show(request: Request) -> Response:
    """The form."""
    sign_in: SignIn = request.app.state.sign_in
    if request.state.person is not None and not request.state.person.is_local and "to" not in request.query_params:
        return RedirectResponse("/me", status_code=303)
    if request.state.away is not None:
        raise request.state.away
    return _form(request, sign_in, to=_inside(request.query_params.get("to", "/")))


async def by_password(request: Request) -> Response:
    """Sign in by name and password."""
    sign_in: SignIn = request.app.state.sign_in
    form = await request.form()
    name, password, to, token = (_text(form.get(field)) for field in ("name", "password", "to", "csrf"))
    try:
        check_form(request, token)
        before = request.cookies.get(request.app.state.access.cookie(SESSION_COOKIE))
        secret = await run_in_threadpool(sign_in.by_password, name, password, _where(request), before=before)
    except (NotAllowed, TooMany) as error:
        return _form(request, sign_in, to=_inside(to), name=name, error=error)
    return signed_in(request, secret, _inside(to))


async def to_provider(request: Request) -> Response:
    """Send the browser to the identity provider."""
    started = await provider.begin(
        request.app.state.place, _callback(request), _inside(request.query_params.get("to", "/"))
    )
    response = RedirectResponse(started.url, status_code=303)
    access = request.app.state.access
    # Ties the answer to this browser: a link to the callback with somebody else's code signs nobody in.
    response.set_cookie(
        access.cookie(STATE_COOKIE), started.state, max_age=600, path="/", secure=access.is_secure, httponly=True,
        samesite="lax",
    )  # fmt: skip
    return response


async def from_provider(request: Request) -> Response:
    """The identity provider sends the browser back."""
    sign_in: SignIn = request.app.state.sign_in
    access = request.app.state.access
    try:
        identity = await provider.end(
            request.app.state.place, dict(request.query_params), request.cookies.get(access.cookie(STATE_COOKIE), "")
        )
        name = await run_in_threadpool(provider.person_of, request.app.state.place, identity)
        before = request.cookies.get(access.cookie(SESSION_COOKIE))
        secret = await run_in_threadpool(sign_in.begin, name, _where(request), before=before)
    except OpshubError as error:
        if not isinstance(error, provider.Away):
            await run_in_threadpool(sign_in.audit, "somebody of the provider", _where(request), failed=str(error))
        return _form(request, sign_in, to="/", error=error)
    response = signed_in(request, secret, identity.to)
    response.delete_cookie(access.cookie(STATE_COOKIE), path="/", secure=access.is_secure, httponly=True)
    return response


async def sign_out(request: Request) -> Response:
    """End this browser's session."""
    form = await request.form()
    check_form(request, _text(form.get("csrf")))
    name = request.app.state.access.cookie(SESSION_COOKIE)
    session = request.cookies.get(name)
    if session:
        await run_in_threadpool(request.app.state.sign_in.end, session)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(name, path="/", secure=request.app.state.access.is_secure, httponly=True)
    # What the browser may have kept of the pages goes, too.
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def signed_in(request: Request, secret: str, to: str) -> Response:
    """Send the browser on, with its new session."""
    access = request.app.state.access
    response = RedirectResponse(to, status_code=303)
    response.set_cookie(
        access.cookie(SESSION_COOKIE), secret, path="/", secure=access.is_secure, httponly=True, samesite="lax"
    )
    return response


def _form(request: Request, sign_in: SignIn, *, to: str, name: str = "", error: OpshubError | None = None) -> Response:
    return page(
        request, "sign_in.html", status=status_of(error) if error else 200, to=to, name=name, error=error,
        has_provider=sign_in.has_provider,
    )  # fmt: skip


def _callback(request: Request) -> str:
    """Where the provider sends the browser back to; it must be registered there."""
    own: str = request.app.state.place.settings.console_url or str(request.base_url)
    return f"{own.rstrip('/')}/sign-in/callback"


def _inside(to: str) -> str:
    """A path of the console; anything else is its first page."""
    is_path = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if is_path and not to.startswith("/sign-in") else "/"


def _where(request: Request) -> From:
    return From(request.client.host if request.client else "?", request.headers.get("user-agent", ""))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


ROUTES = [
    Route("/sign-in", show, methods=["GET"]),
    Route("/sign-in", by_password, methods=["POST"]),
    Route("/sign-in/provider", to_provider, methods=["GET"]),
    Route("/sign-in/callback", from_provider, methods=["GET"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
