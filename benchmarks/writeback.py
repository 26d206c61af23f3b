"""Won opportunity in the CRM → order in the ERP: how long this takes while a company works on both.

`python -m benchmarks.writeback [--won 20] [--seconds 20] [--around 0,500,2000]` writes
benchmarks/results/writeback.json. It is an open loop: the time at which each deal is won is fixed beforehand. The clock
runs from that time until another session of the ERP sees the order, that is, until its commit. The result also shows
where the time goes, by the timestamps in the hub.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from hdrh.histogram import HdrHistogram

from benchmarks.run import machine, versions
from benchmarks.site import Say, Site, site
from benchmarks.watch import HIGHEST_US, histogram, percentiles
from streams.cli.context import load_settings, terminate_as_interrupt
from streams.demo.watch import worker_totals
from streams.model.ids import source_id
from streams.simulator.setup import dsn_of

RESULT = Path(__file__).with_name("results") / "writeback.json"
LOOK_S = 0.003
"""Seconds between two queries of the ERP."""
CUSTOMERS = 200


class Trips(msgspec.Struct):
    """`order`: from the intended win to the order's commit; `parts`: pieces of it, and what follows. Milliseconds."""

    around: float
    won: int
    orders: int
    order: dict[str, float]
    parts: dict[str, dict[str, float]]
    captured_per_second: float
    lag_end: int


def deals(here: Site, count: int, name: str) -> list[str]:
    """Add so many open opportunities of two lines each; their keys in the CRM."""
    with psycopg.connect(dsn_of(here.env, "DEMO_CRM", "APP")) as crm:
        crm.execute(
            "INSERT INTO account (name) SELECT 'Trip ' || %s || ' ' || n FROM generate_series(1, %s) n",
            [name, CUSTOMERS],
        )
        rows = crm.execute(
            "INSERT INTO opportunity (name, account_id, stage, amount) SELECT 'Trip', a.id, 'Proposal/Quote', 100 FROM generate_series(1, %s) n"
            " JOIN (SELECT id, row_number() OVER () AS place FROM account WHERE starts_with(name, 'Trip ' || %s)) a ON a.place = n %% %s + 1"
            " RETURNING id::text", [count, name, CUSTOMERS],
        ).fetchall()  # fmt: skip
        keys = [str(row[0]) for row in rows]
        crm.execute(
            "INSERT INTO opportunity_item (opportunity_id, product_id, line_no, quantity, unit_price, net_amount)"
            " SELECT o, p.id, n, 1, 50, 50 FROM unnest(%s::uuid[]) o, (SELECT id FROM product LIMIT 1) p, generate_series(1, 2) n", [keys],
        )  # fmt: skip
    return keys


class Orders(threading.Thread):
    """Records when the ERP has the order of each opportunity."""

    def __init__(self, dsn: str, keys: list[str]) -> None:
        super().__init__(name="orders", daemon=True)
        self._erp = psycopg.connect(dsn, autocommit=True, prepare_threshold=1)
        self._left = set(keys)
        self._won: set[str] = set()
        self.seen: dict[str, int] = {}
        """Opportunity → µs since 1970."""

    def won(self, key: str) -> None:
        self._won.add(key)

    def run(self) -> None:
        while self._left:
            waiting = [key for key in self._left if key in self._won]
            if waiting:
                rows = self._erp.execute(
                    "SELECT crm_opp::text FROM erp.so_head WHERE crm_opp = ANY(%s::uuid[])", [waiting]
                ).fetchall()
                now = time.time_ns() // 1000
                for (key,) in rows:
                    self.seen[key] = now
                    self._left.discard(key)
            time.sleep(LOOK_S)

    def wait(self, seconds: float) -> None:
        self.join(seconds)
        self._left = set()
        self.join(5)
        self._erp.close()


