"""How a page's handler runs operations, and reads and answers forms.

A handler is a plain function: Starlette runs it in a thread, since the hub's functions wait. A form that changes
something is handled in three steps: read it, run the operation, send the browser back to the page:

    async def approve(request: Request) -> Response:
        wanted = await read_form(request, Decision)
        await do(request, approve_intent, wanted)
        return back(request, "/inbox/approvals", done=_("intent {id} is approved", id=wanted.id))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.console.guard import check_form
from streams.console.operation import Context, read_wanted, run
from streams.console.people import Person
from streams.console.problems import SignInNeeded

Wanted = TypeVar("Wanted", bound=msgspec.Struct)
Result = TypeVar("Result")


def context_of(request: Request) -> Context:
    """For whom this page is. Raises SignInNeeded, and EnvironmentFault while the hub cannot say who it is."""
    person: Person | None = request.state.person
    if person is None and request.state.away is not None:
        raise request.state.away
    if person is None:
        raise SignInNeeded("nobody is signed in", remedy="sign in")
    return Context(request.app.state.place, person)


def ask(request: Request, function: Callable[[Context, Wanted], Result], wanted: Wanted) -> Result:
    """Run an operation for the person at the page; in a thread's handler."""
    return run(context_of(request), function, wanted)


async def do(request: Request, function: Callable[[Context, Wanted], Result], wanted: Wanted) -> Result:
    """As `ask`, in an asynchronous handler: those that read a form."""
    return await run_in_threadpool(run, context_of(request), function, wanted)


def wanted_of(request: Request, wanted: type[Wanted]) -> Wanted:
    """What the page's address asks for: path and query."""
    values = {name: request.query_params.getlist(name) for name in request.query_params}
    return read_wanted(wanted, values | {name: [str(value)] for name, value in request.path_params.items()})


async def read_form(request: Request, wanted: type[Wanted]) -> Wanted:
    """The struct from a form that one of our pages sent. Raises NotAllowed for another's, WrongInput."""
    form = await request.form()
    token = form.get("csrf")
    check_form(request, token if isinstance(token, str) else "")
    values = {name: [text for text in form.getlist(name) if isinstance(text, str)] for name in form}
    return read_wanted(wanted, values | {name: [str(value)] for name, value in request.path_params.items()})


def back(request: Request, path: str, *, done: str = "") -> Response:
    """Send the browser to a page, which shows `done` once. For htmx, too."""
    response = RedirectResponse(path, status_code=303)
    if done:
        response.set_cookie("done", quote(done), max_age=30, path="/", samesite="strict")
    return response
