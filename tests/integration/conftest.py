"""Fixtures that the tests on real servers share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.stack.environment import write_environment
from streams.stack.native import NativeStack
from streams.stack.watchdog import start_watchdog
from tests.conftest import stack_settings
from tests.integration.odd_delivery import Clock
from tests.integration.odd_server import OddServer, open_odd_server
from tests.integration.place import Place


@pytest.fixture(scope="module")
def place(stack: NativeStack) -> Iterator[Place]:
    """A hub and targets that the tests of one file share."""
    made = Place(stack)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    """The time of a test of one intent: waiting takes none."""
    return Clock()


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[OddServer]:
    """An ERP over HTTP that gives odd answers."""
    async with open_odd_server(clock) as started:
        yield started


@pytest.fixture(scope="session")
def hub_server() -> Iterator[NativeStack]:
    """Only the hub's Postgres of a stack: for tests that need no Kafka."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-hub-"))
    made = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        made._make_folders()
        write_environment(made._given)
        start_watchdog(folder)
        made.start("hub")
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)
