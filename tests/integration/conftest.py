"""Fixtures that the tests on real servers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.stack.native import NativeStack
from tests.integration.place import Place


@pytest.fixture(scope="module")
def place(stack: NativeStack) -> Iterator[Place]:
    """A hub and targets that the tests of one file share."""
    made = Place(stack)
    yield made
    made.close()
