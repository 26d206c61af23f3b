"""Event streams end with the sign-in of their person, whichever version of ASGI the server speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message

from streams.console import event_streams


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"data: 1\n\n"
        await asyncio.sleep(0.01)


async def served(app: ASGIApp, stands: list[bool], version: str) -> list[Message]:
    """What the browser gets; `stands`: the answers of the checks; the last one stays."""
    got: list[Message] = []
    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": version}}

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError("the browser stays")

    async def send(message: Message) -> None:
        got.append(message)

    def answer() -> bool:
        return stands.pop(0) if len(stands) > 1 else stands[0]

    await asyncio.wait_for(event_streams.serve(app, scope, receive, send, answer), 20)
    return got


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_a_stream_ends_when_its_person_is_signed_out(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "CHECK_S", 0.1)
    stream = StreamingResponse(endless(), media_type="text/event-stream")
    got = await served(stream, [True, True, False], version)
    bodies = [message["body"] for message in got if message["type"] == "http.response.body"]
    assert bodies[0] == b"data: 1\n\n"
    assert bodies[-2:] == [event_streams.LAST_EVENT, b""]
    assert got[-1]["more_body"] is False


async def test_a_page_is_not_checked_again() -> None:
    got = await served(PlainTextResponse("page"), [False], "2.3")
    assert [message.get("body") for message in got] == [None, b"page"]
