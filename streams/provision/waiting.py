"""Waiting for servers that are being started: tries each until it answers, within one limit for all of them.

In: named checks, which raise EnvironmentFault while their server is away. Out: nothing, or the error of the first
server that did not answer in time. An error that time does not mend (a wrong password, a wrong file) is raised at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from streams.errors import AccessDenied, EnvironmentFault, ServerAway

PAUSE_S = 1.0
"""Seconds between two tries."""


def wait_for(
    checks: Mapping[str, Callable[[], object]],
    seconds: float,
    report: Callable[[str], object],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Call each check until it passes; `report` gets a sentence when the wait begins, and when the reason changes.

    Raises ServerAway for the first server that is away after `seconds`, AccessDenied at once. With 0 seconds each is
    tried once, and its own error raised.
    """
    end = clock() + seconds
    for name, check in checks.items():
        reported = ""
        while True:
            try:
                check()
                break
            except AccessDenied:
                raise
            except EnvironmentFault as away:
                left = end - clock()
                if left <= 0:
                    if not seconds:
                        raise
                    raise ServerAway(f"waited {seconds:g} s for {name}: {away}", remedy=away.remedy) from away
                if str(away) != reported:
                    reported = str(away)
                    report(f"waiting for {name}, at most {left:.0f} s more: {reported}")
                pause(min(PAUSE_S, left))