def trips(here: Site, around: float, won: float, seconds: float, say: Say) -> Trips:
    """Win `won` deals a second, with `around` row changes a second beside."""
    keys = deals(here, round(won * seconds), f"{around:g}-{time.time_ns()}")
    here.drain(300)
    say(f"{won:g} won a second for {seconds:g} s, {around:g} row changes a second around")
    orders = Orders(dsn_of(here.env, "DEMO_ERP", "APP"), keys)
    stop = threading.Event()
    worked: dict[str, Any] = {}

    def work() -> None:
        with here.company(int(around) + 1) as company:
            worked.update(company.run(rate=around, stop_event=stop))

    company = threading.Thread(target=work, daemon=True)
    if around:
        company.start()
        time.sleep(5)
    intended: dict[str, int] = {}
    orders.start()
    begun, wall = time.monotonic(), time.time_ns() // 1000
    before = worker_totals(here.settings)
    with psycopg.connect(dsn_of(here.env, "DEMO_CRM", "APP"), autocommit=True, prepare_threshold=1) as crm:
        for number, key in enumerate(keys):
            at = number / won
            time.sleep(max(0.0, begun + at - time.monotonic()))
            intended[key] = wall + int(at * 1e6)
            orders.won(key)
            crm.execute(
                "UPDATE opportunity SET stage = 'Closed Won', probability = 100, won_at = now() WHERE id = %s", [key]
            )
    after = worker_totals(here.settings)
    took = time.monotonic() - begun
    orders.wait(60)
    stop.set()
    if around:
        company.join(60)
    here.drain(300)
    whole = histogram()
    for key, at in orders.seen.items():
        whole.record_value(min(HIGHEST_US, max(1, at - intended[key])))
    parts = _parts(here, intended, orders.seen)
    return Trips(
        around, len(keys), len(orders.seen), percentiles(whole), {name: percentiles(h) for name, h in parts.items()},
        round((after.rows_in - before.rows_in) / took, 1), after.lag,
    )  # fmt: skip


def _parts(here: Site, intended: dict[str, int], seen: dict[str, int]) -> dict[str, HdrHistogram]:
    """Where the time went, by what the hub has of each intent."""
    of = {source_id("demo-crm", "opportunity", key): key for key in intended}
    names = (
        "intended to commit",
        "commit to intent",
        "intent to order",
        "order to outcome",
        "intended to number in the CRM",
    )
    parts = {name: histogram() for name in names}

    def note(name: str, us: float) -> None:
        parts[name].record_value(min(HIGHEST_US, max(1, int(us))))

    with here.hub() as hub:
        rows = hub.execute(
            "SELECT rule, entity_id::text, cause_us, extract(epoch FROM created_at) * 1e6, extract(epoch FROM done_at) * 1e6 FROM intent"
            " WHERE entity_id = ANY(%s::uuid[]) AND state = 'delivered'", [list(of)],
        ).fetchall()  # fmt: skip
    for rule, entity, cause, planned, done in rows:
        key = of[entity]
        if rule == "demo-erp/order_from_opportunity" and key in seen:
            note("intended to commit", cause - intended[key])
            note("commit to intent", float(planned) - cause)
            note("intent to order", seen[key] - float(planned))
            note("order to outcome", float(done) - seen[key])
        elif rule == "demo-crm/order_number":
            note("intended to number in the CRM", float(done) - intended[key])
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--won", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--around", default="0,500,2000")
    args = parser.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    report: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "versions": versions(), "runs": []
    }  # fmt: skip
    with terminate_as_interrupt(), site(load_settings(), say, customers=300, orders=500) as here:
        here.start_workers(1)
        here.drain(300)
        trips(here, 200, args.won, 8, say)  # caches are cold: not counted
        for around in args.around.split(","):
            run = trips(here, float(around), args.won, args.seconds, say)
            report["runs"].append(msgspec.to_builtins(run))
            say(f"{run.orders} of {run.won}: {run.order}, lag {run.lag_end}")
            for name, part in run.parts.items():
                say(f"    {name:32} {part}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written: {RESULT}")
    return 0 if all(run["orders"] == run["won"] for run in report["runs"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
