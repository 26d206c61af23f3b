"""Conflicts and possible matches: lists, side by side, decisions."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, back, do, read_form, wanted_of
from streams.console.operations.inbox_conflicts import (
    PAIRS,
    ConflictDecision,
    WantedConflict,
    WantedConflicts,
    WantedEach,
    decide_conflict,
    list_conflict_causes,
    list_each_conflict,
    show_conflict,
)
from streams.console.operations.inbox_matches import (
    MatchDecision,
    WantedMatch,
    WantedMatches,
    decide_match,
    list_matches,
    show_match,
)
from streams.console.operations.jobs import NewJob, start_job
from streams.console.pages.inbox import care_values, tab
from streams.console.problems import status_of
from streams.errors import ConfigError, OpshubError
from streams.inbox.identity_decisions import pair_id


def conflicts(request: Request) -> Response:
    """Conflicts by cause."""
    wanted = wanted_of(request, WantedConflicts)
    causes = ask(request, list_conflict_causes, wanted).causes
    calls = [(list_conflict_causes, wanted)]
    return tab(request, "inbox/conflicts.html", "conflicts", calls, wanted=wanted, causes=causes)


def each_conflict(request: Request) -> Response:
    """Each conflict, of one cause or all."""
    wanted = wanted_of(request, WantedEach)
    listed = ask(request, list_each_conflict, wanted)
    care = care_values(request, "conflict_group", wanted.group) if wanted.group else {}
    calls = [(list_each_conflict, wanted)]
    return tab(request, "inbox/conflict_group.html", "conflicts", calls, wanted=wanted, listed=listed, **care)


def conflict(request: Request, *, error: OpshubError | None = None) -> Response:
    """One conflict side by side."""
    wanted = wanted_of(request, WantedConflict)
    details = ask(request, show_conflict, wanted)
    shown = details.conflict
    records = [side.record for side in shown.sides if side.record]
    pair = None
    if shown.kind in PAIRS and len(records) == 2 and records[0] != records[1]:
        pair = ask(request, show_match, WantedMatch(pair_id(records[0], records[1])))
    answer = tab(
        request, "inbox/conflict.html", "conflicts", [(show_conflict, wanted)], details=details, conflict=shown,
        pair=pair, error=error, **care_values(request, "conflict", shown.id),
    )  # fmt: skip
    if error is not None:
        answer.status_code = status_of(error)
    return answer


async def decide(request: Request) -> Response:
    """Decide a conflict; who comes second sees who was faster."""
    wanted = await read_form(request, ConflictDecision)
    try:
        sent = await do(request, decide_conflict, wanted)
    except ConfigError as error:
        return await run_in_threadpool(conflict, request, error=error)
    return back(request, f"/inbox/conflicts/{wanted.id}", done=sent.text)


def matches(request: Request) -> Response:
    """Pairs that may be one."""
    wanted = wanted_of(request, WantedMatches)
    listed = ask(request, list_matches, wanted)
    return tab(request, "inbox/matches.html", "matches", [(list_matches, wanted)], wanted=wanted, listed=listed)


def match(request: Request, *, error: OpshubError | None = None) -> Response:
    """Two records side by side."""
    wanted = wanted_of(request, WantedMatch)
    details = ask(request, show_match, wanted)
    answer = tab(
        request, "inbox/match.html", "matches", [(show_match, wanted)], details=details, error=error,
        **care_values(request, "match", details.id),
    )  # fmt: skip
    if error is not None:
        answer.status_code = status_of(error)
    return answer


async def decide_pair(request: Request) -> Response:
    """One, two, or take it back."""
    wanted = await read_form(request, MatchDecision)
    try:
        sent = await do(request, decide_match, wanted)
    except ConfigError as error:
        return await run_in_threadpool(match, request, error=error)
    return back(request, f"/inbox/matches/{sent.pair}", done=sent.text)


async def search(request: Request) -> Response:
    """Search possible matches in the background."""
    await read_form(request, WantedMatches)
    job = await do(request, start_job, NewJob(action="search_matches"))
    return back(request, f"/inbox/jobs/{job.id}", done=f"job {job.id} searches")


ROUTES = [
    Route("/inbox/conflicts", conflicts),
    Route("/inbox/conflicts/each", each_conflict),
    Route("/inbox/conflicts/{id}", conflict),
    Route("/inbox/conflicts/{id}", decide, methods=["POST"]),
    Route("/inbox/matches", matches),
    Route("/inbox/matches/search", search, methods=["POST"]),
    Route("/inbox/matches/{id}", match),
    Route("/inbox/matches/{id}", decide_pair, methods=["POST"]),
]
