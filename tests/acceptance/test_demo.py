"""The main job as a user sees it: the command `opshub demo`, its exit code, its one JSON object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.settings import Settings
from streams.stack.worker_stats import worker_stats
from streams.stack.workers import worker_environment
from tests.conftest import stack_settings
from tests.waiting import wait_for

WORKING = "the company works"
"""Beginning of the line that the demo prints when the measured work starts."""


class Demo:
    """`opshub demo` in a stack of its own, with what it has printed so far."""

    def __init__(self, state_dir: Path, *options: str) -> None:
        self.settings: Settings = stack_settings(state_dir / "s")
        size = ["--customers", "100", "--orders", "200"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", "--json", *size, *options],
            env=worker_environment(self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=state_dir,
        )
        self._printed: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [threading.Thread(target=self._read, args=[name]) for name in self._printed]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        self._printed[name].extend(iter(getattr(self._process, name).readline, ""))

    def wait_for(self, state: Callable[[], object], seconds: float = 200) -> None:
        """Wait until `state()` is true; fails when the demo ends before."""

        def holds() -> object:
            assert self._process.poll() is None, f"the demo has ended:\n{self.errors}"
            return state()

        wait_for(holds, seconds, seen=lambda: self.errors)

    @property
    def is_working(self) -> bool:
        return any(line.startswith(("demo: " + WORKING, WORKING)) for line in list(self._printed["stderr"]))

    @property
    def console(self) -> str | None:
        """The address that was printed, once it was."""
        at = "console: at "
        return next((line[len(at) :].strip() for line in list(self._printed["stderr"]) if line.startswith(at)), None)

    @property
    def messages(self) -> list[str]:
        """What was printed of the demo's steps."""
        return [line.strip() for line in self._printed["stderr"] if line.startswith(("demo: ", "console: "))]

    @property
    def errors(self) -> str:
        return "".join(self._printed["stderr"])[-3000:]

    def lane(self, name: str) -> tuple[int | None, int]:
        """(pid of the worker that has the lane, records that it has read); (None, 0) while none answers."""
        for worker in worker_stats(self.settings):
            if name in worker["lanes"]:
                return worker["pid"], worker["lanes"][name]["records_in"]
        return None, 0

    def result(self, seconds: float = 280) -> dict[str, Any]:
        """The printed object, once the demo has ended well."""
        try:
            self._process.wait(seconds)
        finally:
            self.end()
        output = "".join(self._printed["stdout"])
        assert self._process.returncode == 0, f"exit {self._process.returncode}\n{output}\n{self.errors}"
        result: dict[str, Any] = json.loads(output)
        return result

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        for reader in self._readers:
            reader.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


@pytest.mark.timeout(400)
def test_demo_ends_equal(state_dir: Path) -> None:
    demo = Demo(state_dir, "--seconds", "20", "--rate", "300")
    try:
        demo.wait_for(lambda: demo.console)
        assert httpx.get(str(demo.console), trust_env=False, timeout=60).status_code == 200
        result = demo.result()
    finally:
        demo.end()
    assert result["console"] == demo.console
    shown, works = (
        next(n for n, text in enumerate(demo.messages) if text.startswith(begins))
        for begins in ("console: at ", f"demo: {WORKING}")
    )
    assert shown < works, "the address comes before the work"
    assert len(demo.messages) == len(set(demo.messages)), "each message is printed once"
    assert result["story"][0].startswith("One deal, from won to ")
    assert any("opportunity won" in line for line in result["story"])
    assert result["verdict"] == "equal"
    assert {name: result[name] for name in ("lost", "doubled", "differing", "gone_back", "dead")} == {
        "lost": 0,
        "doubled": 0,
        "differing": 0,
        "gone_back": 0,
        "dead": 0,
    }
    assert result["rows_in"] > 20 * 300 * 0.5
    assert result["records_out"] > 1000
    assert result["latency_ms"]["p50"] > 0
    for block in ("identity", "writeback", "supply"):
        assert result[block]["holds"], json.dumps(result[block], indent=1)
    assert result["identity"]["linked"] == result["identity"]["shared"] > 0
    assert result["supply"]["late_shown"] == result["supply"]["late_lines"] > 0
    assert result["supply"]["lines"] > 100
    assert result["identity"]["conflicts_logged"] == result["identity"]["conflicts_planted"] > 0


@pytest.mark.timeout(400)
def test_killed_workers_lose_and_double_nothing(state_dir: Path) -> None:
    demo = Demo(state_dir, "--seconds", "25", "--rate", "400")
    try:
        demo.wait_for(lambda: demo.is_working)
        for name in ("ingest", "assemble"):
            demo.wait_for(lambda name=name: demo.lane(name)[0])
            killed, read_before = demo.lane(name)
            # In mid-stream: it has read a thousand records since, and there are more to come.
            demo.wait_for(lambda name=name, limit=read_before + 1000: demo.lane(name)[1] >= limit)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            demo.wait_for(lambda name=name, killed=killed: demo.lane(name)[0] not in (None, killed))
        result = demo.result()
    finally:
        demo.end()
    assert result["verdict"] == "equal", result["examples"]
    assert (result["lost"], result["doubled"], result["differing"], result["gone_back"]) == (0, 0, 0, 0)
