"""The live tail as a page, and as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from streams.console.handling import ask, context_of, wanted_of
from streams.console.operation import OPERATIONS
from streams.console.operations.live import TailPage, WantedTail, filter_of, shown, tail_topic
from streams.console.problems import NotAllowed, TooMany
from streams.console.render import fragment, page
from streams.emit.tail import KINDS, Tail, tail
from streams.errors import OpshubError

MOST_TAILS = 8
"""Open live tails: each has a consumer of its own."""
PER_TURN = 20
"""Records of a turn of half a second: forty a second are more than anybody reads."""

_open = 0


def live(request: Request) -> Response:
    """The last records, newest first; with scripts, those that come are added."""
    wanted = wanted_of(request, WantedTail)
    listed, error = TailPage([], 0, 0), None
    try:
        listed = ask(request, tail_topic, wanted)
    except NotAllowed:
        raise
    except OpshubError as raised:
        error = raised
    return page(
        request, "live.html", calls=[(tail_topic, wanted)], listed=listed, wanted=wanted, kinds=KINDS, error=error,
        systems=request.app.state.place.settings.systems, per_second=2 * PER_TURN,
    )  # fmt: skip


async def events(request: Request) -> Response:
    """What comes, as server-sent events: `records` with a part of the page, `turn` with counts, `failed` with why."""
    global _open
    context = context_of(request)
    wanted = wanted_of(request, WantedTail)
    if not context.person.may(OPERATIONS["tail_topic"].permission):
        raise NotAllowed(f"{context.person.name} may not do this", remedy="ask an admin for a role that has it")
    wants = filter_of(wanted, context.person)
    if _open >= MOST_TAILS:
        raise TooMany(f"{MOST_TAILS} live tails are open already", remedy="close one of them")
    settings = context.place.settings

    async def stream() -> AsyncIterator[bytes]:
        global _open
        _open += 1
        turns = tail(
            settings.kafka, settings.registry, wanted.topic, wants.lets_through, most=PER_TURN,
            heartbeats=wanted.heartbeats,
        )  # fmt: skip
        try:
            while True:  # Starlette ends it when the browser goes
                turn: Tail = await run_in_threadpool(next, turns)
                if turn.records:
                    records = [shown(record, context.person) for record in reversed(turn.records)]
                    yield _event("records", fragment(request, "parts/tail.html", records=records))
                yield _event("turn", msgspec.json.encode({"read": turn.read, "left_out": turn.left_out}).decode())
        except OpshubError as error:
            yield _event("failed", str(error))
            await asyncio.sleep(1)
        finally:
            _open -= 1
            await asyncio.shield(run_in_threadpool(turns.close))  # type: ignore[attr-defined]

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


ROUTES = [Route("/live", live), Route("/live/events", events)]
