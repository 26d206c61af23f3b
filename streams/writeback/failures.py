"""What can go wrong between an intent and its target, by what the deliverer does next.

RetryLater
├── TargetDown    the target does not answer, or not this one: see `blame`
├── TargetBusy    another deliverer serves this target: leave it to that one
└── NotYet        what the rule needs is not complete in the hub, or the target is ahead of it: again shortly
BadRecord
└── Refused       the target says no, or did something else than it was asked: again a few times, then dead
    └── Unasked   the rule can not be carried out, which says nothing of the target
"""

from __future__ import annotations

from typing import Literal

from streams.errors import BadRecord, RetryLater


class TargetDown(RetryLater):
    """The target does not answer.

    `blame` says what it may be due to: `target` it can not be reached, or asks for a pause: nothing more for it now; `unclear` it was
    reached, and gave no answer to this one: it counts against the intent once others have passed meanwhile; `intent` it answers, with a
    fault of its own that this one sets off: it counts when it stays so, too. `after`: seconds of pause that the target asks for.
    `unsure`: what was asked for may have been done.
    """

    def __init__(
        self, message: str, *, blame: Literal["target", "unclear", "intent"] = "target", after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.blame = blame
        self.after = after
        self.unsure = blame != "target"


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
    """The target says no. `unsure`: or it did something, and not, or not surely, what it was asked."""

    stage = "writeback"

    def __init__(self, message: str, *, remedy: str = "", unsure: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.unsure = unsure


class Unasked(Refused):
    """The target was not asked: the rule can not be carried out."""
