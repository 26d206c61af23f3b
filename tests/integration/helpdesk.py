"""A helpdesk in the cloud, on a real socket: an interface with tokens, pages and cursors, and the faults that real ones have."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.serving import serving

SECRET = "desk-client-secret"


class Helpdesk(ThreadingHTTPServer):
    """`tickets` and `requesters` by id; a list is ordered by `updated_at`, as documented interfaces do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"tickets": {}, "requesters": {}}
        self.seen: list[str] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        """What the next requests for rows get in place of them: status, headers, body; a status of 0: the rows."""
        self.after_page: Callable[[int], object] = lambda number: None
        self.tokens: set[str] = set()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, kind: str, key: Any, updated_at: str, **row: Any) -> None:
        self.rows[kind][str(key)] = {"id": key, "updated_at": updated_at, **row}


class Handler(BaseHTTPRequestHandler):
    server: Helpdesk
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert form["grant_type"] == ["client_credentials"]
        token = f"token-{len(self.server.seen)}-{len(self.server.tokens)}"
        self.server.tokens.add(token)
        self._send(200, {"access_token": token, "expires_in": 3600})

    def do_GET(self) -> None:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.server.tokens:
            self._send(401, {"error": "token expired"})
            return
        self.server.seen.append(self.path)
        if self.server.answers:
            status, headers, body = self.server.answers.pop(0)
            if status:
                self._raw(status, headers, body)
                return
        address = urlparse(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        _, _, kind, *key = address.path.split("/")
        if key:
            row = self.server.rows[kind].get(key[0])
            self._send(200, {"data": row}) if row else self._send(404, {"error": "no such row"})
        elif kind == "tickets":
            self._page(query)
        else:
            self._cursor(kind, query)

    def _list(self, kind: str, since: str) -> list[dict[str, Any]]:
        rows = [row for row in self.server.rows[kind].values() if row.get("updated_at", "") >= since]
        return sorted(rows, key=lambda row: (row.get("updated_at", ""), str(row.get("id"))))

    def _page(self, query: dict[str, str]) -> None:
        number, size = int(query["page"]), int(query["per_page"])
        rows = self._list("tickets", query.get("updated_since", ""))[(number - 1) * size : number * size]
        self._send(200, {"data": rows})
        self.server.after_page(number)

    def _cursor(self, kind: str, query: dict[str, str]) -> None:
        rows = [row for row in self._list(kind, query.get("since", "")) if str(row["id"]) > query.get("after", "")]
        rows.sort(key=lambda row: str(row["id"]))
        following = str(rows[1]["id"]) if len(rows) > 2 else None
        self._send(200, {"data": rows[:2], "meta": {"next": following}})

    def _send(self, status: int, content: Any) -> None:
        self._raw(status, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _raw(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def open_helpdesk() -> Iterator[Helpdesk]:
    with serving(Helpdesk()) as server:
        yield server
