"""A small ERP on a real socket that speaks as real ones do: JSON-RPC without a version, forms, files, XML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.serving import serving


class Erp(ThreadingHTTPServer):
    """`orders` by id; `faults`: what goes wrong next, once each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.orders: dict[int, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.files: list[tuple[str, str, str]] = []
        self.faults: set[str] = set()

    def take(self, fault: str) -> bool:
        if fault in self.faults:
            self.faults.remove(fault)
            return True
        return False


class Handler(BaseHTTPRequestHandler):
    server: Erp

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        ref = parse_qs(self.path.partition("?")[2])["ref"][0]
        self.server.calls.append(f"look up {ref}")
        self._answer({"orders": [order for order in self.server.orders.values() if order["ref"] == ref]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        if self.path == "/rpc":
            self._rpc(json.loads(body))
        elif self.path == "/batch":
            self._batch(json.loads(body)["orders"])
        elif self.path == "/soap":
            self._soap(body.decode(), kind)
        elif "multipart" in kind:
            message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            for part in message.get_payload():  # type: ignore[union-attr]
                content = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
                name = str(part.get_param("name", header="Content-Disposition"))  # type: ignore[union-attr]
                self.server.files.append((name, str(part.get_filename()), content))  # type: ignore[union-attr]
            self._answer({"id": 1})
        else:
            fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.server.files.append((kind, "", json.dumps(fields, sort_keys=True)))
            self._answer({"ok": True, "id": 7})

    def _rpc(self, request: dict[str, Any]) -> None:
        """{id, method, params} → {id, result} or {id, error: [name, [message, description]]}, always with 200."""
        erp, method, params = self.server, request["method"], request["params"]
        erp.calls.append(method)
        assert set(request) == {"id", "method", "params"}
        result: Any = None
        error: Any = None
        if method == "order.create":
            if erp.take("blocked"):
                error = ["UserError", ["The credit limit of party “Ada” is exceeded.", "Ask your accountant."]]
            else:
                id = len(erp.orders) + 1
                erp.orders[id] = {
                    "id": id,
                    "state": "draft",
                    "lines": [{"id": 10 * id + n} for n in range(2)],
                    **params[0],
                }
                if erp.take("dies after create"):
                    self.close_connection = True
                    return
                result = erp.orders[id]
        elif method in ("order.quote", "order.confirm"):
            order = erp.orders[params[0]]
            if erp.take("locked"):
                error = ["ConcurrencyException", "the order is being edited by another user"]
            else:
                order["state"] = {"order.quote": "quotation", "order.confirm": "confirmed"}[method]
                if method == "order.confirm" and erp.take("drops the reference"):
                    del order["reference"]
        elif method == "order.search":
            wanted = params[0]
            result = [order for order in erp.orders.values() if all(order.get(k) == v for k, v in wanted.items())]
        self._answer({"id": request["id"], **({"error": error} if error else {"result": result})})

    def _batch(self, orders: list[dict[str, Any]]) -> None:
        """Answers in another order than it was asked; orders without a party are refused."""
        erp = self.server
        erp.calls.append(f"batch of {len(orders)}")
        made = []
        for order in reversed(orders):
            if order["party"] is None:
                made.append({"ref": order["ref"], "problem": ["party: is missing"]})
                continue
            id = len(erp.orders) + 1
            erp.orders[id] = {"id": id, **order}
            made.append({"ref": order["ref"], "id": id})
        if erp.take("dies after the batch"):
            self.close_connection = True
            return
        self._answer({"made": made[1:] if erp.take("leaves one out") else made})

    def _soap(self, text: str, kind: str) -> None:
        self.server.files.append((kind, "", text))
        name = text.partition("<name>")[2].partition("</name>")[0]
        if self.server.take("fault"):
            answer = "<s:Envelope xmlns:s='x'><s:Body><s:Fault><faultstring>Name is taken</faultstring></s:Fault></s:Body></s:Envelope>"
        elif self.server.take("bomb"):
            answer = "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><Envelope><Body><id>&a;</id></Body></Envelope>"
        else:
            answer = (
                f"<?xml version='1.0'?><s:Envelope xmlns:s='x'><s:Body><made ref='R1'><id>42</id><name>{name}</name>"
                "<line><id>1</id></line><line><id>2</id></line></made></s:Body></s:Envelope>"
            )
        self._answer(answer, "text/xml; charset=utf-8")

    def _answer(self, content: object, kind: str = "application/json") -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def open_erp() -> Iterator[Erp]:
    with serving(Erp()) as server:
        yield server
