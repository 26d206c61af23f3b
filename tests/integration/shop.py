"""An ERP with a REST and a JSON-RPC interface, on a real socket, with the faults that real ones have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse


class Shop(ThreadingHTTPServer):
    """An ERP with a REST and a JSON-RPC interface. Each fault happens once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.orders: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.prices: dict[str, dict[str, Any]] = {}
        self.faults: set[str] = set()
        self.broken: dict[str, int] = {}
        """ref of an order → the status with which it is always answered; 0 for no answer at all."""
        self.retry_after: str | None = None
        self.delay_s = 0.0
        self.waits = threading.Event()

    def fault(self, name: str) -> bool:
        if name in self.faults:
            self.faults.remove(name)
            return True
        return False


class Handler(BaseHTTPRequestHandler):
    server: Shop

    def log_message(self, format: str, *args: Any) -> None:
        return

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        if status >= 429 and self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        shop = self.server
        shop.seen.append(("GET", self.path, dict(self.headers)))
        address = urlparse(self.path)
        if address.path.startswith("/products/"):
            known = shop.prices.get(address.path.rsplit("/", 1)[1])
            self._answer(200 if known is not None else 404, known)
            return
        if address.path.startswith("/orders/"):
            if shop.fault("reads too often"):
                self._answer(429, {"error": "too many requests"})
                return
            self._answer(200, next(o for o in shop.orders if str(o["id"]) == address.path.rsplit("/", 1)[1]))
            return
        asked = parse_qs(address.query)
        page = int(asked.get("page", ["0"])[0])
        items = shop.orders[page : page + 1]
        wanted = asked["ref"][0]
        follows = f"/orders?ref={wanted}&page={page + 1}" if page + 1 < len(shop.orders) else None
        self._answer(200, {"match": next((o for o in items if o["ref"] == wanted), None), "next": follows})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(("PUT", self.path, dict(self.headers)))
        self.server.prices[self.path.rsplit("/", 1)[1]] = body
        self._answer(200, {})

    def do_POST(self) -> None:
        shop = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shop.seen.append(("POST", self.path, dict(self.headers)))
        time.sleep(shop.delay_s)
        broken = shop.broken.get(body.get("ref", ""))
        if broken == 0:
            shop.waits.wait(5)
            return
        if broken is not None:
            self._answer(broken, {"error": "a fault of its own"})
            return
        if shop.fault("unavailable"):
            self._answer(503, {"error": "restarting"})
            return
        if self.path == "/rpc":
            if body["params"]["ref"] == "bad":
                self._answer(
                    200, {"jsonrpc": "2.0", "id": body["id"], "error": {"code": -1, "message": "no such customer"}}
                )
            else:
                shop.orders.append({"id": len(shop.orders) + 1, **body["params"]})
                self._answer(200, {"jsonrpc": "2.0", "id": body["id"], "result": {"id": len(shop.orders)}})
            return
        if shop.fault("refuses"):
            self._answer(422, {"error": "customer is blocked"})
            return
        order = {"id": len(shop.orders) + 1, "number": f"R{len(shop.orders) + 1:03}", **body}
        if shop.fault("drops"):
            del order["amount"]
        shop.orders.append(order)
        if shop.fault("times out"):
            shop.waits.wait(5)
            return
        self._answer(201, {"order": order})


@contextmanager
def open_shop() -> Iterator[Shop]:
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.waits.set()
        server.shutdown()
        server.server_close()
        thread.join()
