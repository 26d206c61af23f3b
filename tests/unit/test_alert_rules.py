"""Every alert has a rule for Prometheus and a line in the operating guide; rules name metrics that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from streams.hub.alerts import PipelineCounts
from streams.monitor.thresholds import Figures, exceeded
from streams.runtime.metrics import WorkerMetrics
from streams.runtime.worker_state import WorkerState
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "docker/prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
GUIDE = (ROOT / "docs/guides/operating.md").read_text()
WATCHED = (
    "capture/connector_health", "capture/finding", "capture/guard", "capture/pauses", "capture/slot", "capture/table_gaps", "monitor/connector_restarts", "monitor/disk",
    "monitor/hub_guard", "monitor/feeds", "monitor/watcher",
)  # fmt: skip
"""Modules whose severe findings become alerts."""
ONLY_DOCTOR = {"no-worker"}
"""Findings of these modules that only `opshub doctor` reports: a watcher is a worker."""


def codes() -> set[str]:
    figures = Figures(10**6, False, 10**6, PipelineCounts(*[10**6] * 5))
    found = {problem.name for problem in exceeded(figures, Settings(_env_file=None))}  # type: ignore[call-arg]
    found |= {"lag", "checks-failed", "target-refuses"}
    for module in WATCHED:
        for node in ast.walk(ast.parse((ROOT / f"streams/{module}.py").read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                if not any(one.arg == "severe" for one in node.keywords):
                    (code, *_) = node.args
                    assert isinstance(code, ast.Constant)
                    found.add(str(code.value))
    return found - ONLY_DOCTOR


def test_every_alert_has_a_rule_and_a_line_in_the_guide() -> None:
    ruled = set(re.findall(r'alert="([\w-]+)"', " ".join(rule["expr"] for rule in RULES)))
    assert ruled == codes()
    listed = set(re.findall(r"^\| `([\w-]+)` \|", GUIDE, re.MULTILINE))
    assert codes() <= listed, codes() - listed
    assert all(rule["annotations"]["summary"] and rule["annotations"]["remedy"] for rule in RULES)
    assert max(Counter(rule["alert"] for rule in RULES).values()) == 1


def test_rules_name_metrics_that_workers_export() -> None:
    metrics = WorkerMetrics(WorkerState("w", {}), {"ingest": Counter(dead=1)}, [5], lambda _: (0, ""))
    metrics.active_alerts = lambda: {"capture-lost/demo-crm": "the slot is gone", "parked-keys": "3 keys"}
    exported = metrics.prometheus(ready=True).decode()
    assert 'opshub_alert_active{alert="capture-lost",where="demo-crm"} 1.0' in exported
    assert 'opshub_alert_active{alert="parked-keys",where=""} 1.0' in exported
    assert "opshub_watcher_active 1.0" in exported and "opshub_worker_ready 1.0" in exported
    named = set(re.findall(r"\bopshub_\w+", " ".join(rule["expr"] for rule in RULES)))
    names = set(re.findall(r"^# TYPE (\w+)", exported, re.MULTILINE))
    assert {name.removesuffix("_bucket") for name in named} <= names, names
    metrics.active_alerts = lambda: None
    text = metrics.prometheus(ready=False).decode()
    assert "opshub_alert_active{" not in text and "opshub_watcher_active 0.0" in text
