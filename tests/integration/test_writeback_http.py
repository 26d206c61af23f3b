"""The HTTP adapter against a real server over a real socket, with the faults that real interfaces have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from streams.writeback.failures import Refused, TargetDown
from streams.writeback.http import HttpAdapter
from streams.writeback.rules import HttpAction, HttpTarget, Rule, duration
from streams.writeback.work import Job, Outcome


class Shop(ThreadingHTTPServer):
    """An ERP with a REST and a JSON-RPC interface. Each fault happens once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.orders: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.faults: set[str] = set()
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
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        shop = self.server
        shop.seen.append(("GET", self.path, dict(self.headers)))
        address = urlparse(self.path)
        if address.path.startswith("/orders/"):
            self._answer(200, next(o for o in shop.orders if str(o["id"]) == address.path.rsplit("/", 1)[1]))
            return
        asked = parse_qs(address.query)
        page = int(asked.get("page", ["0"])[0])
        items = shop.orders[page : page + 1]
        wanted = asked["ref"][0]
        follows = f"/orders?ref={wanted}&page={page + 1}" if page + 1 < len(shop.orders) else None
        self._answer(200, {"match": next((o for o in items if o["ref"] == wanted), None), "next": follows})

    def do_POST(self) -> None:
        shop = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        shop.seen.append(("POST", self.path, dict(self.headers)))
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


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.waits.set()
    server.shutdown()
    server.server_close()
    thread.join()


REST = HttpAction.model_validate(
    {
        "look_up": {"method": "GET", "path": "/orders", "query": {"ref": "$key"}, "found": "match", "next": "next"},
        "send": {
            "path": "/orders",
            "json": {
                "ref": "$key",
                "customer": "C-$customer",
                "amount": "$amount",
                "lines": {"each": "lines", "do": {"sku": "$sku", "qty": "$qty"}},
            },
        },
        "result": {"order.id": "order.id", "order.number": "order.number"},
        "read_back": {"method": "GET", "path": "/orders/$order.id"},
        "compare": {"amount": "amount"},
    }
)


def adapter(shop: Shop, timeout: str = "5 s") -> HttpAdapter:
    return HttpAdapter(
        HttpTarget(
            adapter="http",
            base_url=f"http://127.0.0.1:{shop.server_port}",
            headers={"Authorization": "Bearer t"},
            timeout=duration(timeout),
        )
    )


def job(key: str, action: HttpAction = REST, **more: Any) -> Job:
    rule = Rule.model_construct(http=action)
    params = {"customer": "7", "amount": 12.5}
    return Job(key=key, rule=rule, params=params, lines=[{"sku": "M-1", "qty": 2}, {"sku": "M-2", "qty": 1}], **more)


async def one(target: HttpAdapter, what: Job) -> Outcome:
    """What came of one job; what was refused is raised."""
    (((_, outcome),),) = [settled async for settled in target.deliver([what])]
    if not isinstance(outcome, Outcome):
        raise outcome
    return outcome


async def test_a_request_carries_values_lines_key_and_rights(shop: Shop) -> None:
    target = adapter(shop)
    outcome = await one(target, job("k1"))
    await target.close()
    assert outcome.what == "done" and outcome.result["order"] == {"id": 1, "number": "R001"}
    lines = [{"sku": "M-1", "qty": 2}, {"sku": "M-2", "qty": 1}]
    assert shop.orders == [{"id": 1, "number": "R001", "ref": "k1", "customer": "C-7", "amount": 12.5, "lines": lines}]
    headers = shop.seen[0][2]
    assert headers["Idempotency-Key"] == "k1" and headers["Authorization"] == "Bearer t"


async def test_after_a_time_out_it_is_looked_up_page_by_page_and_not_done_twice(shop: Shop) -> None:
    target = adapter(shop, "300 ms")
    for number in range(3):
        await one(target, job(f"other-{number}"))
    shop.faults.add("times out")
    with pytest.raises(TargetDown):
        await one(target, job("k1"))
    outcome = await one(target, job("k1"))
    await target.close()
    assert outcome.what == "found" and outcome.result["found"]["number"] == "R004"
    assert [order["ref"] for order in shop.orders] == ["other-0", "other-1", "other-2", "k1"]


async def test_another_process_that_takes_over_looks_first(shop: Shop) -> None:
    first, second = adapter(shop), adapter(shop)
    await one(first, job("k1"))
    outcome = await one(second, job("k1", tried=True))
    await first.close()
    await second.close()
    assert outcome.what == "found" and len(shop.orders) == 1


async def test_without_a_way_to_find_out_it_is_refused_rather_than_risked(shop: Shop) -> None:
    blind = REST.model_copy(update={"look_up": None, "idempotency_header": None})
    target = adapter(shop)
    with pytest.raises(Refused, match="no way to find out"):
        await one(target, job("k1", blind, tried=True))
    await target.close()
    assert shop.orders == []


async def test_a_field_that_was_dropped_is_noticed(shop: Shop) -> None:
    target = adapter(shop)
    shop.faults.add("drops")
    with pytest.raises(Refused, match=r"amount is None, should be 12\.5"):
        await one(target, job("k1"))
    await target.close()


async def test_no_means_refused_and_busy_means_later(shop: Shop) -> None:
    target = adapter(shop)
    shop.faults |= {"refuses", "unavailable"}
    with pytest.raises(TargetDown, match="503"):
        await one(target, job("k1"))
    with pytest.raises(Refused, match="customer is blocked"):
        await one(target, job("k1"))
    await target.close()
    gone = HttpAdapter(HttpTarget(adapter="http", base_url="http://127.0.0.1:9"))
    with pytest.raises(TargetDown):
        await one(gone, job("k1"))
    await gone.close()


async def test_json_rpc_says_no_with_200(shop: Shop) -> None:
    rpc = HttpAction.model_validate(
        {"send": {"path": "/rpc", "rpc": "order.create", "json": {"ref": "$key"}}, "result": {"order.id": "id"}}
    )  # fmt: skip
    target = adapter(shop)
    assert (await one(target, job("k1", rpc))).result == {"order": {"id": 1}}
    with pytest.raises(Refused, match="no such customer"):
        await one(target, job("bad", rpc))
    await target.close()


async def test_what_would_be_sent_is_told(shop: Shop) -> None:
    target = adapter(shop)
    (request,) = target.describe(job("k1"))
    assert (request["method"], request["path"]) == ("POST", "/orders")
    assert request["json"]["lines"][1] == {"sku": "M-2", "qty": 1}
    with pytest.raises(Refused, match=r"\$nothing"):
        target.describe(job("k1", HttpAction.model_validate({"send": {"path": "/$nothing"}})))
