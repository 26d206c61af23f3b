"""A worker whose lane crashed leaves within a bounded time, though a lane beside it does not let go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams import app as worker
from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.settings import Settings


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def at_once(*_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("crash", "code"),
    [
        (EnvironmentFault("fenced", remedy=""), 3),
        (ConfigError("wrong", remedy=""), 2),
        (ValueError("a fault of ours"), 3),
    ],
)
def test_it_leaves_though_a_lane_does_not_let_go(
    crash: OpshubError | ValueError, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = SimpleNamespace(
        lanes={},
        deliverer=None,
        beside=[],
        stopped={},
        crash_reason=crash,
        start=at_once,
        stop=never,
        wait_until_stopped=at_once,
    )
    runner = SimpleNamespace(addresses=[("127.0.0.1", 1)])

    async def serve(*_: object) -> Any:
        return runner

    health = SimpleNamespace(serve=serve, until_stuck=never)
    left: list[int] = []
    monkeypatch.setattr(worker, "_registry_answers", at_once)
    monkeypatch.setattr(worker, "build_app", lambda *_, **__: (app, health))
    monkeypatch.setattr(worker, "calm_collector", lambda: None)
    monkeypatch.setattr(worker, "STUCK_LEAVES_WITHIN", 0.05)
    monkeypatch.setattr(worker.os, "_exit", left.append)
    settings = Settings(_env_file=None, state_dir=tmp_path)  # type: ignore[call-arg]

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker._run(settings, ()), 0.5)

    asyncio.run(run())
    assert left == [code]
