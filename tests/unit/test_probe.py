"""`opshub health`: exit codes that probes of containers understand, at next to no cost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from streams.cli.dispatch import run
from streams.cli.probe import run_probe

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("OPSHUB_"):
            monkeypatch.delenv(name)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A page that is alive and not ready."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="waits for the hub\n", status=503)

    service = web.Application()
    service.router.add_get("/healthz", healthz)
    service.router.add_get("/readyz", readyz)
    runner = web.AppRunner(service)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def command(*arguments: str, **variables: str) -> tuple[int, str]:
    """The exit code of `opshub health …`, and all that it printed."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.cli", "health", *arguments, env=os.environ | variables,
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    return process.returncode or 0, out.decode()


async def test_alive_is_0_and_not_ready_is_1_with_the_reason(port: int) -> None:
    assert await command(OPSHUB_METRICS_PORT=str(port)) == (0, "ok\n")
    assert await command("worker", "--ready", "--port", str(port)) == (1, "waits for the hub\n")
    assert await command("console", OPSHUB_CONSOLE_PORT=str(port), OPSHUB_CONSOLE_HOST="0.0.0.0") == (0, "ok\n")


async def test_port_that_was_free_is_found_in_the_state_folder(port: int, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / f"run/worker-{socket.gethostname()}.port").write_text(json.dumps({"pid": 1, "port": port}))
    assert await command(OPSHUB_METRICS_PORT="0", OPSHUB_STATE_DIR=str(tmp_path)) == (0, "ok\n")


def test_nobody_there_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_probe(["--port", "1"]) == 3
    assert "does not answer at 127.0.0.1:1" in capsys.readouterr().err


def test_command_with_help_and_without_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["health", "worker", "--ready", "--port", "1"]) == 3
    assert "does not answer at 127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["--port", "x"], ["--port"], ["worker", "worker"]])
def test_wrong_use_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_probe(arguments) == 2
    assert "usage: opshub health" in capsys.readouterr().err


def test_probe_imports_next_to_nothing() -> None:
    code = "import sys; sys.argv = ['opshub', 'health', '--port', '1']\n"
    code += "import streams.cli\ntry: streams.cli.main()\nexcept SystemExit: pass\n"
    code += "print([m for m in ('typer', 'pydantic', 'httpx', 'http.client', 'ssl', 'asyncio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
