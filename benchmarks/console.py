"""How long each page and list of the console takes on a hub with a million customers and two million order flows.

`python -m benchmarks.console [--hub DSN] [--customers N] [--flows N] [--requests N]`: fills a hub of its own (some ten
minutes and 15 GB in --folder, deleted at the end), or takes a filled one, starts a console, and asks for every page
and list over HTTP, warm, with other records each time. Prints a table and writes results/console.json. The exit code
is 1 when the 95th percentile of one is above the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg

from benchmarks.console_fill import Size, fill
from benchmarks.run import machine
from benchmarks.site import Say, bench_settings
from streams.cli.context import load_settings
from streams.hub.migrate import migrate
from streams.settings import Settings
from streams.stack.native import NativeStack

RESULT = Path(__file__).with_name("results") / "console.json"
FLOOR_MS = 200.0
SLOWEST_S = 30.0

Address = Callable[[random.Random], str]


def addresses(size: Size) -> dict[str, Address]:
    """Name → an address of it, another one each time. Ids are those of `sql/console_fill.sql`."""

    def id_of(kind: str, most: int) -> Callable[[random.Random], str]:
        import hashlib
        from uuid import UUID

        def address(choose: random.Random) -> str:
            text = f"{kind}{choose.randint(1, most)}"
            return str(UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()))

        return address

    customer, product = id_of("customer", size.customers), id_of("product", size.products)
    large = id_of("customer", min(50, size.customers))
    flow = id_of("order", size.flows // 20)  # of these one in four has its documents; a flow of each has its record
    number = lambda choose: f"{choose.randint(1, size.flows):07}"  # noqa: E731
    stage = lambda choose: choose.choice(["ordered", "invoiced", "paid", "won", "cancelled", "overpaid"])  # noqa: E731
    word = lambda choose: choose.choice(["technoprima", "acmewerk", "nordwind verpackung", "rheinbau", "gmbh"])  # noqa: E731
    text: dict[str, Address] = {
        "overview": lambda c: "/",
        "flows": lambda c: "/flows",
        "flows, one stage": lambda c: f"/flows?stage={stage(c)}",
        "flows, next page": lambda c: f"/flows?after={int(time.time() * 1e6) - c.randint(1, 10**13)}:{customer(c)}",
        "flows, stuck": lambda c: "/flows?stuck=true",
        "flows, of a customer": lambda c: f"/flows?customer={customer(c)}",
        "flows, of a large customer": lambda c: f"/flows?customer={large(c)}",
        "flows, customer's name": lambda c: f"/flows?customer={quote(word(c))}",
        "flows, customer's name and stage": lambda c: f"/flows?customer={quote(word(c))}&stage={stage(c)}",
        "flows, text": lambda c: f"/flows?text={quote(c.choice(['SO00', 'technoprima', 'deal 77', 'RE0001']))}",
        "flows, number": lambda c: f"/flows?number={number(c)}",
        "flow": lambda c: f"/flows/{flow(c)}",
        "find, number": lambda c: f"/find?text=SO{number(c)}",
        "find, digits": lambda c: f"/find?text={c.randint(1, size.flows)}",
        "find, name": lambda c: f"/find?text={quote(word(c))}",
        "find, Chinese name": lambda c: f"/find?text={quote(c.choice(['华东', '上海机械', '精密', '长江化工']))}",
        "find, e-mail": lambda c: f"/find?text=office@c{c.randint(1, size.customers)}.example",
        "find, phone": lambda c: f"/find?text={quote(f'+4930{10_000_000 + c.randint(1, size.customers)}')}",
        "find, tax id": lambda c: f"/find?text=DE{100_000_000 + c.randint(1, size.customers)}",
        "find, id": lambda c: f"/find?text={customer(c)}",
        "find, nothing": lambda c: f"/find?text=zzqx{c.randint(1, 999)}qq",
        "records, customers": lambda c: "/records?entity=customer",
        "records, customers, next page": lambda c: f"/records?entity=customer&after={customer(c)}:{quote(word(c))}",
        "records, orders": lambda c: "/records?entity=sales_order",
        "record, customer": lambda c: f"/records/customer/{customer(c)}",
        "record, large customer": lambda c: f"/records/customer/{large(c)}",
        "record, product": lambda c: f"/records/product/{product(c)}",
        "journey": lambda c: f"/records/{customer(c)}/journey",
    }
    return text


def other_pages(app: Any) -> dict[str, Address]:
    """The pages and lists that need no name of anything, so that none is forgotten."""
    from starlette.routing import Route

    skipped = ("/choose", "/sign", "/metrics", "/events", "/live", "/tour")
    return {
        f"{route.path}": lambda c, path=route.path: path  # type: ignore[misc]
        for route in app.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and "{" not in route.path
        and not route.path.startswith(skipped)
    }


def measure(base: str, name: str, address: Address, requests: int) -> dict[str, Any]:
    """Times of warm requests to one page, in ms."""
    choose = random.Random(name)
    times: list[float] = []
    states: dict[int, int] = {}
    with httpx.Client(base_url=base, timeout=SLOWEST_S) as client:
        for turn in range(requests + 3):
            path = address(choose)
            begin = time.perf_counter()
            try:
                status = client.get(path).status_code
            except httpx.TimeoutException:
                status = 0
            if turn >= 3:
                times.append((time.perf_counter() - begin) * 1000)
                states[status] = states.get(status, 0) + 1
    times.sort()
    return {
        "name": name, "p50_ms": round(_at(times, 0.5), 1), "p95_ms": round(_at(times, 0.95), 1),
        "max_ms": round(times[-1], 1), "states": states,
    }  # fmt: skip


def _at(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


@contextmanager
def running_console(dsn: str, folder: Path) -> Iterator[str]:
    """A console process on this hub; its address."""
    environment = os.environ | {"OPSHUB_HUB_DSN": dsn, "OPSHUB_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "streams.cli", "console", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "http://" in line:
                base = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/.,")
                break
        else:
            raise RuntimeError("the console ended before it said its address")
        yield base
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def filled_hub(settings: Settings, size: Size, say: Say) -> Iterator[str]:
    """A hub of its own with a company of this size; deleted at the end."""
    own = bench_settings(settings)
    stack = NativeStack(own)
    stack.up()
    try:
        dsn = stack.settings.hub
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as hub:
            say(json.dumps(fill(hub, size, say)))
        yield dsn
    finally:
        stack.down()
        shutil.rmtree(own.state_dir, ignore_errors=True)


def run(dsn: str, size: Size, requests: int, folder: Path, say: Say) -> dict[str, Any]:
    """Measure every page; the result as results/console.json has it."""
    from streams.console.app import create_app

    with psycopg.connect(dsn) as hub:
        row = hub.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
    pages = addresses(size)
    pages |= {name: path for name, path in other_pages(create_app(Settings())).items() if name not in ("/", "/find")}
    results = []
    with running_console(dsn, folder) as base:
        for name, address in pages.items():
            results.append(measure(base, name, address, requests))
            done = results[-1]
            say(
                f"{name:34} p50 {done['p50_ms']:8.1f}  p95 {done['p95_ms']:8.1f}  max {done['max_ms']:8.1f}  {done['states']}"
            )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(),
        "load": [round(value, 1) for value in os.getloadavg()], "customers": size.customers, "flows": size.flows,
        "hub_bytes": row[0], "requests": requests, "floor_ms": FLOOR_MS, "pages": results,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--hub", help="a hub that is filled already")
    parser.add_argument("--customers", type=int, default=Size().customers)
    parser.add_argument("--flows", type=int, default=Size().flows)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/opshub-console-bench"))
    given = parser.parse_args()
    size = Size(customers=given.customers, flows=given.flows)
    say: Say = lambda text: print(text, flush=True)  # noqa: E731
    if given.hub:
        result = run(given.hub, size, given.requests, given.folder, say)
    else:
        with filled_hub(load_settings(state_dir=given.folder), size, say) as dsn:
            result = run(dsn, size, given.requests, given.folder, say)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    slow = [page["name"] for page in result["pages"] if page["p95_ms"] > FLOOR_MS]
    say(f"above {FLOOR_MS:.0f} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
