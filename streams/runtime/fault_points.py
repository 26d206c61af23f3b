"""Named places in the walk at which a test can make this very process fail. Off unless OPSHUB_FAULT is set.

    OPSHUB_FAULT=assemble.hub:kill:3            the third time that assemble has written the hub, SIGKILL
    OPSHUB_FAULT=ingest.read:stop:1,assemble.produced:raise:2

Points are `<lane>.<step>`: `ingest` and `assemble` have one after each of the five steps, read, pure, hub, produced (before the offsets)
and committed; `deliver` has statements (before the target's commit) and target (after it, before the hub's).
Actions: `kill` (SIGKILL), `stop` (SIGSTOP; whoever injects it sends SIGCONT), `raise` (RetryLater), `exit` (code 1).
When off, `fault_point` is a function that does nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

from streams.errors import ConfigError, RetryLater

STEPS = ("read", "pure", "hub", "produced", "committed")
POINTS = (
    *(f"{lane}.{step}" for lane in ("ingest", "assemble") for step in STEPS),
    "deliver.statements",
    "deliver.target",
)
ACTIONS = ("kill", "stop", "raise", "exit")


def _nothing(name: str) -> None:
    return


def parse(text: str) -> dict[str, tuple[str, int]]:
    """`point:action:nth,…` → point → (action, nth). Raises ConfigError that names what is wrong."""
    wanted: dict[str, tuple[str, int]] = {}
    for part in filter(None, text.split(",")):
        point, _, rest = part.partition(":")
        action, _, nth = rest.partition(":")
        if point not in POINTS or action not in ACTIONS or not (nth or "1").isdigit():
            raise ConfigError(
                f"OPSHUB_FAULT: {part!r} is not a fault",
                remedy=f"point:action:nth; points {', '.join(POINTS)}; actions {', '.join(ACTIONS)}",
            )
        wanted[point] = (action, int(nth or "1"))
    return wanted


def armed(text: str) -> Callable[[str], None]:
    """The function to call at each point, for a value of OPSHUB_FAULT."""
    wanted = parse(text)
    if not wanted:
        return _nothing
    passed: Counter[str] = Counter()

    def hit(name: str) -> None:
        fault = wanted.get(name)
        if fault is None:
            return
        passed[name] += 1
        if passed[name] != fault[1]:
            return
        if fault[0] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault[0] == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault[0] == "exit":
            os._exit(1)
        else:
            raise RetryLater(f"fault point {name}")

    return hit


fault_point = armed(os.environ.get("OPSHUB_FAULT", ""))
"""Call with the name of the point that was reached."""
