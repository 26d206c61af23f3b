"""Fixtures for all tiers: free ports, settings of a stack of one's own, and the one stack that a session shares."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from streams.settings import PORTS, Settings
from streams.stack.mariadb import PLUGINS
from streams.stack.native import NativeStack
from streams.stack.server import port_is_free
from streams.verify.comparison import Comparison

METRICS_PORTS = 20


def free_ports() -> dict[str, int]:
    """A port for each server, side by side, below those that the system hands out by itself."""
    choose = random.SystemRandom()
    # Sessions side by side (pytest-xdist) choose from ranges of their own: a port that is free when it is looked at may
    # be taken by the other session before the server starts.
    session = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    lowest = 20_000 + session * 2_750
    for _ in range(200):
        first = choose.randrange(lowest, lowest + 2_700, 50)
        needed = len(PORTS) - 1 + METRICS_PORTS
        if all(port_is_free("127.0.0.1", port) for port in range(first, first + needed)):
            return {name: first + offset for offset, name in enumerate(PORTS)}
    raise RuntimeError("no free ports between 20000 and 31000")


def stack_settings(state_dir: Path, **values: object) -> Settings:
    """Settings of a stack of one's own, whatever the checkout's files and the environment say of another."""
    addresses = {"hub_dsn": "", "bootstrap_servers": "", "registry_url": "", "connect_url": "", "host": "127.0.0.1"}
    given: dict[str, object] = {"state_dir": state_dir, **addresses, **free_ports(), **values}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty folder with a path short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[NativeStack]:
    """The stack that all tests of a session share: started when first asked for, ended with the session.

    `stack.settings` has its addresses, `stack.env()` its roles and passwords. A test that stops or breaks
    a server takes one of its own, or leaves the server healthy behind. TEST_STACK names the state folder of one that
    runs already (`opshub demo --keep`): it is used, and left running, for tests that are run again and again.
    """
    if kept := os.environ.get("TEST_STACK"):
        running = NativeStack(Settings(_env_file=None, state_dir=Path(kept)))  # type: ignore[call-arg]
        running.up()
        yield running
        return
    folder = Path(tempfile.mkdtemp(prefix="opshub-tests-"))
    shared = NativeStack(stack_settings(folder), end_with_parent=True, plugins=(PLUGINS["mariadb"],))
    try:
        shared.up()
        yield shared
    finally:
        shared.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_stack() -> Iterator[NativeStack]:
    """A stack for one test, which may break it and everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-own-"))
    made = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


class Pipeline:
    """A stack with the demo systems, everything applied, and workers; `drain` and `verify` look at the outcome."""

    def __init__(self, stack: NativeStack, settings: Settings) -> None:
        from streams.paths import connectors_dir
        from streams.provision.differences import apply
        from streams.provision.systems import load_systems
        from streams.simulator.setup import setup_demo

        self.stack = stack
        self.env = stack.env()
        names = ("hub_dsn", "bootstrap_servers", "registry_url", "connect_url")
        addresses = {name: self.env[f"OPSHUB_{name.upper()}"] for name in names}
        self.settings = settings.model_copy(update=addresses)
        setup_demo(self.env, connectors_dir(self.settings))
        self.systems = load_systems(self.settings)
        apply(self.settings, self.systems)
        self.workers: list[str] = []

    def start_worker(self, name: str, *, supervised: bool = False) -> int:
        from streams.stack.workers import start_worker

        self.workers.append(name)
        port = self.settings.metrics_port + len(self.workers) - 1
        return start_worker(self.settings.model_copy(update={"metrics_port": port}), name, supervised=supervised)

    def stop_workers(self) -> None:
        from streams.stack.workers import stop_all_workers

        stop_all_workers(self.settings)
        self.workers.clear()

    def drain(self, seconds: float = 120) -> None:
        from streams.demo.drain import drain

        drain(self.settings, self.systems, self.env, seconds=seconds)

    def verify(self) -> Comparison:
        from streams.paths import connectors_dir
        from streams.provision.systems import capture_dsn
        from streams.resolve.ownership import load_ownership
        from streams.verify.compare import verify

        dsns = {system.name: capture_dsn(system, self.env) for system in self.systems}
        ownership = load_ownership(connectors_dir(self.settings) / "ownership.yaml")
        return verify(self.settings, self.systems, dsns, ownership)

    def connect(self, system: str) -> psycopg.Connection[tuple[object, ...]]:
        """As the application's own role; autocommit. `system`: CRM or ERP."""
        from streams.simulator.setup import dsn_of

        return psycopg.connect(dsn_of(self.env, f"DEMO_{system}", "APP"), autocommit=True)


@pytest.fixture(scope="session")
def pipeline(stack: NativeStack) -> Iterator[Pipeline]:
    """The shared stack with the demo systems captured. A test starts the workers that it needs, and stops them."""
    made = Pipeline(stack, stack.settings)
    try:
        yield made
    finally:
        made.stop_workers()
