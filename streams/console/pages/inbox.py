"""The inbox: what waits for people, by kind; who takes care; the badge of the menu."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streams.console.handling import ask, back, context_of, do, read_form
from streams.console.operations.inbox import (
    Assignment,
    NewComment,
    Nothing,
    Snoozing,
    WantedItem,
    assign_item,
    comment_item,
    count_inbox,
    show_item,
    snooze_item,
)
from streams.console.operations.inbox_conflicts import WantedConflicts, list_conflict_causes
from streams.console.operations.inbox_dead_letters import WantedDeadLetters, list_dead_letter_causes
from streams.console.operations.inbox_intents import (
    WantedApprovals,
    WantedWriteBacks,
    list_approvals,
    list_write_backs,
)
from streams.console.operations.inbox_matches import WantedMatches, list_matches
from streams.console.operations.jobs import WantedJobs, list_jobs
from streams.console.render import page
from streams.errors import EnvironmentFault
from streams.hub.inbox import MOST_COUNTED, Counts

AT_A_TIME = 5
"""Lines of each kind on the first page."""


def inbox(request: Request) -> Response:
    """All kinds on one page, the first few of each."""
    counts = ask(request, count_inbox, Nothing())
    parts: dict[str, Any] = dict.fromkeys(("approvals", "dead_letters", "write_backs", "conflicts", "matches"))
    if counts.approvals:
        parts["approvals"] = ask(request, list_approvals, WantedApprovals(limit=AT_A_TIME))
    if counts.dead_letters:
        parts["dead_letters"] = ask(request, list_dead_letter_causes, WantedDeadLetters()).groups[:AT_A_TIME]
    if counts.write_backs:
        parts["write_backs"] = ask(request, list_write_backs, WantedWriteBacks()).groups[:AT_A_TIME]
    if counts.conflicts:
        parts["conflicts"] = ask(request, list_conflict_causes, WantedConflicts()).causes[:AT_A_TIME]
    if counts.matches:
        parts["matches"] = ask(request, list_matches, WantedMatches(limit=AT_A_TIME)).matches
    running = [job for job in ask(request, list_jobs, WantedJobs(limit=10)).jobs if job.is_open]
    return page(
        request, "inbox.html", calls=[(count_inbox, Nothing())], counts=counts, parts=parts, running=running, tab="all"
    )


def count(request: Request) -> Response:
    """The badge: how much waits, or nothing."""
    try:
        counts = ask(request, count_inbox, Nothing())
    except EnvironmentFault:
        return PlainTextResponse("")
    waiting = counts.all
    if not waiting:
        return PlainTextResponse("")
    text = f"{MOST_COUNTED - 1}+" if waiting >= MOST_COUNTED else str(waiting)
    return Response(f'<span class="badge">{text}</span>', media_type="text/html")


def tab(request: Request, template: str, name: str, calls: list[Any], **values: Any) -> Response:
    """A page below a tab; the tabs show how much waits in each."""
    return page(request, template, calls=calls, counts=counts_of(request), tab=name, **values)


def counts_of(request: Request) -> Counts:
    return ask(request, count_inbox, Nothing())


def care_values(request: Request, kind: str, item: str) -> dict[str, Any]:
    """What the box with assignment, snoozing and comments needs."""
    details = ask(request, show_item, WantedItem(kind, item))  # type: ignore[arg-type]
    return {"care": details.care, "comments": details.comments, "kind": kind, "item": item}


async def assign(request: Request) -> Response:
    wanted = await read_form(request, Assignment)
    done = await do(request, assign_item, wanted)
    to = done.care.assigned_to if done.care else None
    return _return(request, f"it is {to}'s now" if to else "it is nobody's now")


async def snooze(request: Request) -> Response:
    wanted = await read_form(request, Snoozing)
    done = await do(request, snooze_item, wanted)
    until = done.care.snoozed_until if done.care else None
    return _return(request, f"out of sight until {until:%Y-%m-%d %H:%M} UTC" if until else "in sight again")


async def comment(request: Request) -> Response:
    wanted = await read_form(request, NewComment)
    await do(request, comment_item, wanted)
    return _return(request, "the comment is kept")


def _return(request: Request, done: str) -> Response:
    """Back to the page from which the form came, as its own address says."""
    target = request.query_params.get("page", "/inbox")
    here = target if target.startswith("/inbox") else "/inbox"
    return back(request, here, done=done)


def me(request: Request) -> str:
    """The name of whoever is at the page."""
    return context_of(request).person.name


ROUTES = [
    Route("/inbox", inbox),
    Route("/inbox/count", count),
    Route("/inbox/items/{kind}/{id}/assign", assign, methods=["POST"]),
    Route("/inbox/items/{kind}/{id}/snooze", snooze, methods=["POST"]),
    Route("/inbox/items/{kind}/{id}/comments", comment, methods=["POST"]),
]
