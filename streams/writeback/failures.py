"""What can go wrong between an intent and its target, by what the deliverer does next.

RetryLater
├── TargetDown          the target does not answer, or not this intent: see `blame`
├── TargetBusy          another deliverer serves this target: leave it to that one
└── NotReady            the record is not complete in the hub: try again shortly, ask a person if it stays so
    ├── MissingValue    a value that is required is not known: never sent without it, whatever a person says
    ├── TargetChanged   somebody else changed the target's row: the hub catches up, or a person decides
    ├── AmountDiffers   the target computes another amount: a person decides
    ├── InDoubt         it may have been done, and nothing can prove it: a person finds out
    ├── TooEarly        it may still come: look again later, and ask nobody
    └── Queued          the target took the request, and has not done it yet
BadRecord
└── Refused             the target refuses, or did something else than it should: retry a few times, then dead
    └── NotSent         the rule cannot be carried out, so nothing was sent: this says nothing about the target
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from streams.errors import BadRecord, RetryLater


class TargetDown(RetryLater):
    """The target does not answer.

    `blame` says what may be the cause:
    - `target`: it cannot be reached, or it asks for a pause. Nothing more is sent to it for now.
    - `unclear`: it was reached, and did not answer this intent. This counts against the intent once others pass.
    - `intent`: it answers with a fault of its own for this intent. This counts against the intent also when it
      stays so.

    `retry_after_s`: seconds of pause that the target asks for. `refuses`: it answers, and takes nothing from us.
    `in_doubt`: the target may have done what was sent; None: unless the target is to blame.
    """

    def __init__(
        self,
        message: str,
        *,
        blame: Literal["target", "unclear", "intent"] = "target",
        retry_after_s: float = 0.0,
        refuses: bool = False,
        in_doubt: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.blame = blame
        self.retry_after_s = retry_after_s
        self.refuses = refuses
        self.in_doubt = blame != "target" if in_doubt is None else in_doubt


class TargetBusy(RetryLater):
    """Another deliverer has the target's replication origin."""


class NotReady(RetryLater):
    """What the rule needs is not there yet. `question` is what a person is asked when it stays so. `in_doubt`: the
    target may have done what was sent.
    """

    asks_at_once = False
    """Whether waiting for a minute first is of no use."""

    def __init__(self, message: str, *, question: str, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.question = question
        self.in_doubt = in_doubt


class MissingValue(NotReady):
    """A required value is not known. Nothing is sent without it, also when a person approves."""


class TargetChanged(NotReady):
    """The target's row is neither what the rule saw nor what it writes: somebody else changed it meanwhile."""


class AmountDiffers(NotReady):
    """What was read back has another amount, beyond the tolerance. `amounts`: parameter → what the target has."""

    asks_at_once = True

    def __init__(self, message: str, *, question: str, amounts: dict[str, Decimal], in_doubt: bool = False) -> None:
        super().__init__(message, question=question, in_doubt=in_doubt)
        self.amounts = amounts


class InDoubt(NotReady):
    """It may have been done, and nothing can prove it. A person who approves says that it was not: it is sent again."""

    asks_at_once = True

    def __init__(self, message: str, *, question: str) -> None:
        super().__init__(message, question=question, in_doubt=True)


class TooEarly(NotReady):
    """It is not there, and may still come: look again after `retry_s`."""

    def __init__(self, message: str, *, retry_s: float) -> None:
        super().__init__(message, question="", in_doubt=True)
        self.retry_s = retry_s


class Queued(TooEarly):
    """The target took the request, and has not done it yet."""


class Refused(BadRecord):
    """The target refuses. `in_doubt`: it did something, and not, or not surely, what it was asked to do."""

    stage = "writeback"

    def __init__(self, message: str, *, remedy: str = "", in_doubt: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.in_doubt = in_doubt


class NotSent(Refused):
    """Nothing was sent, because the rule cannot be carried out."""
