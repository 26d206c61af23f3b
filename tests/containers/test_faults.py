"""Faults that only containers can show: after each, the checker finds nothing lost, doubled or gone back."""

from __future__ import annotations

import time

import pytest

from tests.containers.stack import ContainerStack, Fault, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

PAST_TIME_OUTS = 20.0
"""Seconds: longer than a session (6), a transaction (8) and a statement's time-out (15)."""


def kill(service: str) -> Fault:
    def inject(stack: ContainerStack) -> None:
        docker("kill", stack.container(service))
        time.sleep(3)
        docker("start", stack.container(service))

    return inject


def pause_worker(stack: ContainerStack) -> None:
    worker = stack.container("worker")
    docker("pause", worker)
    time.sleep(PAST_TIME_OUTS)
    docker("unpause", worker)


def cut_worker(network: str) -> Fault:
    def inject(stack: ContainerStack) -> None:
        worker = stack.container("worker")
        stack.cut(worker, network)
        time.sleep(PAST_TIME_OUTS)
        stack.mend(worker, network, "worker")

    return inject


def scale(stack: ContainerStack) -> None:
    for number in (4, 2):
        stack.scale_workers(number, "--no-recreate")


FAULTS: dict[str, Fault] = {
    "worker killed": kill("worker"),
    "worker paused past its session": pause_worker,
    "network worker-hub cut": cut_worker("hub"),
    "network worker-Kafka cut": cut_worker("kafka"),
    "Kafka killed": kill("kafka"),
    "hub killed": kill("hub"),
    "one of two Connect workers killed": kill("connect"),
    "CRM killed": kill("crm"),
    "registry killed": kill("registry"),
    "workers 1, 4, 2 under load": scale,
}


def test_a_deal_becomes_an_order_and_its_payment_comes_back(containers: ContainerStack) -> None:
    findings = containers.endure("none (order to cash, both ways)", lambda _: None, acts=150)
    assert findings.hold, str(findings)
    assert findings.checked["won"] > 0, "no deal was won"
    verdict = containers.verify()
    assert not any(verdict[kind] for kind in ("lost", "doubled", "differing", "gone_back")), verdict


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(containers: ContainerStack, fault: str) -> None:
    findings = containers.endure(fault, FAULTS[fault])
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
