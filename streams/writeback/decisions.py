"""What the deliverer decides about one intent: a closed set of frozen types. `decide.py` makes them, `outcomes.py`
records them.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from streams.hub.intents import Question
from streams.writeback.jobs import Answer, Job


class KeepPlanned(msgspec.Struct, frozen=True, tag=True):
    """Nothing is decided yet: the document is not complete, so shadow mode cannot show what it would send. Look again
    shortly.
    """


class Approve(msgspec.Struct, frozen=True, tag=True):
    """Deliver it, without asking people (any more); not before `not_before`, where the rule has a schedule."""

    not_before: datetime | None = None


class Shadow(msgspec.Struct, frozen=True, tag=True):
    """Keep what would be sent (`job`), or the problem that prevents it. Nothing is sent."""

    job: Job | None = None
    problem: str | None = None


class Deliver(msgspec.Struct, frozen=True, tag=True):
    """Give this job to the adapter now. A job in doubt is looked up or read back by the adapter before it sends
    anything.
    """

    job: Job


class AskPeople(msgspec.Struct, frozen=True, tag=True):
    """Wait for people to answer these questions.

    `retry_s`: seconds until it is tried again by itself, for a question that may answer itself; 0 for one that only
    people answer.
    """

    questions: list[Question]
    expires_s: float | None
    retry_s: float = 0.0
    not_before: datetime | None = None
    in_doubt: bool | None = None


class KeepAsking(msgspec.Struct, frozen=True, tag=True):
    """People were asked this already, and it is still not ready. Try again after `retry_s`."""

    problem: str
    retry_s: float
    in_doubt: bool


class Wait(msgspec.Struct, frozen=True, tag=True):
    """The hub or the target is not ready: try again after `retry_s`. This does not count as a failure. `queued`: the
    target took the request, and will do it.
    """

    problem: str
    retry_s: float
    in_doubt: bool
    queued: bool = False


class Retry(msgspec.Struct, frozen=True, tag=True):
    """The target refused it: try again after `retry_s`. This counts as a failure."""

    problem: str
    retry_s: float
    in_doubt: bool


class GiveUp(msgspec.Struct, frozen=True, tag=True):
    """It is dead: a person has to see to it. `in_doubt`: None leaves what is recorded."""

    problem: str
    in_doubt: bool | None = None


class Withdraw(msgspec.Struct, frozen=True, tag=True):
    """People took back what caused it: nothing is sent. It is planned again when the cause is back."""

    problem: str


class NothingToWrite(msgspec.Struct, frozen=True, tag=True):
    """`skip_when` holds now: it counts as delivered, and nothing was sent."""


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """The target has it, by this answer to this job."""

    job: Job
    answer: Answer


class PutBack(msgspec.Struct, frozen=True, tag=True):
    """The target did not answer: the intent keeps its turn, and the breaker decides when the target is tried again.

    `was_sent`: this intent was tried, and did not get an answer; the others were only leased with it.
    """

    problem: str
    retry_s: float = 0.0
    in_doubt: bool | None = None
    was_sent: bool = True


ForPlanned = KeepPlanned | Approve | Shadow | AskPeople | GiveUp
"""What `decide` returns for an intent that is planned."""
ForLeased = Deliver | AskPeople | KeepAsking | Wait | Retry | GiveUp | Withdraw | NothingToWrite | Delivered | PutBack
"""What `decide` returns for an intent that is leased."""
Decision = ForPlanned | ForLeased
