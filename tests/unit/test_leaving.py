"""A worker leaves by one way: with the error of the task that failed, and within a bounded time."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import ConfigError, EnvironmentFault, OpshubError
from streams.runtime import supervisor
from streams.runtime.supervisor import WorkerTask, leave_in_time, run_until_stopped


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def at_once(*_: object) -> None:
    return None


def failing(error: Exception) -> WorkerTask:
    async def fail() -> None:
        raise error

    return WorkerTask("lanes", fail)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (EnvironmentFault("fenced", remedy=""), 3),
        (ConfigError("wrong", remedy=""), 2),
        (ValueError("a fault of ours"), 3),
    ],
)
def test_failed_worker_ends_although_a_lane_does_not_let_go(
    failure: OpshubError | ValueError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_codes: list[int] = []
    monkeypatch.setattr(supervisor, "LEAVES_WITHIN", 0.05)
    monkeypatch.setattr(supervisor.os, "_exit", exit_codes.append)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_until_stopped("w", [failing(failure)], asyncio.Event(), never), 0.5)

    asyncio.run(run())
    assert exit_codes == [code]


async def test_failure_of_a_task_is_raised_after_the_lanes_stopped() -> None:
    stopped: list[str] = []

    async def stop() -> None:
        stopped.append("lanes")

    with pytest.raises(EnvironmentFault, match="fenced"):
        tasks = [WorkerTask("watch", never), failing(EnvironmentFault("fenced"))]
        await run_until_stopped("w", tasks, asyncio.Event(), stop)
    assert stopped == ["lanes"]
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await run_until_stopped("w", [failing(ValueError("a fault of ours"))], asyncio.Event(), at_once)


async def test_task_that_ends_by_itself_is_a_failure() -> None:
    with pytest.raises(EnvironmentFault, match="sums ended by itself"):
        await run_until_stopped("w", [WorkerTask("sums", at_once)], asyncio.Event(), at_once)


async def test_worker_waits_for_the_tasks_that_finish_first_before_it_stops_lanes() -> None:
    events: list[str] = []
    stopping = asyncio.Event()

    async def deliver() -> None:
        try:
            stopping.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("delivery put back")

    async def stop() -> None:
        events.append("lanes stopped")

    await run_until_stopped("w", [WorkerTask("deliver", deliver, finishes_first=True)], stopping, stop)
    assert events == ["delivery put back", "lanes stopped"]


@pytest.mark.parametrize(("failure", "code"), [(None, 0), (ConfigError("wrong"), 2), (ValueError("ours"), 3)])
def test_process_that_hangs_after_the_worker_left_ends_with_the_workers_own_code(
    failure: Exception | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_codes: list[int] = []
    monkeypatch.setattr(supervisor, "LEAVES_WITHIN", 0.01)
    monkeypatch.setattr(supervisor.os, "_exit", exit_codes.append)

    async def life() -> None:
        if failure is not None:
            raise failure

    async def run() -> None:
        try:
            await leave_in_time("w", life())
        except (ConfigError, ValueError):
            pass
        await asyncio.sleep(0.1)  # what still hangs

    asyncio.run(run())
    assert exit_codes == [code]
