"""The short form of the fault suite: one stack of its own, some of the hardest faults, each followed by a whole
check.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.stack.native import NativeStack
from tests.conftest import stack_settings
from tests.faults.field import Field
from tests.waiting import came_true

# Six restarts of a worker, each with states that are waited for: minutes on a machine that others use too.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    """With one worker, and clerks at work. A stack of its own: everything in it is compared, and what clerks leave
    behind is in nobody's way.
    """
    folder = Path(tempfile.mkdtemp(prefix="opshub-short-"))
    stack = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        stack.up()
        with Field(stack) as found:
            found.work("w0")
            assert came_true(found.working, 90)
            yield found
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_worker_killed_in_the_middle_of_the_stream(field: Field) -> None:
    field.load()
    assert came_true(lambda: field.commits() > 150, 30)
    for point in ("assemble.hub:kill:3", "deliver.target:kill:2", "ingest.hub:kill:3", "assemble.produced:kill:3"):
        field.kill("w0")
        field.work("w0", fault=point)
        assert came_true(lambda: field.ended("w0") == -signal.SIGKILL, 120), point
        field.work("w0")
        assert field.recovered() < 90
    findings = field.settle()
    assert findings.hold, str(findings)
    assert findings.checked["commits"] > 150 and findings.checked["won"] > 0 and findings.checked["flows"] > 20


def test_two_workers_share_and_one_that_was_given_up_wakes_again(field: Field) -> None:
    field.work("w1")
    field.load()
    assert came_true(field.working, 90)
    # A zombie: it stands still for longer than its session while the other takes its partitions and goes on, then it
    # wakes.
    field.send("w0", signal.SIGSTOP)
    time.sleep(field.settings.session_timeout_ms / 1000 + 6)
    assert field.commits() > 100
    field.send("w0", signal.SIGCONT)
    time.sleep(3)
    field.restart_ended()
    assert field.recovered() < 90
    field.kill("w1")
    findings = field.settle()
    assert findings.hold, str(findings)
