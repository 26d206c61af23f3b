"""The clock of the fault suite moves what the time is, and not how long anything waits: Python's, librdkafka's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.clock import Clock, compiler

LOOK = """
import queue, threading, time
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "x", "log_level": 0})
consumer.subscribe(["t"])
def empty():
    try:
        queue.Queue().get(timeout=0.2)
    except queue.Empty:
        pass
for wait in (lambda: consumer.poll(0.2), lambda: threading.Event().wait(0.2), empty):
    began = time.monotonic()
    wait()
    print(time.monotonic() - began)
print(time.time())
"""


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("seconds", [7200.0, -5400.0, 0.0])
def test_the_time_jumps_and_no_wait_is_longer(tmp_path: Path, seconds: float) -> None:
    clock = Clock(tmp_path)
    clock.jump(seconds)
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=dict(os.environ) | clock.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    *waits, now = map(float, done.stdout.split())
    assert now - time.time() == pytest.approx(seconds, abs=20)
    assert len(waits) == 3 and max(waits) < 5
