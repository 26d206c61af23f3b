"""The soak's page and limits, on figures that are made up."""

from __future__ import annotations

from typing import Any

from tests.faults.checker import Findings
from tests.faults.soak import Sampler, limits, page


def sampled(last_quarter: float) -> Sampler:
    field: Any = None
    sampler = Sampler(field)
    life = [200.0] * 300 + [last_quarter] * 100
    sampler.lives["w0", 4711] = life
    sampler.charts["memory, MB"]["w0"] = [(2.0 * n, value) for n, value in enumerate(life)]
    sampler.charts["file handles"]["w0"] = [(2.0 * n, 40) for n in range(400)]
    return sampler


def test_a_calm_run_holds_and_is_drawn() -> None:
    sampler = sampled(205)
    told = limits(sampler, Findings(), [3.0, 12.0])
    assert all(ok for *_, ok in told), told
    drawn = page(sampler, [(10.0, "SIGKILL <hub>")], told, "soak")
    assert drawn.count("<polyline") == 2 and "SIGKILL &lt;hub&gt;" in drawn and "PASSED" not in drawn


def test_each_limit_can_be_passed() -> None:
    passed = {what for what, _, ok in limits(sampled(250), Findings(), [3.0]) if not ok}
    assert passed == {"in the last quarter of its life a worker holds less than 40 MB more than in the quarter before"}
    assert len([ok for *_, ok in limits(sampled(800), None, [90.0]) if not ok]) == 4
