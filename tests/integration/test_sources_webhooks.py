"""Webhooks: taken once, whatever order and however often they come; forged and large ones are refused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import uvicorn

from streams.errors import RetryLater
from streams.sources.reader import hub_connection
from streams.sources.webhooks import Webhooks
from streams.stack.native import NativeStack
from tests.integration.feed_place import WEBHOOK_SECRET, FeedPlace
from tests.integration.helpdesk import Helpdesk, open_helpdesk
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def desk() -> Iterator[Helpdesk]:
    with open_helpdesk() as made:
        yield made


@pytest.fixture(scope="module")
def place(stack: NativeStack, desk: Helpdesk, tmp_path_factory: pytest.TempPathFactory) -> FeedPlace:
    return FeedPlace(stack, desk, tmp_path_factory.mktemp("feeds"))


@pytest.fixture(scope="module")
def address(place: FeedPlace) -> Iterator[str]:
    webhooks = Webhooks({place.name: place.feed}, lambda: hub_connection(place.settings.hub), place.sender)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(webhooks.app(), log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/webhooks/{place.name}"
    server.should_exit = True
    thread.join(20)
    listening.close()


def post(
    address: str, event: Any, number: str, *, secret: str = WEBHOOK_SECRET, at: float | None = None
) -> httpx.Response:
    body = json.dumps(event).encode()
    stamp = str(int(time.time() if at is None else at))
    signature = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"X-Signature": f"sha256={signature}", "X-Timestamp": stamp, "X-Event-Id": number}
    return httpx.post(address, content=body, headers=headers, timeout=60)


def note(key: str, text: str, revision: int, kind: str = "note.saved") -> dict[str, Any]:
    return {"type": kind, "note": {"id": key, "text": text, "revision": revision}}


def test_an_event_that_comes_twice_counts_once_and_is_in_kafka_before_the_answer(
    place: FeedPlace, address: str
) -> None:
    assert post(address, note("n1", "first", 1), "e1").json() == {"taken": 1}
    assert place.live("notes")["n1"]["text"] == "first"
    assert post(address, note("n1", "first", 1), "e1").json() == {"taken": 0}
    assert len([one for one in place.records("notes") if one["_key"] == {"id": "n1"}]) == 1


def test_an_older_event_that_comes_later_changes_nothing(place: FeedPlace, address: str) -> None:
    post(address, note("n2", "newest", 10), "e10")
    post(address, note("n2", "older", 9), "e9")
    assert place.live("notes")["n2"]["text"] == "newest"
    post(address, note("n2", "", 12, "note.deleted"), "e12")
    post(address, note("n2", "late", 11), "e11")
    assert "n2" not in place.live("notes")


def test_a_forged_or_old_event_is_refused(place: FeedPlace, address: str) -> None:
    assert post(address, note("n3", "forged", 1), "f1", secret="guessed").status_code == 401
    assert post(address, note("n3", "replayed", 1), "f2", at=time.time() - 3600).status_code == 401
    assert httpx.post(address, content=b"{}").status_code == 401
    assert httpx.post(address.replace(place.name, "nobody"), content=b"{}").status_code == 404
    assert "n3" not in place.live("notes")


def test_no_json_is_refused(place: FeedPlace, address: str) -> None:
    stamp = str(int(time.time()))
    signature = hmac.new(WEBHOOK_SECRET.encode(), stamp.encode() + b".{no", hashlib.sha256).hexdigest()
    headers = {"X-Signature": f"sha256={signature}", "X-Timestamp": stamp}
    assert httpx.post(address, content=b"{no", headers=headers).status_code == 400


def test_a_hundred_megabytes_are_refused_before_they_are_read(address: str) -> None:
    url = httpx.URL(address)
    began = time.monotonic()
    with socket.create_connection((url.host, url.port or 80), timeout=30) as sending:
        head = f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n"
        sending.sendall(head.encode())
        answer = sending.recv(4096)  # without a byte of the body
    assert b" 413 " in answer.splitlines()[0]
    assert time.monotonic() - began < 20

    def pieces() -> Iterator[bytes]:
        for _ in range(1600):
            yield b"x" * 65536

    # Without a length: it ends at the limit.
    try:
        assert httpx.post(address, content=pieces(), timeout=30).status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError):
        pass  # the connection was closed while it was still sent


def test_a_named_row_is_read_back(place: FeedPlace, desk: Helpdesk, address: str) -> None:
    desk.put("tickets", 5, "2026-11-30T10:00:00Z", number="T-5", subject="as it is now")
    stale = {"type": "ticket.updated", "ticket": {"id": 5, "subject": "as it was"}}
    assert post(address, stale, "t1").json() == {"taken": 1}

    async def run() -> None:
        async with aclosing(place.reader()) as reader:
            await reader.pass_once()

    asyncio.run(run())
    assert place.live("tickets")["5"]["subject"] == "as it is now"
    del desk.rows["tickets"]["5"]
    post(address, {"type": "ticket.deleted", "ticket": {"id": 5}}, "t2")
    asyncio.run(run())
    assert "5" not in place.live("tickets")


def test_without_kafka_there_is_no_answer_of_200_and_the_event_is_not_lost(
    place: FeedPlace, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RetryLater("Kafka is away")

    monkeypatch.setattr(place.sender, "_produce", away)
    assert post(address, note("n7", "kept", 1), "k1").status_code == 503
    assert post(address, note("n7", "kept", 1), "k1").status_code == 503, "also when it is sent again"
    monkeypatch.undo()
    assert post(address, note("n7", "kept", 1), "k1").status_code == 200
    assert place.live("notes")["n7"]["text"] == "kept"
