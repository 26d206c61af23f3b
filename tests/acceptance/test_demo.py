"""The main job as a user sees it: the command, its exit code, its one JSON object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from streams.stack.workers import worker_environment
from tests.conftest import stack_settings


def run_demo(state_dir: Path, *options: str, during: Any = None) -> dict[str, Any]:
    """Run `opshub demo` in a stack of its own; `during(settings, process)` runs beside it once workers are there."""
    settings = stack_settings(state_dir / "s")
    command = [sys.executable, "-m", "streams.cli", "demo", "--json", "--customers", "100", "--orders", "200", *options]
    process = subprocess.Popen(
        command,
        env=worker_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=state_dir,
    )
    told: list[str] = ["", ""]
    reader = threading.Thread(target=lambda: told.__setitem__(slice(None), list(process.communicate())))
    reader.start()
    try:
        if during is not None:
            during(settings, process)
        reader.join(280)
        assert not reader.is_alive(), "the demo did not end"
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            reader.join(60)
    out, err = told
    assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err[-3000:]}"
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.mark.timeout(400)
def test_demo_ends_equal(state_dir: Path) -> None:
    told = run_demo(state_dir, "--seconds", "20", "--rate", "300")
    assert told["verdict"] == "equal"
    assert {name: told[name] for name in ("lost", "doubled", "differing", "gone_back", "dead")} == {
        "lost": 0,
        "doubled": 0,
        "differing": 0,
        "gone_back": 0,
        "dead": 0,
    }
    assert told["rows_in"] > 20 * 300 * 0.5
    assert told["records_out"] > 1000
    assert told["latency_ms"]["p50"] > 0
    for block in ("identity", "writeback"):
        assert told[block]["holds"], told[block]
    assert told["identity"]["linked"] == told["identity"]["shared"] > 0
    assert told["identity"]["conflicts_logged"] == told["identity"]["conflicts_planted"] > 0


@pytest.mark.timeout(400)
def test_a_worker_killed_in_mid_stream_loses_and_doubles_nothing(state_dir: Path) -> None:
    killed: list[int] = []

    def kill_twice(settings: Any, process: subprocess.Popen[str]) -> None:
        for half, pause in (("ingest", 8.0), ("assemble", 6.0)):
            note = settings.state_dir / "run" / f"worker-w0-{half}.port"
            end = time.monotonic() + 150
            while time.monotonic() < end and process.poll() is None:
                if note.exists() and (pid := json.loads(note.read_text())["pid"]) not in killed:
                    time.sleep(pause)
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break
                time.sleep(0.1)

    told = run_demo(state_dir, "--seconds", "25", "--rate", "400", during=kill_twice)
    assert len(killed) == 2
    assert told["verdict"] == "equal", told["examples"]
    assert (told["lost"], told["doubled"], told["differing"], told["gone_back"]) == (0, 0, 0, 0)
