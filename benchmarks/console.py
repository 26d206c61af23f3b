"""How long each page and list of the console takes on a hub with a million customers and two million order flows.

`python -m benchmarks.console [--customers N] [--flows N] [--requests N] [--keep] [--only WORD]`: fills a hub of its own
(some twenty minutes and 10 GB in --folder), starts a console, and asks for every page and list over HTTP, warm, with
other records each time. Prints a table and writes results/console.json. The folder is deleted at the end; with --keep
it stays, and the next run measures without filling. The exit code is 1 when the 95th percentile of one is above the
floor.
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
import msgspec
import psutil
import psycopg

from benchmarks.console_fill import Size, fill
from benchmarks.run import machine
from benchmarks.site import Say, bench_settings
from streams.cli.context import load_settings
from streams.console.pages.overview import SECTIONS
from streams.hub.migrate import migrate
from streams.settings import Settings
from streams.stack.native import NativeStack
from streams.stack.processes import read_record

RESULT = Path(__file__).with_name("results") / "console.json"
FLOOR_MS = 200.0
SLOWEST_S = 30.0
WARM_UP = 3
"""Requests to each page before those that count."""
PACE_S = 1 / 38
"""Seconds between two requests: the console slows down an address that asks more than 40 times a second."""

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

    # The list of findings asks every server of the installation; its page is shown before.
    skipped = ("/choose", "/sign", "/metrics", "/tour", "/systems/findings/list", "/api/v1/systems/findings")
    return {
        f"{route.path}": lambda c, path=route.path: path  # type: ignore[misc]
        for route in app.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and "{" not in route.path
        and not route.path.startswith(skipped)
        and not route.path.endswith("/events")
    }


def samples(hub: psycopg.Connection[Any]) -> dict[str, Address]:
    """The pages of single things in the inbox, of systems and of fields: ids as the hub has them."""

    def any_of(query: str) -> list[str]:
        return [str(value) for (value,) in hub.execute(query.encode()).fetchall()]

    conflicts = any_of("SELECT id FROM conflict WHERE outcome = 'open' LIMIT 500")
    letters = any_of("SELECT id FROM dead_letter WHERE state = 'dead' LIMIT 500")
    approvals = any_of("SELECT id FROM intent WHERE state = 'waiting' LIMIT 500")
    return {
        "conflict": lambda c: f"/inbox/conflicts/{c.choice(conflicts)}",
        "dead letter": lambda c: f"/inbox/dead-letters/{c.choice(letters)}",
        "approval": lambda c: f"/inbox/approvals/{c.choice(approvals)}",
        "system": lambda c: f"/systems/{c.choice(['demo-crm', 'demo-erp'])}",
        "dictionary of a system": lambda c: f"/dictionary/{c.choice(['demo-crm', 'demo-erp'])}",
        "quality of a field": lambda c: f"/quality/customer/{c.choice(['name', 'phone', 'email'])}",
    } | {f"overview, {name}": lambda c, name=name: f"/overview/{name}" for name in SECTIONS}  # type: ignore[misc]


class Processes:
    """The console's process and those of the hub, for their CPU time."""

    def __init__(self, console: int, hub: int) -> None:
        self._console, self._hub = psutil.Process(console), psutil.Process(hub)

    def seconds(self) -> tuple[float, float]:
        """CPU seconds so far of the console and of the hub, servers of ended connections included."""
        hub = sum(self._hub.cpu_times()[:4])
        for child in self._hub.children():
            try:
                hub += sum(child.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        return sum(self._console.cpu_times()[:2]), hub


def measure(base: str, name: str, address: Address, requests: int, processes: Processes) -> dict[str, Any]:
    """Times of warm requests to one page, in ms: on the clock, and of the CPU in the mean. What runs in the background
    of console and hub is in the CPU time.
    """
    choose = random.Random(name)
    times: list[float] = []
    states: dict[int, int] = {}
    before = processes.seconds()
    with httpx.Client(base_url=base, timeout=SLOWEST_S) as client:
        for turn in range(WARM_UP + requests):
            if turn == WARM_UP:
                before = processes.seconds()
            path = address(choose)
            begin = time.perf_counter()
            try:
                status = client.get(path).status_code
            except httpx.TimeoutException:
                status = 0
            passed = time.perf_counter() - begin
            if turn >= WARM_UP:
                times.append(passed * 1000)
                states[status] = states.get(status, 0) + 1
            time.sleep(max(0.0, PACE_S - passed))
    console, hub = (after - earlier for after, earlier in zip(processes.seconds(), before, strict=True))
    times.sort()
    return {
        "name": name, "p50_ms": round(_at(times, 0.5), 1), "p95_ms": round(_at(times, 0.95), 1),
        "max_ms": round(times[-1], 1), "console_cpu_ms": round(console * 1000 / requests, 1),
        "hub_cpu_ms": round(hub * 1000 / requests, 1), "load": round(os.getloadavg()[0], 1), "states": states,
    }  # fmt: skip


def _at(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


@contextmanager
def running_console(settings: Settings) -> Iterator[tuple[str, int]]:
    """A console process on this stack; its address and pid."""
    environment = os.environ | {"OPSHUB_STATE_DIR": str(settings.state_dir)}
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
        yield base, process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def filled_hub(settings: Settings, size: Size, *, keep: bool, say: Say) -> Iterator[NativeStack]:
    """A stack of its own whose hub has a company of this size: that of a run with `keep`, or a new one."""
    own = bench_settings(settings)
    # Written when the hub is whole: a fill that was broken off begins again.
    whole = own.state_dir / "filled.json"
    if not whole.is_file() or msgspec.json.decode(whole.read_bytes(), type=Size) != size:
        NativeStack(own).down()
        shutil.rmtree(own.state_dir, ignore_errors=True)
    stack = NativeStack(own)
    stack.up()
    try:
        migrate(stack.settings.hub)
        if not whole.is_file():
            with psycopg.connect(stack.settings.hub, autocommit=True) as hub:
                say(json.dumps(fill(hub, size, say)))
            whole.write_bytes(msgspec.json.encode(size))
        yield stack
    finally:
        stack.down()
        if not keep:
            shutil.rmtree(own.state_dir, ignore_errors=True)


def run(stack: NativeStack, size: Size, requests: int, only: str, say: Say) -> dict[str, Any]:
    """Measure every page whose name has `only` in it; the result as results/console.json has it."""
    from streams.console.app import create_app

    info = machine()
    with psycopg.connect(stack.settings.hub) as hub:
        row = hub.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        pages = addresses(size) | samples(hub)
    pages |= {name: path for name, path in other_pages(create_app(Settings())).items() if name not in ("/", "/find")}
    postmaster = read_record(stack.settings.state_dir / "run", "hub")
    assert postmaster is not None
    results = []
    with running_console(stack.settings) as (base, pid):
        processes = Processes(pid, postmaster.pid)
        for name, address in pages.items():
            if only not in name:
                continue
            done = measure(base, name, address, requests, processes)
            results.append(done)
            say(
                f"{name:34} p50 {done['p50_ms']:7.1f}  p95 {done['p95_ms']:7.1f}  max {done['max_ms']:7.1f}"
                f"  cpu {done['console_cpu_ms']:6.1f} + {done['hub_cpu_ms']:6.1f}  load {done['load']}  {done['states']}"
            )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": info,
        "load": [round(value, 1) for value in os.getloadavg()], "customers": size.customers, "flows": size.flows,
        "hub_bytes": row[0], "requests": requests, "floor_ms": FLOOR_MS, "pages": results,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--customers", type=int, default=Size().customers)
    parser.add_argument("--flows", type=int, default=Size().flows)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/opshub-console-bench"))
    parser.add_argument("--keep", action="store_true", help="keep the filled hub, for the next run")
    parser.add_argument("--only", default="", help="only pages with this in their name; results/ stays as it is")
    given = parser.parse_args()
    size = Size(customers=given.customers, flows=given.flows)
    say: Say = lambda text: print(text, flush=True)  # noqa: E731
    with filled_hub(load_settings(state_dir=given.folder), size, keep=given.keep, say=say) as stack:
        result = run(stack, size, given.requests, given.only, say)
    if not given.only:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    slow = [page["name"] for page in result["pages"] if page["p95_ms"] > FLOOR_MS]
    say(f"above {FLOOR_MS:.0f} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
