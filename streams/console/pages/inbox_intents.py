"""Approvals and write-backs that were given up."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streams.console.handling import ask, back, do, read_form, wanted_of
from streams.console.operations.inbox_intents import (
    Decision,
    Retrial,
    WantedApprovals,
    WantedGroup,
    WantedIntent,
    WantedWriteBacks,
    decide_approval,
    list_approvals,
    list_write_backs,
    list_write_backs_of_group,
    retry_write_back,
    show_approval,
)
from streams.console.pages.inbox import care_values, tab
from streams.console.problems import AlreadyDone, status_of
from streams.errors import ConfigError, OpshubError
from streams.inbox.progress import DecidedBefore


def approvals(request: Request) -> Response:
    """The intents that wait for a decision."""
    wanted = wanted_of(request, WantedApprovals)
    listed = ask(request, list_approvals, wanted)
    return tab(request, "inbox/approvals.html", "approvals", [(list_approvals, wanted)], wanted=wanted, listed=listed)


def approval(request: Request, *, error: OpshubError | None = None) -> Response:
    """One intent: approval or given-up write-back."""
    wanted = wanted_of(request, WantedIntent)
    shown = ask(request, show_approval, wanted)
    kind = "write_back" if shown.details.intent.state in ("dead", "expired") else "approval"
    answer = tab(
        request, "inbox/approval.html", "write_backs" if kind == "write_back" else "approvals",
        [(show_approval, wanted)], shown=shown, details=shown.details, intent=shown.details.intent, error=error,
        **care_values(request, kind, str(shown.details.intent.id)),
    )  # fmt: skip
    if error is not None:
        answer.status_code = status_of(error)
    return answer


async def decide(request: Request) -> Response:
    """Approve or reject; who comes second sees who was faster."""
    wanted = await read_form(request, Decision)
    try:
        intent = await do(request, decide_approval, wanted)
    except (DecidedBefore, AlreadyDone, ConfigError) as error:
        return await _again(request, error)
    return back(request, f"/inbox/approvals/{wanted.id}", done=f"intent {intent.id} is {intent.state}")


def write_backs(request: Request) -> Response:
    """Write-backs that were given up, by problem."""
    wanted = wanted_of(request, WantedWriteBacks)
    groups = ask(request, list_write_backs, wanted).groups
    return tab(
        request, "inbox/write_backs.html", "write_backs", [(list_write_backs, wanted)], wanted=wanted, groups=groups
    )


def write_back_group(request: Request) -> Response:
    """The intents of one group."""
    wanted = wanted_of(request, WantedGroup)
    listed = ask(request, list_write_backs_of_group, wanted)
    groups = ask(request, list_write_backs, WantedWriteBacks()).groups
    group = next((group for group in groups if group.id == wanted.group), None)
    return tab(
        request, "inbox/write_back_group.html", "write_backs", [(list_write_backs_of_group, wanted)], wanted=wanted,
        listed=listed, group=group, **care_values(request, "write_back_group", wanted.group),
    )  # fmt: skip


async def retry(request: Request) -> Response:
    """Send an intent again."""
    wanted = await read_form(request, Retrial)
    try:
        await do(request, retry_write_back, wanted)
    except (DecidedBefore, ConfigError) as error:
        return await _again(request, error)
    return back(request, f"/inbox/approvals/{wanted.id}", done=f"intent {wanted.id} is planned again")


async def _again(request: Request, error: OpshubError) -> Response:
    return await run_in_threadpool(approval, request, error=error)


ROUTES = [
    Route("/inbox/approvals", approvals),
    Route("/inbox/approvals/{id}", approval),
    Route("/inbox/approvals/{id}", decide, methods=["POST"]),
    Route("/inbox/write-backs", write_backs),
    Route("/inbox/write-backs/{group}", write_back_group),
    Route("/inbox/write-backs/{id}/retry", retry, methods=["POST"]),
]
