"""Named points of the pipeline at which a test can make this process fail. Off unless OPSHUB_FAULT is set.

    OPSHUB_FAULT=assemble.hub:kill:3            SIGKILL when assemble has written to the hub for the third time
    OPSHUB_FAULT=ingest.read:stop:1,assemble.produced:raise:2

Points are `<lane>.<step>`: `ingest` and `assemble` have one after each of the five steps, read, pure, hub, produced
(before the offsets) and committed; `deliver` has statements (before the target's commit) and target (after it, before
the hub's); `sources` has saved (before Kafka gets it) and acknowledged (before the hub knows that).
Actions: `kill` (SIGKILL), `stop` (SIGSTOP; the test that set it sends SIGCONT), `raise` (RetryLater), `exit` (code 1).
When off, `fault_point` is a function that does nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from streams.errors import ConfigError, RetryLater

STEPS = ("read", "pure", "hub", "produced", "committed")
POINTS = (
    *(f"{lane}.{step}" for lane in ("ingest", "assemble") for step in STEPS),
    "deliver.statements",
    "deliver.target",
    "sources.saved",
    "sources.acknowledged",
)
ACTIONS = ("kill", "stop", "raise", "exit")


def _nothing(name: str) -> None:
    return


class Fault(NamedTuple):
    """What happens at a point: `action`, when it is reached for the `nth` time."""

    action: str
    nth: int


def parse(text: str) -> dict[str, Fault]:
    """`point:action:nth,…` → point → fault. Raises ConfigError that names what is wrong."""
    faults: dict[str, Fault] = {}
    for spec in filter(None, text.split(",")):
        point, _, rest = spec.partition(":")
        action, _, nth = rest.partition(":")
        if point not in POINTS or action not in ACTIONS or not (nth or "1").isdigit():
            raise ConfigError(
                f"OPSHUB_FAULT: {spec!r} is not a fault",
                remedy=f"point:action:nth; points {', '.join(POINTS)}; actions {', '.join(ACTIONS)}",
            )
        faults[point] = Fault(action, int(nth or "1"))
    return faults


def armed(text: str) -> Callable[[str], None]:
    """The function to call at each point, for a value of OPSHUB_FAULT."""
    faults = parse(text)
    if not faults:
        return _nothing
    reached: Counter[str] = Counter()

    def reach(name: str) -> None:
        fault = faults.get(name)
        if fault is None:
            return
        reached[name] += 1
        if reached[name] != fault.nth:
            return
        if fault.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault.action == "exit":
            os._exit(1)
        else:
            raise RetryLater(f"fault point {name}")

    return reach


fault_point = armed(os.environ.get("OPSHUB_FAULT", ""))
"""Call with the name of the point that is reached."""
