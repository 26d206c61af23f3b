"""Faults of links and processes that take long: `make test-containers ARGS=--long`. They need root: rules are set in the containers'
own network namespaces.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.containers.stack import RECOVERS_WITHIN, ContainerStack, docker
from tests.containers.test_faults import PAST_TIME_OUTS
from tests.waiting import came_true

pytestmark = [
    pytest.mark.containers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="not run: rules in a container's network need root"),
]


def inside(container: str, *command: str) -> str:
    """Run a program of this machine in the container's network namespace."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", container)
    return subprocess.run(
        ["nsenter", f"--target={pid}", "--net", *command], check=True, capture_output=True, text=True
    ).stdout


def address(stack: ContainerStack, container: str, network: str) -> str:
    shown = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    return str(shown[f"{stack.project}_{network}"]["IPAddress"])


def device(stack: ContainerStack, container: str, network: str) -> str:
    """The interface of the container in a network."""
    mine = address(stack, container, network)
    for link in json.loads(inside(container, "ip", "-json", "addr")):
        if any(one.get("local") == mine for one in link["addr_info"]):
            return str(link["ifname"])
    raise AssertionError(f"{container} has no interface in {network}")


def slow_and_lossy(service: str, network: str) -> Callable[[ContainerStack], None]:
    def inject(stack: ContainerStack) -> None:
        container = stack.container(service)
        link = device(stack, container, network)
        inside(container, "tc", "qdisc", "add", "dev", link, "root", "netem", "delay", "100ms", "30ms", "loss", "2%")
        time.sleep(30)
        inside(container, "tc", "qdisc", "del", "dev", link, "root")

    return inject


def one_way(source: str, target: str, network: str) -> Callable[[ContainerStack], None]:
    """What `source` sends to `target` is dropped; what comes back is not."""

    def inject(stack: ContainerStack) -> None:
        container = stack.container(source)
        rule = ("OUTPUT", "--destination", address(stack, stack.container(target), network), "--jump", "DROP")
        inside(container, "iptables", "--append", *rule)
        time.sleep(PAST_TIME_OUTS)
        inside(container, "iptables", "--delete", *rule)

    return inject


def replace_workers(stack: ContainerStack) -> None:
    """A new container in place of the old one, as an upgrade of the image makes it."""
    before = docker("inspect", "--format", "{{.Id}}", stack.container("worker"))
    stack.compose("up", "--detach", "--no-deps", "--force-recreate", "worker")
    assert docker("inspect", "--format", "{{.Id}}", stack.container("worker")) != before


FAULTS: dict[str, Callable[[ContainerStack], None]] = {
    "link worker-hub slow and lossy": slow_and_lossy("worker", "hub"),
    "link worker-Kafka slow and lossy": slow_and_lossy("worker", "kafka"),
    "worker to Kafka dropped one way": one_way("worker", "kafka", "kafka"),
    "hub to worker dropped one way": one_way("hub", "worker", "hub"),
    "Connect to CRM dropped one way": one_way("connect", "crm", "systems"),
    "worker replaced by a new container": replace_workers,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(containers: ContainerStack, fault: str) -> None:
    containers.load()
    before = containers.commits()
    assert came_true(lambda: containers.commits() > before + 30, RECOVERS_WITHIN), "the clerks do not work"
    FAULTS[fault](containers)
    findings = containers.record(fault, containers.recovered())
    assert findings.hold, str(findings)
