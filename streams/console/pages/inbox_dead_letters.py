"""Dead letters: by cause, and one with its form, its preview, retry and drop. And the pages of jobs."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console.guard import check_form
from streams.console.handling import ask, back, do, read_form, wanted_of
from streams.console.operation import read_wanted
from streams.console.operations.inbox_dead_letters import (
    Dropping,
    Edited,
    Retrial,
    ShownDeadLetter,
    WantedCause,
    WantedDeadLetter,
    WantedDeadLetters,
    drop_dead_letter,
    list_dead_letter_causes,
    list_dead_letters,
    preview_dead_letter,
    retry_dead_letter,
    show_dead_letter,
)
from streams.console.operations.jobs import (
    CancelJob,
    NewJob,
    WantedJob,
    WantedJobs,
    cancel_job,
    list_jobs,
    preview_job,
    show_job,
    start_job,
)
from streams.console.pages.inbox import care_values, tab
from streams.console.problems import WrongInput, status_of
from streams.errors import ConfigError, OpshubError
from streams.inbox.dead_letters import Preview

COLUMN = "column."


def causes(request: Request) -> Response:
    """Dead letters by cause."""
    wanted = wanted_of(request, WantedDeadLetters)
    groups = ask(request, list_dead_letter_causes, wanted).groups
    calls = [(list_dead_letter_causes, wanted)]
    return tab(request, "inbox/dead_letters.html", "dead_letters", calls, wanted=wanted, groups=groups)


def cause(request: Request) -> Response:
    """The dead letters of one cause."""
    wanted = wanted_of(request, WantedCause)
    listed = ask(request, list_dead_letters, wanted)
    return tab(
        request, "inbox/dead_letter_group.html", "dead_letters", [(list_dead_letters, wanted)], wanted=wanted,
        listed=listed, **care_values(request, "dead_letter_group", wanted.group),
    )  # fmt: skip


def dead_letter(
    request: Request, *, preview: Preview | None = None, edited: Edited | None = None,
    error: OpshubError | None = None,
) -> Response:  # fmt: skip
    """One dead letter."""
    wanted = wanted_of(request, WantedDeadLetter)
    shown = ask(request, show_dead_letter, wanted)
    row = shown.row | ((edited.row if edited else None) or {})
    text = edited.text if edited and edited.text is not None else shown.text
    answer = tab(
        request, "inbox/dead_letter.html", "dead_letters", [(show_dead_letter, wanted)], shown=shown, preview=preview,
        row={name: as_text(value) for name, value in row.items()}, text=text, error=error,
        changed=set((edited.row if edited else None) or ()), **care_values(request, "dead_letter", str(shown.id)),
    )  # fmt: skip
    if error is not None:
        answer.status_code = status_of(error)
    return answer


async def try_edit(request: Request) -> Response:
    """Preview, or retry, what the form has."""
    form = await request.form()
    token = form.get("csrf")
    check_form(request, token if isinstance(token, str) else "")
    path = {name: [str(value)] for name, value in request.path_params.items()}
    number = read_wanted(WantedDeadLetter, path).id
    shown = await do(request, show_dead_letter, WantedDeadLetter(number))
    edited = Edited(id=number)
    try:
        edited = edited_of(form, shown)
        if form.get("do") == "retry":
            force = form.get("force") == "true"
            wanted = Retrial(id=number, row=edited.row, text=edited.text, force=force)
            await do(request, retry_dead_letter, wanted)
            return back(request, f"/inbox/dead-letters/{number}", done=f"dead letter {number} is retried")
        preview = await do(request, preview_dead_letter, edited)
    except ConfigError as error:
        return await run_in_threadpool(dead_letter, request, edited=edited, error=error)
    return await run_in_threadpool(dead_letter, request, edited=edited, preview=preview)


async def drop(request: Request) -> Response:
    """Give it up."""
    wanted = await read_form(request, Dropping)
    try:
        await do(request, drop_dead_letter, wanted)
    except ConfigError as error:
        return await run_in_threadpool(dead_letter, request, error=error)
    return back(request, f"/inbox/dead-letters/{wanted.id}", done=f"dead letter {wanted.id} is dropped")


def edited_of(form: FormData, shown: ShownDeadLetter) -> Edited:
    """What a person changed: JSON as a whole, or columns whose text is another now. Raises WrongInput."""
    text = form.get("text")
    if form.get("as") == "json" and isinstance(text, str):
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise WrongInput(f"this is not JSON: {error}", remedy="correct it, or edit the columns") from error
        return Edited(id=shown.id, text=text if text != shown.text else None)
    row: dict[str, Any] = {}
    for name, before in shown.row.items():
        given = form.get(f"{COLUMN}{name}")
        # Browsers send lines with CR LF; a column that nobody touched is left out, masked ones, too.
        if isinstance(given, str) and given.replace("\r\n", "\n") != as_text(before):
            row[name] = column_value(name, given.replace("\r\n", "\n"), before)
    return Edited(id=shown.id, row=row or None)


def column_value(name: str, given: str, before: Any) -> Any:
    """The text of a form as the value of a column, of the type that it had. Raises WrongInput."""
    if isinstance(before, str):
        return given
    if before is None:
        return given or None
    if given == "":
        return None
    try:
        return msgspec.json.decode(given)
    except msgspec.DecodeError as error:
        raise WrongInput(
            f"{name}: {given!r} is not a {type(before).__name__}", remedy="as in the other rows"
        ) from error


def as_text(value: Any) -> str:
    """A column's value in a form: texts as they are, null empty, all else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def jobs(request: Request) -> Response:
    """Bulk work, the newest first."""
    wanted = wanted_of(request, WantedJobs)
    return tab(request, "inbox/jobs.html", "jobs", [(list_jobs, wanted)], listed=ask(request, list_jobs, wanted))


