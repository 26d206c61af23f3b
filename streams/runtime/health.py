"""Whether a worker is well.

In: the state of its lanes and its deliverer. Out: None, or a sentence for people that says what is wrong.

A worker is stuck, and the supervisor should start it again,
- when a lane has not returned from its work or its poll for `stuck_after` seconds,
- when a lane is stalled: it polls, and gets nothing of a partition that has more,
- when the deliverer of a target makes no progress.
A worker is not ready, too,
- while a lane has no partitions yet,
- while a step or the deliverer waits for a server,
- when a source is stopped because changes of it were lost.
"""

from __future__ import annotations

import asyncio
import time

from streams.runtime.lane import Lane
from streams.runtime.worker_state import WorkerState

COMMITS_WITHIN = 20.0
"""Seconds that a commit may take while its lane does not report that it waits: it reports that after five, and the
broker ends its transaction after eight.
"""
CALL_ANSWERS_WITHIN = 12.0
"""Seconds for one call of a producer. It gives up after five by itself, and has taken eight."""
DELIVERS_WITHIN = 300.0
"""Seconds that the deliverer may take for one step to a target: a statement or request ends after some ten, and a
transaction may hold twenty-five orders.
"""
UNREACHED_READY_WITHIN = 10.0
"""Seconds without anything from a partition after which the worker is not ready. It is stuck only after `stuck_after`.
"""
CHECK_EVERY = 2.0
"""Seconds between two looks of the worker at itself."""


class Health:
    """Verdicts about one worker."""

    def __init__(self, state: WorkerState, *, stuck_after: float = 120.0) -> None:
        self._state = state
        self._stuck_after = stuck_after

    def problem(self, *, ready: bool = False) -> str | None:
        """Why the worker is stuck; with `ready` also why it is alive and not ready."""
        state = self._state
        now = time.monotonic()
        for name, lane in state.lanes.items():
            waits = (state.waiting.get(name) or lane.broker.waiting) is not None
            problem = self._stuck_call(lane, now, waits=waits)
            # A lane that reports what it waits for reads nothing for a good reason.
            if problem is None and not waits:
                problem = self._unread(lane, now, UNREACHED_READY_WITHIN if ready else self._stuck_after)
            if problem is None and ready and not lane.progress.assigned:
                problem = "has no partitions yet"
            if problem is not None:
                return f"lane {name} {problem}"
        for target, progress_at in state.deliverer.progress.items() if state.deliverer is not None else ():
            silent = now - progress_at
            if silent > DELIVERS_WITHIN:
                return f"the deliverer of {target} has made no progress for {silent:.0f} s"
        if not ready:
            return None
        return state.waiting_text() or "; ".join(state.stopped_systems.values()) or None

    def _stuck_call(self, lane: Lane, now: float, *, waits: bool) -> str | None:
        """`waits`: the lane reports that it waits for a server, and may take its time."""
        silent = now - lane.figures.last_progress
        if silent > self._stuck_after and not waits:
            return f"has made no progress for {silent:.0f} s"
        committing, calling = lane.figures.committing_since, lane.calls.since
        commit_s = 0.0 if committing is None else now - committing
        # librdkafka's send_offsets_to_transaction may never return after an outage (confluentinc/librdkafka #5456). So
        # a single call counts although its lane waits: the broker may have been back for long.
        call_s = 0.0 if calling is None else now - calling
        if call_s > CALL_ANSWERS_WITHIN or (commit_s > COMMITS_WITHIN and not waits):
            return f"has waited for the end of a transaction for {max(call_s, commit_s):.0f} s"
        return None

    def _unread(self, lane: Lane, now: float, unreached_within: float) -> str | None:
        progress = lane.progress
        if progress.unreached_for() > unreached_within:
            unreached = progress.unreached()
            topic, partition = min(unreached, default=("", 0))
            return f"gets nothing of {len(unreached)} of its partitions, for example {topic}:{partition}"
        stalled = lane.poller.stall.stalled(now)
        if stalled:
            (topic, partition), unread = min(stalled.items())
            return (
                f"is stalled on {len(stalled)} of its partitions, for example {topic}:{partition}: it is read up to "
                f"{max(unread.read, 0):,} and ends at {unread.end:,}"
            )
        return None

    async def until_stuck(self, every: float = CHECK_EVERY) -> str:
        """Wait until this worker is stuck; why."""
        while True:
            problem = self.problem()
            if problem is not None:
                return problem
            await asyncio.sleep(every)
