"""A fault of the console itself: an answer that says so, with a number under which the log has the cause.

It is the outermost part of the application, so that a fault of any other part is answered, too. The log gets the class
of the fault and where it was raised, and no text of it: a text may quote personal data.
"""

from __future__ import annotations

import logging
import secrets
import traceback

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.console.guard import HEADERS
from streams.console.problems import Failed, problem
from streams.console.render import page

log = logging.getLogger(__name__)


class AnswerFaults:
    """Middleware: what nothing else has caught is answered with status 500, logged, and goes no further."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            number = secrets.token_hex(6)
            _log(number, scope, error)
            if has_begun:
                raise  # the server cuts the connection, which is all that is left to say it
            answer = await run_in_threadpool(_answer, Request(scope), number)
            await answer(scope, receive, send)


def _log(number: str, scope: Scope, error: Exception) -> None:
    # The template of the route, not the address: what people search for is in no log.
    where = getattr(scope.get("route"), "path", "no route")
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error(
        "request %s failed: %s %s: %s\n%s", number, scope["method"], where, type(error).__name__, frames,
        extra={"request": number, "error_class": type(error).__name__},
    )  # fmt: skip


def _answer(request: Request, number: str) -> Response:
    error = Failed(
        f"the console failed at this, and it is not your doing (request {number})",
        remedy=f"try again; the console's log says where it failed, under {number}",
    )
    headers = HEADERS | {"cache-control": "no-store", "x-request-id": number}
    if request.url.path.startswith("/api/"):
        body = msgspec.json.encode(problem(error) | {"request": number})
        return Response(body, 500, headers, media_type="application/problem+json")
    try:
        answer: Response = page(request, "problem.html", status=500, error=error)
    except Exception:
        # The frame of all pages is at fault: then the bare text.
        answer = PlainTextResponse(f"{error}: {error.remedy}\n", 500)
    answer.headers.update(headers)
    return answer
