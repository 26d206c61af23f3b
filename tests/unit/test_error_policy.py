"""Every error has an action; fault points are off, and cost nothing, unless asked for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

import streams
from streams.error_policy import TABLE, Action, action_for_batch, is_bad_record, rule_for
from streams.errors import (
    BadRecord,
    ConfigError,
    DecodeError,
    EnvironmentFault,
    Fenced,
    OpshubError,
    RetryLater,
)
from streams.hub.store import translated
from streams.runtime.fault_points import POINTS, armed, fault_point, parse


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (RetryLater("the hub is away"), Action.RETRY),
        (Fenced("x"), Action.REJOIN),
        (DecodeError("x"), Action.DEAD_LETTER),
        (AttributeError("a fault of ours"), Action.DEAD_LETTER),
        (ConfigError("x"), Action.STOP_WORKER),
        (EnvironmentFault("x"), Action.STOP_WORKER),
        (MemoryError(), Action.STOP_WORKER),
        (KeyboardInterrupt(), Action.STOP_WORKER),
        (asyncio.CancelledError(), Action.LEAVE),
    ],
)
def test_nearest_class_decides(error: BaseException, action: Action) -> None:
    assert rule_for(error).action is action
    assert rule_for(error).advice


def test_no_transient_fault_is_a_dead_letter() -> None:
    for kind, rule in TABLE.items():
        if issubclass(kind, RetryLater | EnvironmentFault | ConfigError):
            assert rule.action is not Action.DEAD_LETTER


@pytest.mark.parametrize("error", [BadRecord("x"), DecodeError("x"), ValueError("a fault of ours")])
def test_error_of_a_record_that_leaves_a_batch_stops_the_worker(error: Exception) -> None:
    assert is_bad_record(error) and action_for_batch(error) is Action.STOP_WORKER


@pytest.mark.parametrize("state", ["08006", "53100", "53300", "55P03", "57P01", "40001", "40P01", "25006"])
def test_hub_that_is_away_full_or_failing_over_is_waited_for(state: str) -> None:
    error = translated(psycopg.errors.lookup(state)("x"))
    assert isinstance(error, RetryLater) and not is_bad_record(error)


@pytest.mark.parametrize("state", ["22P05", "22003", "23514"])
def test_value_that_the_hub_can_not_hold_is_a_bad_record(state: str) -> None:
    error: OpshubError = translated(psycopg.errors.lookup(state)("x"))
    assert isinstance(error, BadRecord) and is_bad_record(error)


def test_fault_points_are_off_by_default() -> None:
    began = time.perf_counter()
    for _ in range(10_000):
        fault_point("ingest.hub")
    assert (time.perf_counter() - began) / 10_000 < 5e-6


def test_every_fault_point_is_in_the_code() -> None:
    code = "".join(
        file.read_text() for file in Path(streams.__file__).parent.rglob("*.py") if file.stem != "fault_points"
    )
    # A lane builds the name of its own point.
    named = {
        point: f'fault_point("{point}")' in code or f'_fault("{point}")' in code or point.endswith(".produced")
        for point in POINTS
    }
    assert 'f"{name}.produced"' in code
    assert all(named.values()), named


def test_fault_point_fails_at_its_nth_passage() -> None:
    point = armed("ingest.hub:raise:2")
    point("ingest.hub")
    point("ingest.read")
    with pytest.raises(RetryLater):
        point("ingest.hub")
    point("ingest.hub")


@pytest.mark.parametrize(
    "text",
    ["nowhere:kill:1", "deliver.read:kill:1", "ingest.target:kill:1", "ingest.hub:dance", "ingest.hub:kill:often"],
)
def test_unknown_fault_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