def job(request: Request) -> Response:
    """One job with the result of each item; it refreshes while it runs."""
    wanted = wanted_of(request, WantedJob)
    shown = ask(request, show_job, wanted)
    return tab(request, "inbox/job.html", "jobs", [(show_job, wanted)], shown=shown, job=shown.job, wanted=wanted)


def new_job(request: Request, *, error: OpshubError | None = None) -> Response:
    """What would be done, before it is."""
    if not request.query_params and error is None:
        return RedirectResponse("/inbox/jobs", status_code=303)
    wanted = wanted_of(request, NewJob)
    preview = ask(request, preview_job, wanted)
    answer = tab(
        request, "inbox/new_job.html", "jobs", [(preview_job, wanted), (start_job, wanted)], wanted=wanted,
        preview=preview, error=error, given=msgspec.to_builtins(wanted),
    )  # fmt: skip
    if error is not None:
        answer.status_code = status_of(error)
    return answer


async def begin_job(request: Request) -> Response:
    """Start it."""
    wanted = await read_form(request, NewJob)
    try:
        started = await do(request, start_job, wanted)
    except ConfigError as error:
        return await run_in_threadpool(new_job, request, error=error)
    return back(request, f"/inbox/jobs/{started.id}", done=f"job {started.id} begins")


async def stop_job(request: Request) -> Response:
    wanted = await read_form(request, CancelJob)
    stopped = await do(request, cancel_job, wanted)
    return back(request, f"/inbox/jobs/{stopped.id}", done=f"job {stopped.id} is cancelled")


ROUTES = [
    Route("/inbox/dead-letters", causes),
    Route("/inbox/dead-letters/causes/{group}", cause),
    Route("/inbox/dead-letters/{id:int}", dead_letter),
    Route("/inbox/dead-letters/{id:int}", try_edit, methods=["POST"]),
    Route("/inbox/dead-letters/{id:int}/drop", drop, methods=["POST"]),
    Route("/inbox/jobs", jobs),
    Route("/inbox/jobs/new", new_job),
    Route("/inbox/jobs/new", begin_job, methods=["POST"]),
    Route("/inbox/jobs/{id:int}", job),
    Route("/inbox/jobs/{id:int}/cancel", stop_job, methods=["POST"]),
]
