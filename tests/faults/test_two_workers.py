"""Two workers share the partitions; one leaves while changes flow; nothing is lost."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx

from streams.demo.drain import count_partitions
from streams.monitor.status import workers
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import stop_worker


def _partitions(pipeline: Any) -> dict[str, set[str]]:
    told = {}
    for worker in worker_stats(pipeline.settings):
        told[worker["name"]] = {one for lane in worker["lanes"].values() for one in lane["partitions"]}
    return told


def test_partitions_split_and_one_leaves(pipeline: Any) -> None:
    everything = count_partitions(pipeline.settings, pipeline.systems)
    pipeline.start_worker("two-a")
    pipeline.start_worker("two-b")
    try:
        end = time.monotonic() + 120
        held: dict[str, set[str]] = {}
        while time.monotonic() < end:
            held = _partitions(pipeline)
            if len(held) == 2 and all(held.values()):
                break
            time.sleep(0.2)
        assert len(held) == 2 and all(held.values()), held
        assert not set.intersection(*held.values()), "a partition is held twice"
        shown = {row.name: row for row in workers(pipeline.settings)}
        assert {name: set(row.partitions or ()) for name, row in shown.items()} == held
        assert all(isinstance(row.pid, int) and row.lag is not None and row.lag >= 0 for row in shown.values())
        stop = threading.Event()
        made = [0]

        def work() -> None:
            with pipeline.connect("CRM") as crm, pipeline.connect("ERP") as erp:
                while not stop.is_set():
                    crm.execute("INSERT INTO account (name) SELECT 'Company ' || g FROM generate_series(1, 5) g")
                    erp.execute("INSERT INTO erp.cust (name1) SELECT 'Customer ' || g FROM generate_series(1, 5) g")
                    made[0] += 10
                    time.sleep(0.01)

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(3)
        stop_worker(pipeline.settings, "two-b")
        time.sleep(4)
        stop.set()
        thread.join()
        pipeline.drain()
        held = _partitions(pipeline)
        assert set(held) == {"two-a"}
        assert len(held["two-a"]) == everything
        assert made[0] > 500
        verdict = pipeline.verify()
        assert verdict.holds, verdict.examples
    finally:
        pipeline.stop_workers()


def test_a_worker_says_how_it_is(pipeline: Any) -> None:
    pipeline.start_worker("health")
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ready = [worker for worker in worker_stats(pipeline.settings) if worker["lanes"]["assemble"]["partitions"]]
            if ready:
                break
            time.sleep(0.2)
        port = pipeline.settings.metrics_port
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/healthz").status_code == 200
        while time.monotonic() < end and httpx.get(f"{address}/readyz").status_code != 200:
            time.sleep(0.2)
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert "opshub_lag_records" in httpx.get(f"{address}/metrics").text
    finally:
        pipeline.stop_workers()
