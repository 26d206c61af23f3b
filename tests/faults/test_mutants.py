"""The checker finds what a real worker does wrong: one run as it should be, then one for each mutation
(tests/faults/mutants.py).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from streams.demo.writeback_check import wait_delivered
from streams.simulator.company import Company
from streams.simulator.setup import dsn_of
from streams.stack.native import NativeStack
from tests.faults.field import Field
from tests.faults.mutants import MUTATIONS
from tests.waiting import came_true

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def field(own_stack: NativeStack) -> Iterator[Field]:
    with Field(own_stack) as found:
        yield found


def live(field: Field, mutation: str | None, company: Company, seconds: float) -> set[tuple[str, str]]:
    """Let people work on both systems with such a worker; (kind, what) of all that the checker then finds."""
    command = (
        [sys.executable, "-m", "tests.faults.mutants", mutation]
        if mutation
        else [sys.executable, "-m", "streams.cli", "run"]
    )
    field.work("w0", command=command)
    assert came_true(field.working, 90)
    field.load()
    company.run(rate=60, seconds=seconds)
    came_true(lambda: field.commits() > 300, 60)
    field.settle(120)
    for _ in range(4):
        wait_delivered(field.settings.hub, seconds=20)
        field.drain()
        if wait_delivered(field.settings.hub, seconds=0):
            break
    found = field.settle(60)
    print(f"\n{mutation or 'as it should be'}: {found}", flush=True)
    field.kill("w0")
    return found.where


def test_each_mutation_of_a_real_worker_is_caught(field: Field) -> None:
    """OPSHUB_TEST_MUTATIONS names some of them, with commas; all take five minutes."""
    caught: dict[str, str] = {}
    chosen = os.environ.get("OPSHUB_TEST_MUTATIONS", ",".join(MUTATIONS)).split(",")
    with Company(
        1, dsn_of(field.env, "DEMO_CRM", "APP"), dsn_of(field.env, "DEMO_ERP", "APP"), slow_every=None
    ) as company:
        before = live(field, None, company, 15)
        assert not before, before
        for name in chosen:
            kinds = MUTATIONS[name][1]
            after = live(field, name, company, 15 if "echo" in name else 5)
            more = Counter(kind for kind, _ in after - before)
            caught[name] = ", ".join(f"{kind} {count}" for kind, count in more.items())
            assert any(more[kind] for kind in kinds), f"{name}: wanted {kinds}, found {more}"
            before = after
    print("\n" + "\n".join(f"{name:22} {told}" for name, told in caught.items()))
