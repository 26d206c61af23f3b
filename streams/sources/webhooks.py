"""Receives what systems send: `POST /webhooks/<system>`.

In: a signed request. Out: raw records in Kafka, or rows in the hub that are to be read, and only then an answer of 200:
a sender that gets no answer sends it again. Refused, before anything is kept: a body that is too large (before it is
read), a wrong signature, a time outside the window, no JSON. An event that comes twice counts once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from streams.errors import RetryLater
from streams.hub.sources import Hub, add_event, add_hint, want_read
from streams.provision.source_file import Receiver, Signature, Webhook
from streams.runtime.fault_points import fault_point
from streams.sources.feeds import FeedSystem
from streams.sources.rows import Feed, feed_row, holds, key_text, reach, row_of, text_of
from streams.sources.sender import Sender
from streams.sources.table_store import TableWriter
from streams.writeback.http_answers import MISSING
from streams.writeback.http_body import parse_json

logger = logging.getLogger(__name__)

BODY_WITHIN_S = 30.0
KAFKA_WITHIN_S = 8.0
"""Senders wait some ten seconds for an answer."""


class Refused(Exception):
    """The request is refused with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Webhooks:
    """The receiver of all systems. `wake` is called with a system whose rows are to be read."""

    def __init__(
        self,
        systems: Mapping[str, FeedSystem],
        connect: Callable[[], Hub],
        sender: Sender,
        wake: Callable[[str], object] = lambda system: None,
    ) -> None:
        self._systems = {name: system for name, system in systems.items() if system.source.receiver is not None}
        self._connect = connect
        self._sender = sender
        self._wake = wake
        self.counts: Counter[str] = Counter()

    def app(self) -> Starlette:
        """The web application."""
        return Starlette(routes=[Route("/webhooks/{system}", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> JSONResponse:
        name = request.path_params["system"]
        system = self._systems.get(name)
        try:
            if system is None or system.source.receiver is None:
                raise Refused(404, "there is no such system, or it has no receiver")
            body = await _body(request, system.source.receiver.most_bytes)
            check_signature(system.source.receiver.signature, request.headers, body, time.time())
            content = parse_json(body)
            if content is MISSING:
                raise Refused(400, "the body is no JSON")
            events = content if isinstance(content, list) else [content]
            taken = await asyncio.to_thread(self._take, system, system.source.receiver, request.headers, events, body)
        except Refused as refused:
            self.counts[f"webhook_{refused.status}"] += 1
            logger.warning("webhook of %s refused: %s", name, refused)
            return JSONResponse({"error": str(refused)}, refused.status)
        except (RetryLater, psycopg.Error) as error:
            self.counts["webhook_503"] += 1
            logger.warning("webhook of %s is not taken: %s", name, error)
            return JSONResponse({"error": "not taken: send it again"}, 503, headers={"Retry-After": "5"})
        self.counts["webhook_taken"] += taken
        self._wake(name)
        return JSONResponse({"taken": taken})

    def _take(
        self, system: FeedSystem, receiver: Receiver, headers: Mapping[str, str], events: list[Any], body: bytes
    ) -> int:
        """Keep the events in one transaction, and send what came of them; how many were not known."""
        taken = 0
        last: dict[str, int] = {}
        with self._connect() as hub:
            with hub.transaction():
                for number, event in enumerate(events):
                    if not add_event(hub, system.name, event_id(receiver, headers, event, body, number)):
                        continue
                    taken += 1
                    for table, webhook in system.webhooks.items():
                        if holds(event, webhook.when):
                            position = self._take_event(hub, system.feeds[table], webhook, event)
                            last |= {} if position is None else {system.feeds[table].topic: position}
                            if system.source.tables[table].sync.on == "webhook":
                                want_read(hub, system.name, table)
                fault_point("sources.saved")
        if taken < len(events):
            # It came before: also then Kafka must have it before the answer.
            self._sender.send(system.name)
            if self._sender.waiting(system.name):
                raise RetryLater("Kafka does not have it yet")
        for topic, position in last.items():
            if not self._sender.send_up_to(system.name, topic, position, KAFKA_WITHIN_S):
                raise RetryLater("Kafka does not have it yet")
        return taken

    def _take_event(self, hub: Hub, feed: Feed, webhook: Webhook, event: Any) -> int | None:
        """The position of what is to be sent; None for a row that is read instead."""
        if webhook.key is not None:
            key = key_text([reach(event, webhook.key)])
            if key is None:
                raise Refused(422, f"there is no key at {webhook.key}")
            add_hint(hub, feed.system, feed.table, key)
            return None
        content = reach(event, webhook.row)
        if not isinstance(content, dict):
            raise Refused(422, f"there is no row at {webhook.row}")
        gone = webhook.deleted is not None and holds(event, webhook.deleted)
        order = reach(content, webhook.order) if webhook.order is not None else None
        row = feed_row(
            feed, row_of(feed, content), version=None if order is None else text_of(order), gone=gone
        )  # fmt: skip
        writer = TableWriter(hub, feed)
        writer.write([row])
        return writer.position


async def _body(request: Request, most_bytes: int) -> bytes:
    """The raw body. Raises Refused for one that is too large: by its header before it is read, else at the limit."""
    length = request.headers.get("content-length")
    if length is not None and (not length.isdigit() or int(length) > most_bytes):
        raise Refused(413, f"more than {most_bytes:,} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise Refused(413, f"more than {most_bytes:,} bytes")
    except (TimeoutError, ClientDisconnect):
        raise Refused(408, "the body did not come") from None
    return bytes(body)


def check_signature(signature: Signature, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raises Refused where the body is not signed with our secret, or was signed outside the window."""
    signed = body
    if signature.timestamp is not None:
        stamp = headers.get(signature.timestamp, "")
        at = _seconds(stamp)
        if at is None or abs(now - at) > signature.window.total_seconds():
            raise Refused(401, f"{signature.timestamp} is missing, or outside the window")
        signed = stamp.encode() + b"." + body
    computed = hmac.new(signature.secret.encode(), signed, getattr(hashlib, signature.algorithm)).digest()
    wanted = computed.hex() if signature.encoding == "hex" else base64.b64encode(computed).decode()
    given = headers.get(signature.header, "").removeprefix(signature.prefix)
    if signature.encoding == "hex":
        given = given.lower()
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise Refused(401, "the signature is wrong")


def _seconds(stamp: str) -> float | None:
    """Seconds since 1970, of a number of seconds or milliseconds, or of an ISO time."""
    try:
        number = float(stamp)
    except ValueError:
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return number / 1000 if number > 1e11 else number


def event_id(receiver: Receiver, headers: Mapping[str, str], event: Any, body: bytes, number: int) -> str:
    """By what an event that comes twice is known: its id, else the content of the request."""
    if receiver.event_id is not None:
        given = headers.get(receiver.event_id) or reach(event, receiver.event_id)
        if given not in (None, ""):
            # A header names the request, and a request may have several events.
            return f"{text_of(given)}#{number}" if number else text_of(given)
    stamp = headers.get(receiver.signature.timestamp or "", "")
    return f"sha256:{hashlib.sha256(stamp.encode() + b'.' + body).hexdigest()}#{number}"
