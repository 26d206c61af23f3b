"""Faults at the named points of the walk: the worker is killed there, stands still there, or is refused there."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import psutil

from streams.runtime.fault_points import POINTS
from tests.faults.field import Field
from tests.waiting import came_true

Fault = Callable[[Field, random.Random], float | None]
"""May tell how long it took until work went on, where that is before its end."""

ACTIONS = {"SIGKILL": "kill", "SIGSTOP": "stop", "refusal": "raise"}


def at_point(point: str, action: str) -> Fault:
    def inject(field: Field, rng: random.Random) -> float | None:
        names = sorted(field.workers)
        # Only one worker at a time delivers to a system: whichever it is.
        armed = names if point.startswith("deliver.") else [rng.choice(names)]
        told = {name: field.log(name).stat().st_size for name in armed}
        for name in armed:
            field.kill(name)
            field.work(name, fault=f"{point}:{action}:{rng.randint(1, 3)}")

        def came(name: str) -> bool:
            if action == "kill":
                return field.ended(name) == -signal.SIGKILL
            if action == "stop":
                return psutil.Process(field.pids()[name]).status() == psutil.STATUS_STOPPED
            with field.log(name).open("rb") as log:
                log.seek(told[name])
                return f"fault point {point}".encode() in log.read()

        assert came_true(lambda: any(came(name) for name in armed), 90), f"no worker came to {point}"
        if action == "stop":
            time.sleep(field.settings.session_timeout_ms / 1000 + 4)
        began = time.monotonic()
        for name in armed:
            if action == "stop" and came(name):
                field.send(name, signal.SIGCONT)
            elif not came(name):
                field.kill(name)
                field.work(name)
        return delivers_again(field, began) if point.startswith("deliver.") else None

    return inject


def delivers_again(field: Field, began: float, seconds: float = 120.0) -> float:
    """Seconds since then until something was delivered."""
    before = field.delivered()

    def goes_on() -> bool:
        field.restart_ended()
        return field.delivered() > before

    assert came_true(goes_on, seconds), f"nothing was delivered for {seconds:.0f} s"
    return time.monotonic() - began


AT_POINTS: dict[str, Fault] = {
    f"{word} at {point}": at_point(point, action) for word, action in ACTIONS.items() for point in POINTS
}
