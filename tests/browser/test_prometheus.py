"""A real Prometheus scrapes a worker and the console; its own tool finds nothing wrong with metrics and rules."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.stack.worker_stats import worker_ports
from tests.browser.process import Console
from tests.conftest import Pipeline
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker/prometheus/rules.yml"
DASHBOARDS = sorted((ROOT / "docker/grafana").glob("*.json"))
SECONDS = 120


class Scraped:
    """A worker, a console, and a Prometheus that scrapes both."""

    def __init__(self, worker: str, console: str, prometheus: str) -> None:
        self.worker, self.console, self.prometheus = worker, console, prometheus

    def ask(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


def wait_until(what: str, is_true: Callable[[], Any]) -> Any:
    """What `is_true()` returns once it is true; a server that does not answer yet is asked again."""

    def holds() -> Any:
        try:
            return is_true()
        except httpx.HTTPError:
            return None

    return wait_for(holds, SECONDS, seen=lambda: f"{what}: nothing")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def scraped(company: Pipeline, console: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("Prometheus is not installed: `make browser-setup` installs it where this user may")
    folder = tmp_path_factory.mktemp("prometheus")
    host, port = company.settings.host, worker_ports(company.settings)[0][1]
    targets = [f"{host}:{port}", console.address.rstrip("/").removeprefix("http://")]
    scrape = {"job_name": "opshub", "static_configs": [{"targets": targets}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": every, "rule_files": [str(RULES)], "scrape_configs": [scrape]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    options = [
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    try:
        wait_until("Prometheus", lambda: httpx.get(f"http://{address}/-/ready", timeout=5).status_code == 200)
        yield Scraped(f"http://{targets[0]}", f"http://{targets[1]}", f"http://{address}")
    finally:
        process.terminate()
        process.wait(30)


def test_both_are_scraped(scraped: Scraped) -> None:
    wait_until("two targets that answer", lambda: len(scraped.ask('up{job="opshub"} == 1')) == 2)


def test_the_tool_of_prometheus_finds_nothing_wrong(scraped: Scraped) -> None:
    for address in (scraped.worker, scraped.console):
        text = httpx.get(f"{address}/metrics", timeout=10).content
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)


def test_every_metric_has_the_prefix_and_bounded_labels(scraped: Scraped) -> None:
    for address in (scraped.worker, scraped.console):
        for line in httpx.get(f"{address}/metrics", timeout=10).text.splitlines():
            if line.startswith("#"):
                continue
            assert line.startswith("opshub_"), line
            assert "@" not in line and not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", line), line


def test_dashboards_and_rules_ask_for_what_is_exported(scraped: Scraped) -> None:
    wanted = {
        name
        for path in [RULES, *DASHBOARDS]
        for name in re.findall(r"\bopshub_[a-z0-9_]+", path.read_text())
    }  # fmt: skip
    assert DASHBOARDS
    exported = wait_until(
        "all names",
        lambda: (
            (names := set(httpx.get(f"{scraped.prometheus}/api/v1/label/__name__/values", timeout=5).json()["data"]))
            and wanted <= names | SOMETIMES
            and names
        ),
    )
    assert wanted <= exported | SOMETIMES, wanted - exported


def test_dashboards_can_be_asked(scraped: Scraped) -> None:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                scraped.ask(target["expr"])


SOMETIMES = {"opshub_alert_active", "opshub_dead_letters_open", "opshub_intents_unfinished", "opshub_conflicts_open", "opshub_retries_total",
    "opshub_slot_kept_bytes", "opshub_slot_left_bytes", "opshub_heartbeat_age_seconds", "opshub_lag_records", "opshub_mapping_notes_total",
    "opshub_on_promised_day_ratio", "opshub_synchronisation_error_ratio", "opshub_sales_outstanding_seconds", "opshub_receivables_open",
    "opshub_order_step_median_seconds", "opshub_order_step_p90_seconds"}  # fmt: skip
"""Metrics that have no series while there is nothing to count, or while no worker watches yet."""
