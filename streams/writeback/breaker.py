"""How long to stay away from a target, and whether the target is at fault or one intent. It reads no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tenacity import RetryCallState, wait_exponential_jitter

from streams.writeback.failures import TargetDown

UNANSWERED_IN_A_ROW = 2
"""So many intents in a row without an answer mean that the target is at fault: a single one may be the intent's own."""
FAULTS_OF_INTENT = 4
"""So many 500s for one intent count against it, even if no other intent was answered meanwhile."""
MOST_SUSPECTS = 1000
"""Suspects that are remembered: without a limit an outage with many intents would fill the memory."""
LONGEST_PAUSE_S = 86_400.0
"""Longest pause that a target may ask for: a daily quota. The alert says until when; `writeback resume` ends it."""

after_failure = wait_exponential_jitter(multiplier=0.5, max=4 * 3600, exp_base=5, jitter=0.5)
"""Pause after the n-th attempt that the target refused: 0.5 s, 2.5 s, 12 s, 1 min, 5 min, 26 min, 2 h, 4 h. Whoever has
to correct something there needs hours, not seconds.
"""
behind_others = wait_exponential_jitter(multiplier=0.5, max=120, jitter=0.5)
"""Pause of one intent without an answer, while others go first."""
while_not_ready = wait_exponential_jitter(multiplier=0.03, max=2, jitter=0.03)
"""Pause while a document is not complete, or the target was changed: this usually lasts a fraction of a second."""
while_queued = wait_exponential_jitter(multiplier=1, max=300, jitter=1)
"""Pause until the look-up of a request that the target has queued."""
while_refused = wait_exponential_jitter(multiplier=1, max=900, jitter=1)
"""Pause of the circuit breaker while the target refuses everybody: more requests can lock an account."""
while_down = wait_exponential_jitter(multiplier=0.2, max=15, jitter=0.3)
"""Pause of the circuit breaker: nothing is sent to a target that did not answer."""


def pause_of(wait: Callable[[RetryCallState], float], attempt: int) -> float:
    """Seconds of pause after this attempt; the first attempt is 1."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    # Past 30 the exponent would overflow; every `max` is reached long before.
    state.attempt_number = max(1, min(attempt, 30))
    return wait(state)


class Unanswered(NamedTuple):
    """What the breaker makes of an intent without an answer."""

    counts_against_intent: bool
    pause_s: float
    """Seconds for which other intents go first."""


class Breaker:
    """Opens when the target does not answer, for a pause that grows. One try then closes it, or opens it for longer.

    An intent without an answer is a suspect. Its next silence counts against it if another intent was answered
    meanwhile: without this rule one bad intent would block all intents behind it, and with a simpler one an outage
    would kill them all.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.cause = ""
        self._answered = 0
        self._suspects: dict[str, tuple[int, int]] = {}
        """Key of an intent → how many intents were answered when it first got no answer; how often it got none."""

    def target_failed(self, cause: str, retry_after_s: float = 0.0, *, refuses: bool = False) -> float:
        """Seconds to stay away; at least those that the target asks for. `refuses`: it answers, and takes nothing."""
        self.failures += 1
        self.cause = cause
        pause_s = pause_of(while_refused if refuses else while_down, self.failures)
        return max(pause_s, min(retry_after_s, LONGEST_PAUSE_S))

    def answered(self, key: str) -> None:
        """The target answered this intent, even if it refused it."""
        self.failures, self.cause = 0, ""
        # Suspects compare this number with the one of their first silence.
        self._answered += 1
        self._suspects.pop(key, None)

    def unanswered(self, key: str, down: TargetDown) -> Unanswered:
        """The target did not answer this intent."""
        if down.blame == "target":
            return Unanswered(False, 0.0)
        answered_then, times = self._suspects.get(key, (self._answered, 0))
        times += 1
        counts = self._answered > answered_then or (down.blame == "intent" and times >= FAULTS_OF_INTENT)
        # Taken out and added at the end: the dict forgets the suspect first that was seen longest ago.
        self._suspects.pop(key, None)
        self._suspects[key] = (self._answered if counts else answered_then, times)
        if len(self._suspects) > MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        return Unanswered(counts, pause_of(behind_others, times))

    def forget(self, key: str) -> None:
        """This intent is dead: it is no suspect any more."""
        self._suspects.pop(key, None)
