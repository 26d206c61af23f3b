"""Faults that only containers can show: after each, the checker finds nothing lost, doubled or gone back."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.containers.stack import RECOVERS_WITHIN, ContainerStack, docker
from tests.waiting import came_true

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

PAST_TIME_OUTS = 20.0
"""Seconds: longer than a session (6), a transaction (8) and a statement's time-out (15)."""


def kill(service: str) -> Callable[[ContainerStack], None]:
    def inject(stack: ContainerStack) -> None:
        docker("kill", stack.container(service))
        time.sleep(3)
        docker("start", stack.container(service))

    return inject


def pause_worker(stack: ContainerStack) -> None:
    docker("pause", stack.container("worker"))
    time.sleep(PAST_TIME_OUTS)
    docker("unpause", stack.container("worker"))


def cut_worker(network: str) -> Callable[[ContainerStack], None]:
    def inject(stack: ContainerStack) -> None:
        stack.cut(stack.container("worker"), network)
        time.sleep(PAST_TIME_OUTS)
        stack.mend(stack.container("worker"), network, "worker")

    return inject


def scale(stack: ContainerStack) -> None:
    for number in (3, 2):
        stack.compose("up", "--detach", "--no-recreate", "--no-deps", "--scale", f"worker={number}", "worker")
        assert came_true(lambda number=number: len(stack.workers()) == number, 120), f"there are not {number} workers"  # type: ignore[misc]
        before = stack.commits()
        assert came_true(lambda before=before: stack.commits() > before + 20, 120)  # type: ignore[misc]


FAULTS: dict[str, Callable[[ContainerStack], None]] = {
    "worker killed": kill("worker"),
    "worker paused past its session": pause_worker,
    "network worker-hub cut": cut_worker("hub"),
    "network worker-Kafka cut": cut_worker("kafka"),
    "Kafka killed": kill("kafka"),
    "hub killed": kill("hub"),
    "one of two Connect workers killed": kill("connect"),
    "CRM killed": kill("crm"),
    "registry killed": kill("registry"),
    "workers 1, 3, 2 under load": scale,
}


def test_a_deal_becomes_an_order_and_its_payment_comes_back(containers: ContainerStack) -> None:
    containers.load()
    assert came_true(lambda: containers.commits() > 150, RECOVERS_WITHIN), "the clerks do not work"
    findings = containers.record("none (order to cash, both ways)", containers.recovered())
    assert findings.hold, str(findings)
    assert findings.checked["won"] > 0, "no deal was won"
    verdict = containers.verify()
    assert not any(verdict[kind] for kind in ("lost", "doubled", "differing", "gone_back")), verdict


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(containers: ContainerStack, fault: str) -> None:
    containers.load()
    before = containers.commits()
    assert came_true(lambda: containers.commits() > before + 30, RECOVERS_WITHIN), "the clerks do not work"
    FAULTS[fault](containers)
    findings = containers.record(fault, containers.recovered())
    assert findings.hold, str(findings)


def test_nothing_secret_is_seen_from_outside(containers: ContainerStack) -> None:
    names = docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=opshub-test").split()
    shown = docker("inspect", *names)
    for name in (
        "OPSHUB_HUB_PASSWORD",
        "DEMO_CRM_CAPTURE_PASSWORD",
        "DEMO_ERP_ADMIN_PASSWORD",
        "OPSHUB_REGISTRY_PASSWORD",
    ):
        assert containers.secret(name) not in shown, f"{name} is in docker inspect"
