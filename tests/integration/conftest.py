"""Fixtures that the tests on real servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from streams.stack.native import NativeStack
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
