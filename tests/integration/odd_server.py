"""An ERP over HTTP that answers chosen requests with everything that real interfaces are reported to answer.

Each request has a phase: `send`, `look_up` or `read_back`. `odd` says what the server answers to a phase, and how often
before it is well again.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlparse

from streams.writeback.http import HttpAdapter

HTML = b"<!DOCTYPE html><html><body><form action='/login'>please log in</form></body></html>"


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def phase(self) -> str:
        if self.path.startswith("/prices/"):
            return "read" if self.method == "GET" else "write"
        if self.method == "POST":
            return "send" if self.path == "/orders" else self.path
        return "look_up" if self.path == "/orders" else "read_back"


Answer = Callable[[dict[str, Any] | None], bytes | None]
"""(the answer of a healthy server) → the bytes to send; None: reset the connection."""


class Odd(NamedTuple):
    """One odd answer. `drip`: seconds between its bytes. `hangs`: nothing more comes, and the connection stays open."""

    answer: Answer
    drip: float = 0.0
    hangs: bool = False


def raw(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; `Content_Type` is the header Content-Type."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Content-Type": "application/json", "Content-Length": str(len(body))} | given
    head = f"HTTP/1.1 {status} Odd\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return head.encode("latin-1") + b"\r\n" + body


def fixed(status: int, body: bytes | object = b"", **headers: str) -> Odd:
    """The same answer, whatever was asked."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Odd(lambda good: raw(status, content, **headers))


def changed(change: Callable[[str], str | bytes], **headers: str) -> Odd:
    """The good answer with another body."""

    def answer(good: dict[str, Any] | None) -> bytes:
        body = change(json.dumps(good))
        return raw(200, body if isinstance(body, bytes) else body.encode(), **headers)

    return Odd(answer)


BIG = raw(200, b'{"items": [' + b" " * 100_000_000)


def _bomb(size: int) -> bytes:
    return gzip.compress(b"[" + b" " * size + b"]")


