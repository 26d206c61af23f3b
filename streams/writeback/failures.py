"""What can go wrong between an intent and its target, by what the deliverer does next.

RetryLater
├── TargetDown    the target does not answer: nothing more for it for a while, no attempt is counted against the intent
├── TargetBusy    another deliverer serves this target: leave it to that one
└── NotYet        what the rule needs is not complete in the hub, or the target is ahead of it: again shortly
BadRecord
└── Refused       the target says no, or did something else than it was asked: again a few times, then dead
"""

from __future__ import annotations

from streams.errors import BadRecord, RetryLater


class TargetDown(RetryLater):
    """The target does not answer."""


class TargetBusy(RetryLater):
    """Another deliverer holds the target's replication origin."""


class NotYet(RetryLater):
    """What the rule needs is not there yet. `ask` is what a person is asked when it stays so."""

    def __init__(self, message: str, *, ask: str) -> None:
        super().__init__(message)
        self.ask = ask


class Ahead(NotYet):
    """The target's row is not what the rule saw: somebody else changed it meanwhile."""


class Refused(BadRecord):
    """The target says no."""

    stage = "writeback"
