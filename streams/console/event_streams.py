"""Event streams end when their person is signed out, loses a right, or the session lapses.

Each click asks for a page and is checked; a stream was allowed once and would go on for days. So while one is open, a
check every few seconds asks whether the person still stands as at its beginning. Then the browser gets a last event,
`signed-out`, and its page loads again: that leads to the sign-in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHECK_S = 3.0
LAST_EVENT = b"event: signed-out\ndata: \n\n"


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send, stands: Callable[[], bool]) -> None:
    """Serve a request; if its answer is an event stream, end it as soon as `stands` says no."""
    over = asyncio.Event()
    watch: asyncio.Task[None] | None = None

    async def sending(message: Message) -> None:
        nonlocal watch
        if over.is_set():
            raise OSError("this stream is over")  # as for a browser that went away
        await send(message)
        if message["type"] == "http.response.start" and _is_stream(message):
            watch = asyncio.create_task(_watch(stands, send, over))

    async def receiving() -> Message:
        """What comes, or that the stream is over, in the words that an application knows: the browser is gone."""
        came, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait({came, ended}, return_when=asyncio.FIRST_COMPLETED)
            return came.result() if came.done() else {"type": "http.disconnect"}
        finally:
            came.cancel()
            ended.cancel()

    try:
        await app(scope, receiving, sending)
    except ClientDisconnect:
        if not over.is_set():
            raise
    finally:
        if watch is not None:
            watch.cancel()
    if over.is_set():
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _watch(stands: Callable[[], bool], send: Send, over: asyncio.Event) -> None:
    while await run_in_threadpool(stands):
        await asyncio.sleep(CHECK_S)
    await send({"type": "http.response.body", "body": LAST_EVENT, "more_body": True})
    over.set()


def _is_stream(start: Message) -> bool:
    headers = {bytes(name).lower(): bytes(value) for name, value in start.get("headers", ())}
    return headers.get(b"content-type", b"").startswith(b"text/event-stream")
