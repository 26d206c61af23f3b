"""Links between containers that drop, delay or lose packets, by rules in the containers' own network namespaces. They need root.

Each fault of a link is a context, which asserts at its end that packets met it.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

from tests.containers import bad_link
from tests.containers.stack import ROOT, ContainerStack, docker

Rule = tuple[str, ...]
"""Of iptables: a chain, then what is to match."""


def inside(container: str, *command: str) -> str:
    """Run a program of this machine in the container's network namespace."""
    return subprocess.run(_enter(container, *command), check=True, capture_output=True, text=True).stdout


def _enter(container: str, *command: str) -> list[str]:
    pid = docker("inspect", "--format", "{{.State.Pid}}", container)
    return ["nsenter", f"--target={pid}", "--net", *command]


def _end(stack: ContainerStack, container: str, network: str) -> dict[str, Any]:
    shown = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    return dict(shown[f"{stack.project}_{network}"])


def outgoing(stack: ContainerStack, target: str, network: str) -> Rule:
    """What a container sends to the container `target`."""
    return ("OUTPUT", "--destination", _end(stack, target, network)["IPAddress"])


def incoming(stack: ContainerStack, source: str, network: str) -> Rule:
    """What a container gets from the container `source`."""
    return ("INPUT", "--source", _end(stack, source, network)["IPAddress"])


def both_ways(stack: ContainerStack, container: str, network: str) -> tuple[Rule, Rule]:
    """All that the container sends and gets in the network."""
    mine = _end(stack, container, network)
    place = str(ipaddress.ip_interface(f"{mine['IPAddress']}/{mine['IPPrefixLen']}").network)
    return ("OUTPUT", "--destination", place), ("INPUT", "--source", place)


@contextmanager
def ruled(containers: Sequence[str], rules: Sequence[Rule], action: tuple[str, ...]) -> Iterator[None]:
    """Meanwhile `action` is done to the containers' packets that match one of the rules."""
    for container, rule in product(containers, rules):
        inside(container, "iptables", "--append", *rule, *action)
    try:
        yield
        listing = ("iptables", "--numeric", "--verbose", "--exact", "--list")
        lines = [line.split() for container in containers for line in inside(container, *listing).splitlines()]
    finally:
        for container, rule in product(containers, rules):
            inside(container, "iptables", "--delete", *rule, *action)
    met = [int(line[0]) for line in lines if action[1] in line]
    assert len(met) == len(containers) * len(rules) and sum(met) > 0, f"no packet met {rules}: {lines}"


@contextmanager
def dropped(containers: Sequence[str], *rules: Rule) -> Iterator[None]:
    with ruled(containers, rules, ("--jump", "DROP")):
        yield


@contextmanager
def slow_and_lossy(stack: ContainerStack, container: str, network: str) -> Iterator[None]:
    """Each packet takes 50 ± 15 ms either way, and two in a hundred are lost."""
    program = [sys.executable, "-m", "tests.containers.bad_link", str(bad_link.NUMBER), "50", "15", "0.02"]
    queue = subprocess.Popen(_enter(container, *program), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        with ruled([container], both_ways(stack, container, network), bad_link.QUEUED):
            yield
    finally:
        queue.terminate()
        counts = json.loads(queue.communicate(timeout=30)[0] or "{}")
    assert counts.get("delayed") and counts.get("dropped"), f"the link was not bad: {counts}"
