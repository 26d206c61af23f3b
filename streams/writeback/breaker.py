"""How long to stay away from a target, and whether it is the target that is at fault, or one intent. No clock but the one that is given."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import RetryCallState, wait_exponential_jitter

from streams.writeback.failures import TargetDown

IN_A_ROW = 2
"""Intents in a row to which a target that was reached gave no answer: then it is the target."""
SEVERAL = 4
"""Times that a target answers one intent with a fault of its own, until that counts against the intent."""
MOST = 1000
"""Suspects that are remembered."""
LONGEST_S = 900.0
"""Longest pause that a target may ask for."""

after_failure = wait_exponential_jitter(multiplier=0.5, max=120, jitter=0.5)
"""Pause after the n-th attempt that the target refused."""
while_incomplete = wait_exponential_jitter(multiplier=0.03, max=2, jitter=0.03)
"""Pause while a document is not whole, or the target is ahead of the hub."""
while_down = wait_exponential_jitter(multiplier=0.2, max=15, jitter=0.3)
"""Pause of the circuit breaker: nothing is sent to a target that did not answer."""


def pause_of(wait: Callable[[RetryCallState], float], attempt: int) -> float:
    """Seconds of pause after this attempt, the first being 1."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = max(1, min(attempt, 30))
    return wait(state)


class Breaker:
    """Opens when the target does not answer, for a pause that grows; one try closes it or opens it for longer.

    An intent that gets no answer is a suspect. Its next silence counts against it when another one has passed since: else one bad intent
    would hold up all that wait behind it.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.cause = ""
        self._passed = 0
        self._suspects: dict[str, tuple[int, int]] = {}
        """Key of an intent → how many had passed when it first got no answer; how often it got none."""

    def failed(self, cause: str, after: float = 0.0) -> float:
        """Seconds to stay away; at least those that the target asks for."""
        self.failures += 1
        self.cause = cause
        return max(pause_of(while_down, self.failures), min(after, LONGEST_S))

    def answered(self, key: str) -> None:
        """The target said something to this one, be it no."""
        self.failures, self.cause = 0, ""
        self._passed += 1
        self._suspects.pop(key, None)

    def silent(self, key: str, down: TargetDown) -> tuple[bool, float]:
        """One intent got no answer: (whether that counts against it, seconds for which others go first)."""
        if down.blame == "target":
            return False, 0.0
        passed, times = self._suspects.get(key, (self._passed, 0))
        times += 1
        counts = self._passed > passed or (down.blame == "intent" and times >= SEVERAL)
        self._suspects.pop(key, None)
        self._suspects[key] = (self._passed if counts else passed, times)
        if len(self._suspects) > MOST:
            del self._suspects[next(iter(self._suspects))]
        return counts, pause_of(after_failure, times)

    def forget(self, key: str) -> None:
        """This one is done with."""
        self._suspects.pop(key, None)
