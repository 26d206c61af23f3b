"""The harness: workloads, comparison with noise, the page, the targets' table."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from benchmarks import capacity, series
from benchmarks import run as run_module
from benchmarks.compare import compare
from benchmarks.page import run_page
from benchmarks.peers.result import note
from benchmarks.stages import settled_at_home
from benchmarks.targets import targets
from benchmarks.workload import Phase, load_workload, scaled
from streams.errors import ConfigError
from streams.model.change import Change
from streams.pipeline.routing import CHANGE_TOPIC
from streams.runtime.batch import Output

WORKLOADS = Path(__file__).parents[2] / "benchmarks" / "workloads"


def result(rate: float, p50: float) -> dict[str, Any]:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for number in range(1, 5001):
        histogram.record_value(number * 20)
    samples = [
        {
            "at": float(s),
            "phase": "steady",
            "rate": rate,
            "rows": 0,
            "rows_in": int(rate * s),
            "records_out": 0,
            "lag": s % 3,
            "cpu": {"w0": s * 0.3},
            "memory": {"w0": 90.0},
        }
        for s in range(1, 31)
    ]
    return {
        "workload": "steady", "date": "2026-01-01", "machine": {}, "versions": {}, "seconds": 30.0, "rows": 15000, "rows_per_second": rate, "samples": samples,
        "latency_ms": {"hub": {"count": 5000, "p50": p50, "p99": 90.0, "p99.9": 95.0}}, "hdr": {"hub": histogram.encode().decode()},
        "cpu_us_per_row": {"w0": 100.0}, "memory_mb": {"w0": 90.0}, "bytes_per_row": {"raw topics": 700.0},
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(WORKLOADS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_workloads_that_are_here_can_be_read(path: Path) -> None:
    workload = load_workload(path)
    assert sum(phase.seconds for phase in scaled(workload, 5).phases) == pytest.approx(300)


def test_a_ramp_rises_in_steps() -> None:
    steps = list(Phase(4, (100.0, 500.0)).steps())
    assert [rate for rate, _ in steps] == [150, 250, 350, 450]
    assert sum(seconds for _, seconds in steps) == 4


def test_a_workload_that_is_wrong_names_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\nphases: [{seconds: 5, rat: 3}]\n")
    with pytest.raises(ConfigError, match=r"wrong\.yaml.*rat"):
        load_workload(path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("mix: {edit_acount: 3}", "no such operation: edit_acount; there are: .*edit_account"),
        ("mix: {edit_account: -1}", "mix"),
        ("skew: -1", "skew"),
        ("order_lines: [9, 3]", "order_lines: the fewest, 9, are more than the most, 3"),
        ("batch_rows: [0, 5]", "batch_rows"),
    ],
)
def test_habits_that_are_wrong_are_named(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: x\nphases: [{{seconds: 5, rate: 3}}]\n{written}\n")
    with pytest.raises(ConfigError, match=said):
        load_workload(path)


@pytest.mark.parametrize("phase", ["{seconds: 5, rate: 0}", "{seconds: 0, rate: 5}", "{seconds: 5, rate: [-1, 5]}"])
def test_a_phase_in_which_nothing_is_written_is_refused(tmp_path: Path, phase: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"name: x\nphases: [{phase}]\n")
    with pytest.raises(ConfigError, match=r"wrong\.yaml.*(rate|seconds)"):
        load_workload(path)


def test_what_differs_by_less_than_the_noise_is_the_same() -> None:
    says = {one.name: one.verdict for one in compare(result(500, 20), result(505, 26))}
    assert says["rows per second"] == "same"
    assert says["hub, p50 ms"] == "worse"
    assert says["hub, p99 ms"] == "same"


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = run_page(result(500, 20))
    assert page.count("<svg") == 7
    elsewhere = page.replace("http://www.w3.org/2000/svg", "")
    assert not [one for one in ("http", "src=", "href=", "url(", "@import", "<script") if one in elsewhere]


def test_a_target_that_was_not_measured_does_not_hold() -> None:
    assert all(target.reached is None and not target.holds for target in targets({}))
    half = {"half_load": {"latency_ms": {"hub": {"p50": 20.0, "p99": 250.0}}}}
    held = {target.name: target.holds for target in targets(half)}
    assert held["latency at half of capacity, p50"] and not held["latency at half of capacity, p99"]


def test_what_another_run_measured_stands_in_the_table_with_its_date() -> None:
    others = {"other_runs": {"jdbc-sink": {"date": "2026-01-02T03:04:05", "ratio": 3.5}}}
    told = {target.name: target for target in targets(others)}
    beside = told["end to end, beside Debezium + JDBC sink"]
    assert (beside.reached, beside.holds, beside.run) == (3.5, True, "benchmarks.jdbc_sink, 2026-01-02")


@pytest.mark.parametrize(("holds_up_to", "low"), [(5000, 1000), (700, 4000), (8, 2000)])
def test_capacity_is_searched_for_upwards_and_downwards_once_it_is_warm(
    monkeypatch: pytest.MonkeyPatch, holds_up_to: float, low: float
) -> None:
    tried: list[tuple[str, float]] = []

    def run(site: Any, workload: Any, say: Any) -> Any:
        last = workload.phases[-1]
        tried.append((last.name, last.rate))
        held = last.rate <= holds_up_to * (0.8 if last.seconds == 60 else 1)  # not so much for long
        latency = {"hub": {"p99": 90.0 if held else 2000.0}}
        return SimpleNamespace(samples=[], lag_end=0, latency_ms=latency, behind_ms_max=0.0, drain_s=1.0, memory_mb={})

    monkeypatch.setattr(capacity, "run_workload", run)
    monkeypatch.setattr(run_module, "run_workload", run)
    site: Any = None
    found, trials = capacity.capacity(
        site,
        low=low,
        high=32_000,
        p99_ms=500,
        seconds=10,
        workers=1,
        within=0.1,
        say=lambda _: None,
        warm_seconds=5,
        soak_seconds=60,
    )
    assert tried[0] == ("warm-up", low)
    assert [trial.rate for trial in trials] == [rate for _, rate in tried[1:]]
    if holds_up_to < capacity.LEAST:
        assert found == 0
    else:
        assert holds_up_to / 1.1 * 0.8 <= found <= holds_up_to * 0.9
        assert (trials[-1].rate, trials[-1].seconds) == (round(found * capacity.SOAK_AT), 60)


def test_a_series_tells_what_is_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    half = {"per_second": 30_000.0, "cpu_us": 25.0, "memory_mb": 200.0}
    growth = {
        "sizes": [{"hub_rows": rows, "ingest": half, "assemble": half} for rows in series.SIZES],
        "share_at_largest": 0.9,
        "second_worker": 1.6,
    }
    told = series.summary({"32 partitions": {"capacity": 1500.0}, series.GROWTH: growth})
    assert [line.split()[0] for line in told.splitlines()] == ["32", "hub", "hub", "hub", "assemble,", "ingest,"]
    monkeypatch.setattr("sys.argv", ["series", "--only", "growth,nothing such"])
    with pytest.raises(SystemExit):
        series.main()
    assert "no case 'nothing such'" in capsys.readouterr().err


def test_peers_that_are_measured_again_take_the_place_of_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    rows = [{"peer": peer, "work": "map", "events_per_s": 1} for peer in ("opshub", "faust")]
    note(rows, anew=True, path=path)
    note(
        [{"peer": "faust", "work": "map", "events_per_s": 2}, {"peer": "opshub", "work": "whole", "events_per_s": 3}],
        path=path,
    )
    told = [(row["peer"], row["work"], row["events_per_s"]) for row in json.loads(path.read_text(encoding="utf-8"))]
    assert told == [("opshub", "map", 1), ("faust", "map", 2), ("opshub", "whole", 3)]


def test_the_settle_stage_gets_each_change_in_its_last_home_and_after_its_parent() -> None:
    order = Change("change", "sales_order", "order", parent="deal")
    line = Change("change", "sales_order_line", "line", parent="order")
    deal = Change("change", "opportunity", "deal")
    other = Change("change", "product", "other")
    said = [(Output(CHANGE_TOPIC[c.entity], c.id.encode(), b""), c) for c in (line, other, order, deal, line)]
    settled = settled_at_home(said)
    assert [change.id for _, change in settled] == ["other", "deal", "order", "line", "line"]
    assert {output.key for output, change in settled if change is not other} == {b"deal"}
    assert settled[0][0].key == b"other"
