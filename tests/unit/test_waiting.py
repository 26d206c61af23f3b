"""Waiting for servers: a limit for all of them, a sentence for each reason, and no wait for what time does not mend."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streams.demo.systems import make_systems
from streams.demo.traffic import TrafficPlan, make_traffic
from streams.errors import AccessDenied, ConfigError, EnvironmentFault, ServerAway
from streams.provision.waiting import wait_for


class Clock:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def fails(*errors: EnvironmentFault) -> object:
    left = list(errors)

    def check() -> None:
        if left:
            raise left.pop(0)

    return check


def test_server_that_comes_in_time_is_waited_for_and_each_reason_is_reported_once() -> None:
    clock, lines = Clock(), []
    check = fails(ServerAway("starts"), ServerAway("starts"), ServerAway("recovers"))
    wait_for({"hub": check}, 10, lines.append, clock=clock, pause=clock.pause)  # type: ignore[dict-item]
    assert [line.split(": ")[-1] for line in lines] == ["starts", "recovers"]
    assert "waiting for hub, at most 10 s more" in lines[0]


def test_server_that_does_not_come_is_named_with_limit_and_remedy() -> None:
    clock = Clock()
    check = fails(*[ServerAway("no route", remedy="check the address")] * 99)
    with pytest.raises(EnvironmentFault, match="waited 5 s for hub: no route") as raised:
        wait_for({"hub": check}, 5, str, clock=clock, pause=clock.pause)  # type: ignore[dict-item]
    assert raised.value.remedy == "check the address" and clock.now == 5


def test_refused_login_is_not_waited_for() -> None:
    clock = Clock()
    with pytest.raises(AccessDenied):
        wait_for({"hub": fails(AccessDenied("wrong password"))}, 60, str, clock=clock, pause=clock.pause)  # type: ignore[dict-item]
    assert clock.now == 0


def test_demo_systems_name_the_variable_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DEMO_CRM_HOST is not set"):
        make_systems({}, tmp_path, None)


def demo_variables() -> dict[str, str]:
    values = {}
    for prefix in ("DEMO_CRM", "DEMO_ERP"):
        values |= {f"{prefix}_HOST": "127.0.0.1", f"{prefix}_PORT": "1", f"{prefix}_DATABASE": "x"}
        for role in ("ADMIN", "APP"):
            values |= {f"{prefix}_{role}_USER": "u", f"{prefix}_{role}_PASSWORD": "secret"}
    return values


def test_demo_systems_on_a_server_that_is_away_say_so_and_not_the_password(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="the server of demo-crm does not answer") as raised:
        make_systems(demo_variables(), tmp_path, None)
    assert "secret" not in f"{raised.value}{raised.value.remedy}" and "DEMO_CRM_HOST" in raised.value.remedy


def test_traffic_that_never_reached_its_systems_fails() -> None:
    with pytest.raises(EnvironmentFault):
        make_traffic(demo_variables(), TrafficPlan(rate=10, seconds=5), threading.Event(), str)
