"""Fixtures for all tiers: free ports, settings of a stack of one's own, and the one stack that a session shares."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.stack.native import NativeStack
from streams.stack.server import port_is_free

PORT_SETTINGS = (
    "crm_port",
    "erp_port",
    "hub_port",
    "kafka_port",
    "kafka_controller_port",
    "connect_port",
    "registry_port",
    "console_port",
)
METRICS_PORTS = 20


def free_ports() -> dict[str, int]:
    """A port for each server, side by side, below those that the system hands out by itself."""
    choose = random.SystemRandom()
    for _ in range(200):
        first = choose.randrange(20_000, 31_000, 50)
        needed = len(PORT_SETTINGS) + METRICS_PORTS
        if all(port_is_free("127.0.0.1", port) for port in range(first, first + needed)):
            ports = {name: first + offset for offset, name in enumerate(PORT_SETTINGS)}
            return ports | {"metrics_port": first + len(PORT_SETTINGS)}
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
    a server takes one of its own, or leaves the server healthy behind.
    """
    folder = Path(tempfile.mkdtemp(prefix="opshub-tests-"))
    shared = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        shared.up()
        yield shared
    finally:
        shared.down()
        shutil.rmtree(folder, ignore_errors=True)
