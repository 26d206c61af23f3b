"""Faults of three brokers and of a hub with a synchronous standby, on a stack of their own: `make test-containers ARGS=--long`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from tests.containers.conftest import REMEDY, engine_answers
from tests.containers.stack import RECOVERS_WITHIN, ContainerStack, docker
from tests.containers.test_faults import PAST_TIME_OUTS
from tests.containers.test_long import address, inside
from tests.waiting import came_true

pytestmark = [
    pytest.mark.containers,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="not run: rules in a container's network need root"),
]

BROKERS = {1: "kafka", 2: "kafka-2", 3: "kafka-3"}
"""Node id → service."""


@pytest.fixture(scope="module")
def brokers() -> Iterator[ContainerStack]:
    if not engine_answers():
        pytest.skip(f"not run: no Docker engine answers. Remedy: {REMEDY}")
    stack = ContainerStack(
        "opshub-brokers", ("docker/compose.brokers.yaml",), ("standby",),
        {"HUB_HOSTS": "hub:5432,hub-standby:5432"},
    )  # fmt: skip
    with stack:
        yield stack


def leaders(stack: ContainerStack) -> list[int]:
    """Node ids of those that lead partitions of the changes of order flows."""
    topic = AdminClient({"bootstrap.servers": stack.kafka}).list_topics("changes.order_flow", timeout=20)
    return [partition.leader for partition in topic.topics["changes.order_flow"].partitions.values()]


def all_in_sync(stack: ContainerStack) -> bool:
    """Whether every partition has three replicas in sync."""
    try:
        topics = AdminClient({"bootstrap.servers": stack.kafka}).list_topics(timeout=20).topics.values()
    except Exception:
        return False
    return all(len(partition.isrs) == 3 for topic in topics for partition in topic.partitions.values())


def kill_leader(stack: ContainerStack) -> None:
    leader = BROKERS[leaders(stack)[0]]
    docker("kill", stack.container(leader))
    time.sleep(PAST_TIME_OUTS)
    docker("start", stack.container(leader))


def restart_one_by_one(stack: ContainerStack) -> None:
    for service in BROKERS.values():
        docker("restart", stack.container(service))
        assert came_true(lambda: all_in_sync(stack), RECOVERS_WITHIN), f"{service} did not come back in sync"


def two_down(stack: ContainerStack) -> None:
    """Nothing can be written: two replicas must have it."""
    for service in ("kafka-2", "kafka-3"):
        docker("kill", stack.container(service))
    time.sleep(PAST_TIME_OUTS)
    for service in ("kafka-2", "kafka-3"):
        docker("start", stack.container(service))


def cut_one_broker_off(stack: ContainerStack) -> None:
    """One broker and the others do not hear each other; clients reach all of them."""
    one = stack.container("kafka-2")
    rules = [
        (chain, direction, address(stack, stack.container(service), "kafka"), "--jump", "DROP")
        for service in ("kafka", "kafka-3")
        for chain, direction in (("INPUT", "--source"), ("OUTPUT", "--destination"))
    ]
    for rule in rules:
        inside(one, "iptables", "--append", *rule)
    time.sleep(PAST_TIME_OUTS)
    for rule in rules:
        inside(one, "iptables", "--delete", *rule)


def fail_over(stack: ContainerStack) -> None:
    """The hub dies for good; its standby, which has every commit, becomes the hub."""
    docker("kill", stack.container("hub"))
    docker("exec", stack.container("hub-standby"), "pg_ctl", "promote")
    stack.hub_service = "hub-standby"


FAULTS: dict[str, Callable[[ContainerStack], None]] = {
    "three brokers: the leader killed": kill_leader,
    "three brokers: restarted one by one": restart_one_by_one,
    "three brokers: two down and back": two_down,
    "three brokers: one cut off from the others": cut_one_broker_off,
    "hub lost, its standby promoted": fail_over,  # the last one: the hub does not come back
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(brokers: ContainerStack, fault: str) -> None:
    assert came_true(lambda: all_in_sync(brokers), RECOVERS_WITHIN), "the brokers are not in sync"
    brokers.load()
    before = brokers.commits()
    assert came_true(lambda: brokers.commits() > before + 30, RECOVERS_WITHIN), "the clerks do not work"
    FAULTS[fault](brokers)
    findings = brokers.record(fault, brokers.recovered())
    assert findings.hold, str(findings)
