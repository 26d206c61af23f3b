"""Faults of links and processes that take long: `make test-containers ARGS=--long`. They need root: rules are set in the containers'
own network namespaces.
"""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.containers.links import dropped, outgoing, slow_and_lossy
from tests.containers.stack import ROOT, ContainerStack, Fault, docker
from tests.containers.test_faults import PAST_TIME_OUTS

pytestmark = [
    pytest.mark.containers,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.geteuid() != 0, reason="not run: rules in a container's network need root"),
]

NEXT_IMAGE = "opshub-worker:next"


def slow_link(network: str) -> Fault:
    def inject(stack: ContainerStack) -> None:
        with slow_and_lossy(stack, stack.container("worker"), network):
            time.sleep(30)

    return inject


def one_way(source: str, target: str, network: str) -> Fault:
    """What `source` sends to `target` is dropped; what comes back is not."""

    def inject(stack: ContainerStack) -> None:
        rule = outgoing(stack, stack.container(target), network)
        with dropped(stack.containers(source), rule):
            time.sleep(PAST_TIME_OUTS)

    return inject


def replace_worker(stack: ContainerStack) -> None:
    """A new container in place of each old one: its name is new, too."""
    before = stack.containers("worker")
    ids = docker("inspect", "--format", "{{.Id}}", *before).split()
    stack.compose("up", "--detach", "--no-deps", "--force-recreate", "--scale", f"worker={len(before)}", "worker")
    assert not set(ids) & set(docker("inspect", "--format", "{{.Id}}", *stack.containers("worker")).split())


def upgrade_workers(stack: ContainerStack) -> None:
    """As docs/guides/containers.md says, to an image whose hub has one table more. The stack keeps that image."""
    migration = "9999.of_the_next_version.sql"
    last = max(path.stem for path in (ROOT / "streams/hub/migrations").glob("*.sql"))
    image = f"""FROM {docker("inspect", "--format", "{{.Config.Image}}", stack.container("worker"))}
USER 0
RUN folder=$(python -c 'import streams.hub.migrate as it; print(it.MIGRATIONS)') \
 && printf -- '-- depends: {last}\\nCREATE TABLE of_the_next_version (id bigint PRIMARY KEY);\\n' > "$folder/{migration}"
USER 10001:10001
"""
    built = subprocess.run(
        ["docker", "build", "--quiet", "--tag", NEXT_IMAGE, "-"], input=image, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    stack.scale_workers(2, "--no-recreate")
    old = stack.containers("worker")
    stack.use(WORKER_IMAGE=NEXT_IMAGE)
    stack.compose("run", "--rm", "--no-deps", "apply")
    stack.scale_workers(4, "--no-recreate")
    stack.scale_workers(2)
    assert not set(old) & set(stack.containers("worker")), "a worker of the old image goes on"


FAULTS: dict[str, Fault] = {
    "link worker-hub slow and lossy": slow_link("hub"),
    "link worker-Kafka slow and lossy": slow_link("kafka"),
    "worker to Kafka dropped one way": one_way("worker", "kafka", "kafka"),
    "hub to worker dropped one way": one_way("hub", "worker", "hub"),
    "Connect to CRM dropped one way": one_way("connect", "crm", "systems"),
    "worker replaced by a new container": replace_worker,
    "two workers upgraded to another image": upgrade_workers,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_doubled_or_gone_back(containers: ContainerStack, fault: str) -> None:
    findings = containers.endure(fault, FAULTS[fault])
    assert findings.hold, str(findings)
