"""Errors of the console, each with its HTTP status. Other errors get theirs by `status_of`."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from streams.errors import BadRecord, ConfigError, EnvironmentFault, OpshubError, RetryLater
from streams.inbox.progress import DecidedBefore
from streams.writeback.commands import NotWaiting, SamePerson


class NotFound(ConfigError):
    """There is no such thing."""


class WrongInput(ConfigError):
    """What was sent cannot be read."""


class NotAllowed(ConfigError):
    """This person may not do that."""


class SignInNeeded(ConfigError):
    """Nobody is signed in."""


class AlreadyDone(ConfigError):
    """Somebody else, or the flow of things, was faster."""


class TooMany(ConfigError):
    """Too many requests in a short time."""


class Failed(OpshubError):
    """The console failed."""


_STATUS: tuple[tuple[type[OpshubError], int], ...] = (
    (NotFound, 404),
    (WrongInput, 422),
    (NotAllowed, 403),
    (SignInNeeded, 401),
    (AlreadyDone, 409),
    (DecidedBefore, 409),
    (NotWaiting, 409),
    (SamePerson, 409),
    (TooMany, 429),
    (ConfigError, 400),
    (BadRecord, 422),
    (RetryLater, 503),
    (EnvironmentFault, 503),
)


def status_of(error: OpshubError) -> int:
    """The HTTP status of an error: 4xx where the caller can mend it, 503 while a server is away, else 500."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(error: OpshubError) -> dict[str, object]:
    """The error as problem+json (RFC 9457), with what to do as `remedy`."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": (type(error).__doc__ or "").strip().rstrip("."),
        "status": status_of(error),
        "detail": str(error),
    }
    return body | ({"remedy": error.remedy} if error.remedy else {})


def problem_answer(error: OpshubError) -> Response:
    """The error as an answer of the API."""
    return Response(msgspec.json.encode(problem(error)), status_of(error), media_type="application/problem+json")
