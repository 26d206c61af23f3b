"""The overview: one sentence, the picture, business figures, what needs a person, tables; and its live events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streams.console import trend
from streams.console.handling import ask, context_of
from streams.console.live import reader_of
from streams.console.live_reading import Live
from streams.console.operation import run
from streams.console.operations.figures import WantedBlocked, WantedFigures, figures, list_blocked_flows
from streams.console.operations.overview import Nothing, health, list_tables, live_now
from streams.console.picture import Picture, lay_out
from streams.console.problems import NotFound
from streams.console.render import Call, page
from streams.errors import EnvironmentFault, OpshubError
from streams.paths import connectors_dir
from streams.settings import Settings

WEEKS = 13
TABLES_SHOWN = 10
SECTIONS = ("health", "figures", "needs", "tables")

LINKS = {
    "approval": "/inbox/approvals",
    "refused": "/inbox/write-backs",
    "conflict": "/inbox/conflicts",
    "rule": "/inbox/conflicts",
    "dead_letter": "/inbox/dead-letters",
    "blocked": "/goods",
    "stuck-flows": "/flows?stuck=true",
    "intents-undelivered": "/inbox/write-backs",
    "lag": "/timeline",
}
"""Kind of a need, or code of an alert → where a person goes on; of others, to the systems."""

Value = TypeVar("Value")


class Section(msgspec.Struct, frozen=True):
    """A part of the page: its value, or why it cannot be shown."""

    value: Any = None
    error: OpshubError | None = None


def overview(request: Request) -> Response:
    """The whole page. Each section is read for itself: what is away leaves the others."""
    live = ask(request, live_now, Nothing())
    reader_of(request.app.state.place).expect_listener()
    sections = _sections(request, live, SECTIONS)
    calls: list[Call] = [
        (health, Nothing()),
        (live_now, Nothing()),
        (figures, WantedFigures(WEEKS)),
        (list_tables, Nothing()),
    ]
    return page(
        request, "overview.html", calls=calls,
        live=live, picture=picture_of(request.app.state.place.settings), **sections,
    )  # fmt: skip


def section(request: Request) -> Response:
    """One section, for a page that is open."""
    name = request.path_params["section"]
    if name not in SECTIONS:
        raise NotFound("there is no such section", remedy=f"one of {', '.join(SECTIONS)}")
    live = ask(request, live_now, Nothing())
    return page(request, f"overview/{name}.html", live=live, **_sections(request, live, (name, "health")))


def _sections(request: Request, live: Live, names: tuple[str, ...]) -> dict[str, Any]:
    readers: dict[str, Callable[[], object]] = {
        "health": lambda: ask(request, health, Nothing()),
        "figures": lambda: ask(request, figures, WantedFigures(WEEKS)),
        "tables": lambda: ask(request, list_tables, Nothing()).tables,
    }
    # A hub that is away costs three seconds for each question: it is asked once.
    gone = None if live.hub else EnvironmentFault("the hub does not answer", remedy="`opshub status` shows the servers")
    read_now = {name: _read(readers[name], gone) for name in readers if name in names}
    values: dict[str, Any] = {name: read_now.get(name, Section()) for name in readers}
    return values | {"links": LINKS, "trend": trend, "tables_shown": TABLES_SHOWN, "away": live.away}


def _read(read: Callable[[], object], gone: OpshubError | None) -> Section:
    if gone is not None:
        return Section(error=gone)
    try:
        return Section(read())
    except OpshubError as error:
        return Section(error=error)


def picture_of(settings: Settings) -> Picture:
    """The picture of the configured systems: each is a source, those with write-back rules are targets, too."""
    folder = Path(connectors_dir(settings))
    targets = [name for name in settings.systems if (folder / name / "writeback.yaml").is_file()]
    return lay_out(settings.systems, targets)


async def events(request: Request) -> Response:
    """The readings as server-sent events, for as long as the page is open."""
    await run_in_threadpool(run, context_of(request), live_now, Nothing())
    reader = reader_of(request.app.state.place)

    async def stream() -> AsyncIterator[bytes]:
        # The browser tries again after two seconds when the console was started again.
        yield b"retry: 2000\n\n"
        async with reader.listen() as queue:
            while True:
                yield b"data: " + await queue.get() + b"\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def goods(request: Request) -> Response:
    """Orders that wait for goods."""
    wanted = WantedBlocked()
    listed = ask(request, list_blocked_flows, wanted)
    return page(request, "goods.html", calls=[(list_blocked_flows, wanted)], flows=listed.flows)


ROUTES = [
    Route("/", overview),
    Route("/overview/events", events),
    Route("/overview/{section:str}", section),
    Route("/goods", goods),
]
