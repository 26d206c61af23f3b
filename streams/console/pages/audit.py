"""The audit: the list, and its export."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streams.console.audit_export import MEDIA, Form, export
from streams.console.handling import ask, context_of, wanted_of
from streams.console.operation import OPERATIONS
from streams.console.operations.audit import WantedAudit, all_entries, list_audit
from streams.console.problems import NotFound
from streams.console.render import page


def audit(request: Request) -> Response:
    """What people did, by person, deed, thing, way and time."""
    wanted = _wanted(request)
    listed = ask(request, list_audit, wanted)
    deeds = sorted(item.name for item in OPERATIONS.values() if item.writes)
    return page(
        request, "audit.html", calls=[(list_audit, wanted)], wanted=wanted, listed=listed, deeds=deeds,
        summaries={item.name: item.summary for item in OPERATIONS.values()},
    )  # fmt: skip


def download(request: Request) -> Response:
    """All of it that fits, as a file. The first page is asked for as anybody would: that checks the right."""
    form = str(request.path_params["form"])
    if form not in MEDIA:
        raise NotFound(f"there is no export as {form}", remedy="csv or jsonl")
    wanted = msgspec.structs.replace(_wanted(request), after=None)
    ask(request, list_audit, wanted)
    chosen: Form = "csv" if form == "csv" else "jsonl"
    name = f"opshub-audit-{datetime.now(UTC):%Y-%m-%d}.{chosen}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        export(all_entries(context_of(request), wanted), chosen), media_type=MEDIA[chosen], headers=headers
    )


def _wanted(request: Request) -> WantedAudit:
    wanted = wanted_of(request, WantedAudit)
    # A day without a time zone is meant in UTC, as all times here.
    days = {name: value.replace(tzinfo=UTC) for name in ("since", "until")
            if (value := getattr(wanted, name)) is not None and value.tzinfo is None}  # fmt: skip
    return msgspec.structs.replace(wanted, **days)


ROUTES = [Route("/audit", audit), Route("/audit/export.{form}", download)]
