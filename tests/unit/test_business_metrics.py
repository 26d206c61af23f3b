"""The business figures for Prometheus: names, labels, units; and Prometheus' own check of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streams.console.business_metrics import families
from streams.hub.figures import WaitingCounts
from streams.monitor.business_figures import BusinessFigures, WeekDuration, WeekReceivables, WeekShare

DASHBOARD = Path(__file__).parents[2] / "docker/grafana/business.json"
WEEK = date(2026, 11, 30)
FIGURES = BusinessFigures(
    weeks=[WEEK],
    measured_at=datetime(2026, 12, 1, tzinfo=UTC),
    durations={"won_to_ordered": [WeekDuration(WEEK, 3, 60.0, 90.0)], "won_to_paid": [WeekDuration(WEEK)]},
    on_time=[WeekShare(WEEK, 4, 3)],
    returned=[WeekShare(WEEK, 4, 1)],
    first_contact=[WeekShare(WEEK, 2, 1)],
    errors=[WeekShare(WEEK, 100, 99)],
    receivables={"EUR": [WeekReceivables(WEEK, 12_340_000.0, 1.0, 2.0)], "USD": [WeekReceivables(WEEK, 10_000.0)]},
    stages={"ordered": 2, "paid": 5},
    flows=7,
    customers=3,
    stuck=1,
    blocked=2,
    blocked_products=1,
    late_purchases=3,
    waiting_lines=9,
    short_lines=2,
    late_lines=4,
    waiting=msgspec.convert(
        {field.name: 6 for field in msgspec.structs.fields(WaitingCounts)}, WaitingCounts
    ),
)  # fmt: skip


class Families(Collector):
    def __init__(self, figures: BusinessFigures) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from families(self.figures)


def text_of(figures: BusinessFigures) -> str:
    registry = CollectorRegistry()
    registry.register(Families(figures))
    return generate_latest(registry).decode()


def test_figures_have_base_units_and_bounded_labels() -> None:
    lines = {line for line in text_of(FIGURES).splitlines() if not line.startswith("#")}
    assert lines == {
        'opshub_order_step_median_seconds{step="won_to_ordered"} 60.0',
        'opshub_order_step_p90_seconds{step="won_to_ordered"} 90.0',
        'opshub_order_step_flows{step="won_to_ordered"} 3.0',
        'opshub_order_step_flows{step="won_to_paid"} 0.0',
        "opshub_on_promised_day_ratio 0.75",
        "opshub_orders_returned_ratio 0.25",
        "opshub_first_contact_ratio 0.5",
        "opshub_purchases_late 3.0",
        "opshub_order_lines_short 2.0",
        "opshub_order_lines_late 4.0",
        next(line for line in lines if line.startswith("opshub_synchronisation_error_ratio 0.01")),
        'opshub_sales_outstanding_seconds{currency="EUR"} 172800.0',
        'opshub_receivables_open{currency="EUR"} 1234.0',
        'opshub_receivables_open{currency="USD"} 1.0',
        'opshub_order_flows{stage="ordered"} 2.0',
        'opshub_order_flows{stage="paid"} 5.0',
        "opshub_order_flows_stuck 1.0",
        "opshub_orders_short_of_goods 2.0",
        "opshub_approvals_waiting 6.0",
    }


def test_nothing_is_exported_before_the_first_computation() -> None:
    assert "opshub_" not in text_of(msgspec.structs.replace(FIGURES, measured_at=None))


def test_the_dashboard_asks_for_these_figures_alone() -> None:
    exported = set(re.findall(r"^# TYPE (\S+)", text_of(FIGURES), re.M))
    board = json.loads(DASHBOARD.read_text())
    wanted = {name for panel in board["panels"] for target in panel["targets"]
              for name in re.findall(r"\bopshub_[a-z0-9_]+", target["expr"])}  # fmt: skip
    assert wanted - {"opshub_conflicts_open", "opshub_dead_letters_open"} <= exported
    assert exported - wanted == {"opshub_order_step_flows"}


def test_prometheus_finds_nothing_wrong_with_the_names() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    checked = subprocess.run([promtool, "check", "metrics"], input=text_of(FIGURES), text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr or checked.stdout
