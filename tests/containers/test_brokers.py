"""Faults of three brokers and of a hub with a synchronous standby, on a stack of their own: `make test-containers ARGS=--long`."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.containers.conftest import REMEDY, engine_answers
from tests.containers.links import Rule, dropped, incoming, outgoing
from tests.containers.stack import RECOVERS_WITHIN, ContainerStack, docker
from tests.containers.test_faults import PAST_TIME_OUTS
from tests.faults.clock import Clock, compiler
from tests.faults.disk import Disk
from tests.waiting import came_true

pytestmark = [
    pytest.mark.containers,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="not run: rules in a container's network need root"),
]

BROKERS = {1: "kafka", 2: "kafka-2", 3: "kafka-3"}
"""Node id → service."""
OWNERS = {"hub": 999, "kafka": 1000}
"""Service with a disk of its own → the user id that owns it in the image."""
CLOCKED = ("worker", "hub", "kafka-2")
"""Services with a clock of their own."""


class BrokerStack(ContainerStack):
    """Three brokers, and a hub with a synchronous standby. `disks`, `clocks`: by service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "opshub-brokers", ("docker/compose.brokers.yaml", "tests/containers/compose.faulty.yaml"), ("standby",),
            {"HUB_HOSTS": "hub:5432,hub-standby:5432", "FAULTY": str(folder)},
        )  # fmt: skip
        self.disks = {service: Disk(folder / "disks" / service) for service in OWNERS}
        for service, owner in OWNERS.items():
            os.chown(self.disks[service].folder, owner, owner)
        self.clocks: dict[str, Clock] = {}
        for service in CLOCKED:
            place = folder / "clocks" / service
            place.mkdir(parents=True)
            if compiler():
                self.clocks[service] = Clock(place)

    def __exit__(self, *error: object) -> None:
        for disk in self.disks.values():
            disk.free()
        super().__exit__(*error)
        for disk in self.disks.values():
            disk.end()


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStack]:
    if not engine_answers():
        pytest.skip(f"not run: no Docker engine answers. Remedy: {REMEDY}")
    with BrokerStack(tmp_path_factory.mktemp("faulty")) as stack:
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


def kill_leader(stack: BrokerStack) -> None:
    leader = BROKERS[leaders(stack)[0]]
    docker("kill", stack.container(leader))
    time.sleep(PAST_TIME_OUTS)
    docker("start", stack.container(leader))


def restart_one_by_one(stack: BrokerStack) -> None:
    for service in BROKERS.values():
        docker("restart", stack.container(service))
        assert came_true(lambda: all_in_sync(stack), RECOVERS_WITHIN), f"{service} did not come back in sync"


def two_down(stack: BrokerStack) -> None:
    """Nothing can be written: two replicas must have it."""
    for service in ("kafka-2", "kafka-3"):
        docker("kill", stack.container(service))
    time.sleep(PAST_TIME_OUTS)
    for service in ("kafka-2", "kafka-3"):
        docker("start", stack.container(service))


def links_of_one(stack: BrokerStack, *directions: Callable[[ContainerStack, str, str], Rule]) -> None:
    """Meanwhile packets between kafka-2 and the other brokers are dropped, in these directions; clients reach all of them."""
    rules = [way(stack, stack.container(service), "kafka") for service in ("kafka", "kafka-3") for way in directions]
    with dropped([stack.container("kafka-2")], *rules):
        time.sleep(PAST_TIME_OUTS)


def cut_one_broker_off(stack: BrokerStack) -> None:
    links_of_one(stack, incoming, outgoing)


def stop_one_broker_hearing(stack: BrokerStack) -> None:
    links_of_one(stack, incoming)


def logged(container: str, since: str) -> str:
    """What it wrote on both outputs since then."""
    done = subprocess.run(["docker", "logs", f"--since={since}", container], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def fill_disk(service: str) -> Callable[[BrokerStack], None]:
    def inject(stack: BrokerStack) -> None:
        disk, container, began = stack.disks[service], stack.container(service), str(int(time.time()))
        disk.fill()
        time.sleep(PAST_TIME_OUTS)
        met = "No space left on device" in logged(container, began)
        disk.free()
        assert met, f"{container} did not meet its full disk"

    return inject


def jump(service: str) -> Callable[[BrokerStack], None]:
    """The clock of one container goes ahead, then behind, then right again."""

    def inject(stack: BrokerStack) -> None:
        if not stack.clocks:
            pytest.skip("not run: no C compiler. Remedy: apt-get install gcc libc6-dev")
        container = stack.container(service)
        pids = docker("top", container, "-eo", "pid").split()[1:]
        maps = "".join(Path(f"/proc/{pid}/maps").read_text("utf-8") for pid in pids)
        assert "/clock/clock\n" in maps, f"{container} was started without a clock of its own"
        for hours in (2, -1):
            stack.clocks[service].jump(hours * 3600)
            shown = int(docker("exec", container, "date", "+%s"))
            assert abs(shown - time.time() - hours * 3600) < 60, f"{container} goes by another clock"
            time.sleep(PAST_TIME_OUTS)
        stack.clocks[service].jump(0)

    return inject


def fail_over(stack: BrokerStack) -> None:
    """The hub dies for good; its standby, which has every commit, becomes the hub."""
    docker("kill", stack.container("hub"))
    docker("exec", stack.container("hub-standby"), "pg_ctl", "promote")
    stack.hub_service = "hub-standby"


FAULTS: dict[str, Callable[[BrokerStack], None]] = {
    "three brokers: the leader killed": kill_leader,
    "three brokers: restarted one by one": restart_one_by_one,
    "three brokers: two down and back": two_down,
    "three brokers: one cut off from the others": cut_one_broker_off,
    "three brokers: one does not hear the others": stop_one_broker_hearing,
    "three brokers: the disk of one full": fill_disk("kafka"),
    "three brokers: the clock of one jumps": jump("kafka-2"),
    "the clock of the worker jumps": jump("worker"),
    "the clock of the hub jumps": jump("hub"),
    "the disk of the hub full": fill_disk("hub"),
    "hub lost, its standby promoted": fail_over,  # the last one: the hub does not come back
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(brokers: BrokerStack, fault: str) -> None:
    assert came_true(lambda: all_in_sync(brokers), RECOVERS_WITHIN), "the brokers are not in sync"
    findings = brokers.endure(fault, lambda _: FAULTS[fault](brokers))
    assert findings.hold, str(findings)
