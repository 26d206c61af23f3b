"""Whether a request that may have been done already may be sent once more. Pure."""

from __future__ import annotations

from streams.writeback.failures import InDoubt, Queued, TooEarly
from streams.writeback.http_rules import HttpAction, LookUp
from streams.writeback.jobs import Job


def check_may_repeat(job: Job, action: HttpAction) -> None:
    """Raise unless a job in doubt may be sent once more, since it was not found or does no harm twice."""
    if action.look_up is None:
        if action.idempotency_header is None and not job.wanted and not action.send.repeatable:
            raise InDoubt(
                f"{job.key} may have been done, and the rule has no way to find out",
                question=f"it may have been done in the target{_sent_at(job)}, and the rule has no look_up: "
                "look for it there; send it again?",
            )
        return
    if job.queued_s is not None:
        if job.queued_s < action.send.queued_for.total_seconds():
            raise Queued(f"{job.key}: the target took it{_sent_at(job)}, and has not done it yet", retry_s=0.0)
        raise InDoubt(
            f"{job.key}: the target took it{_sent_at(job)}, and has not done it",
            question=f"the target took it{_sent_at(job)}, and it is not there: send it again?",
        )
    if action.idempotency_header is None:
        check_lag(job, action.look_up)


def check_lag(job: Job, look_up: LookUp) -> None:
    """Raise TooEarly while what was sent may still come, though it was not found."""
    lag_s = look_up.lag.total_seconds()
    if job.sent_s is not None and job.sent_s < lag_s:
        left_s = lag_s - job.sent_s
        raise TooEarly(f"{job.key}: it is not there, and may still come for {left_s:.0f} s", retry_s=left_s)


def _sent_at(job: Job) -> str:
    return f" at {job.sent_at:%Y-%m-%d %H:%M:%S} UTC" if job.sent_at is not None else ""