ODD: dict[str, Odd] = {
    **{f"{status} to the log-in": fixed(status, Location="/login") for status in (300, 301, 302, 303, 307, 308)},
    "302 with a page": fixed(302, HTML, Location="https://sso.example/login", Content_Type="text/html"),
    "302 without a place": fixed(302),
    "304": Odd(lambda good: b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "200 empty": fixed(200),
    "201 empty": fixed(201),
    "204": Odd(lambda good: b"HTTP/1.1 204 No Content\r\n\r\n"),
    "205": fixed(205),
    "success false": fixed(200, {"success": False, "errors": ["customer is blocked"]}),
    "success false with an empty list": fixed(200, {"success": False, "items": [], "order": {"id": 0}}),
    "errors": fixed(200, {"errors": [{"message": "not now"}], "items": []}),
    "error object": fixed(200, {"error": {"code": 17}, "items": None}),
    "status error": fixed(200, {"status": "error", "items": []}),
    "ids are false": fixed(200, {"order": {"id": False, "number": ""}, "id": False}),
    "ids are null": fixed(200, {"order": None, "items": {}}),
    "maintenance": fixed(200, {"message": "back in a minute"}),
    "empty object": fixed(200, {}),
    "empty list": fixed(200, []),
    "a text": fixed(200, "ok"),
    "a number": fixed(200, 1),
    "null": fixed(200, b"null"),
    "202 queued": fixed(202, {"status": "queued"}),
    "202 empty": fixed(202),
    "206 in part": fixed(206, {"items": []}),
    "207 multi-status": fixed(207, {"items": [], "responses": [{"status": 422}]}),
    "226": fixed(226, {"items": []}),
    "a page": fixed(200, HTML, Content_Type="text/html; charset=utf-8"),
    "a page as JSON": fixed(200, HTML),
    "404 page of a gateway": fixed(404, HTML, Content_Type="text/html"),
    "404 JSON of another service": fixed(404, {"error": "no route"}),
    "404 empty": fixed(404),
    "403 page of a firewall": fixed(403, HTML, Content_Type="text/html"),
    "400": fixed(400, {"error": "bad request"}),
    "401": fixed(401, {"error": "expired"}),
    "403": fixed(403, {"error": "forbidden"}),
    "403 with Retry-After": fixed(403, {"error": "limit exceeded"}, Retry_After="30"),
    "407": fixed(407),
    "408": fixed(408),
    "409 with the id": fixed(409, {"error": "exists", "id": 1}),
    "410": fixed(410, {}),
    "422": fixed(422, {"error": "customer is blocked"}),
    "423 locked": fixed(423, {"error": "locked"}),
    "425": fixed(425),
    "429": fixed(429, {}, Retry_After="7"),
    "429 without Retry-After": fixed(429),
    **{f"{status}": fixed(status, {"error": "fault"}) for status in (500, 501, 502, 503, 504, 520, 599)},
    "502 page": fixed(502, HTML, Content_Type="text/html"),
    "503 with Retry-After": fixed(503, HTML, Retry_After="60", Content_Type="text/html"),
    "200 with Retry-After": fixed(200, {"status": "busy"}, Retry_After="5"),
    "status 999": fixed(999, {}),
    "truncated JSON": changed(lambda good: good[: len(good) // 2]),
    "not UTF-8": fixed(200, b'{"order": {"id": "\xff\xfe\x00"}, "items": ["\xff"]}'),
    "key twice": changed(lambda good: '{"items": [], "items": [], "order": {"id": 7}, "order": {"id": 8}}'),
    "NaN": fixed(200, b'{"items": NaN, "order": {"id": NaN}}'),
    "number without end": fixed(200, b'{"order": {"id": ' + b"9" * 5000 + b'}, "items": 1e999999999}'),
    "deep": fixed(200, b"[" * 100_000 + b"]" * 100_000),
    "NUL in a text": fixed(200, rb'{"error": "a\u0000b\ud800", "items": []}'),
    "gzip bomb": fixed(200, _bomb(60_000_000), Content_Encoding="gzip"),
    "broken gzip": fixed(200, _bomb(1000)[:-9], Content_Encoding="gzip"),
    "encoding that nobody asked for": fixed(200, b"\x0b\x02\x80{}\x03", Content_Encoding="br"),
    "Content-Length too large": fixed(200, b'{"items": []}', Content_Length="400"),
    "Content-Length too small": fixed(200, b'{"items": []}' * 3, Content_Length="5"),
    "no Content-Length": Odd(lambda good: b"HTTP/1.1 200 OK\r\n\r\n{"),
    "chunks that are none": fixed(200, b"zz\r\n", Transfer_Encoding="chunked", Content_Length=""),
    "no HTTP": Odd(lambda good: b"220 smtp ready\r\n\r\n"),
    "endless headers": Odd(lambda good: b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n"),
    "100 MB": Odd(lambda good: BIG),
    "no answer": Odd(lambda good: b""),
    "reset": Odd(lambda good: None),
    "hangs": Odd(lambda good: b"", hangs=True),
    "hangs in the middle": Odd(lambda good: b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"items"', hangs=True),
    "drips": Odd(lambda good: raw(200, json.dumps(good).encode()), drip=0.2),
    "another order": fixed(200, {"order": {"id": 900, "ref": "other"}, "items": [{"id": 900, "ref": "other", "amount": 12.5}], "id": 900, "ref": "other", "amount": 12.5}),
}  # fmt: skip
GOOD: dict[str, Odd] = {
    "well": changed(lambda good: good),
    "JSON as text/html": changed(lambda good: good, Content_Type="text/html"),
    "with a BOM": changed(lambda good: "\ufeff" + good),
    "UTF-16": changed(lambda good: good.encode("utf-16")),
    "gzip": changed(lambda good: gzip.compress(good.encode()), Content_Encoding="gzip"),
    "ids as texts": changed(lambda good: good.replace('"id": 1', '"id": "1"').replace("12.5", '"12.50"')),
}


class OddServer:
    """The ERP. `clock` is the time of the test, by which its search index is late."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.orders: list[dict[str, Any]] = []
        self.index_lag_s = 0.0
        self.odd: dict[str, tuple[Odd, int, bool]] = {}
        """Phase → (what it answers, how often, whether the work is done all the same)."""
        self.seen: list[Request] = []
        self.tokens: Iterator[str] | None = None
        self.valid_token: str | None = None
        self.drops: set[str] = set()
        self.price: float = 8
        self.port = 0
        self.adapters: list[HttpAdapter] = []
        """Closed with the server."""
        self._made: dict[str, float] = {}

    def _do(self, request: Request) -> dict[str, Any]:
        if request.phase == "send":
            content = {name: value for name, value in request.body.items() if name not in self.drops}
            order = {"id": len(self.orders) + 1, **content}
            self.orders.append(order)
            self._made[order["ref"]] = self.clock()
            return {"order": order}
        if request.phase == "write":
            self.price = request.body["price"]
        if request.phase in ("read", "write"):
            return {"price": self.price, "blocked": "X"}
        known = [*self.orders, {"id": 900, "ref": "other", "amount": 12.5}]
        if request.phase == "look_up":
            visible = [o for o in known if self.clock() - self._made.get(o["ref"], -1e9) >= self.index_lag_s]
            return {"items": [order for order in visible if order["ref"] == request.query["ref"]]}
        number = request.path.rpartition("/")[2]
        return next((order for order in known if str(order["id"]) == number), {})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.seen.append(request)
                if not await self._answer(request, writer):
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used further."""
        if request.path in ("/token", "/session") and request.path not in self.odd:
            assert self.tokens is not None
            self.valid_token = next(self.tokens)
            writer.write(raw(200, json.dumps({"access_token": self.valid_token, "expires_in": 3600}).encode()))
            return True
        if (
            request.path not in self.odd
            and self.tokens is not None
            and request.headers.get("authorization") != f"Bearer {self.valid_token}"
        ):
            writer.write(raw(401, json.dumps({"error": f"no {request.headers.get('authorization')}"}).encode()))
            return True
        odd, left, works = self.odd.get(request.phase, (GOOD["well"], 0, True))
        if left == 0:
            writer.write(raw(200, json.dumps(self._do(request)).encode()))
            await writer.drain()
            return True
        self.odd[request.phase] = odd, left - 1, works
        good = self._do(request) if works else None
        content = odd.answer(good)
        if content is None:
            writer.transport.abort()
            return False
        for start in range(0, len(content), 1 if odd.drip else 1 << 20):
            writer.write(content[start : start + (1 if odd.drip else 1 << 20)])
            await writer.drain()
            await asyncio.sleep(odd.drip)
        if odd.hangs:
            await asyncio.sleep(30)
        return False


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, address, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlparse(address)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    is_json = "json" in headers.get("content-type", "")
    return Request(method, url.path, query, headers, json.loads(body) if body and is_json else body)


@asynccontextmanager
async def open_odd_server(clock: Callable[[], float]) -> AsyncIterator[OddServer]:
    server = OddServer(clock)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for adapter in server.adapters:
            await adapter.close()
        listener.close()
