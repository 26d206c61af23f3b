"""Does jobs in the background of a console: takes one by a lease, does it in batches, keeps the result of each item.

A console that dies leaves a lease that ends; another console, or the same one started again, goes on with the items
that have no outcome. An item whose outcome was not written is done once more: each action skips what is settled.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg

from streams.errors import EnvironmentFault, OpshubError, RetryLater
from streams.hub import jobs
from streams.hub.intent_review import Hub
from streams.hub.jobs import Job
from streams.inbox.bulk import Place, do_batch
from streams.inbox.dead_letters import Dictionaries
from streams.settings import Settings

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""Longer than a batch takes, its wait for the workers included."""
BATCH = 20
IDLE_S = 1.0
"""How often a console looks for jobs of others, or whose lease ended."""
AWAY_S = 5.0

OpenHub = Callable[[], AbstractContextManager[Hub]]


class JobRunner:
    """One thread that does jobs. `wake` it when a job was made."""

    def __init__(self, settings: Settings, open_hub: OpenHub, dictionaries: Dictionaries) -> None:
        self._settings = settings
        self._open_hub = open_hub
        self._dictionaries = dictionaries
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """A job was made: take it now."""
        self._work.set()

    def stop(self, seconds: float = 5.0) -> None:
        """End after the batch in hand; another console takes over at once."""
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = IDLE_S
            try:
                if self._do_next():
                    continue
            except (EnvironmentFault, RetryLater, psycopg.Error) as away:
                log.info("jobs wait: %s", away)
                pause = AWAY_S
            self._work.wait(pause)
            self._work.clear()
        try:
            with self._open_hub() as hub:
                jobs.release_jobs(hub, self._worker)
        except (OpshubError, psycopg.Error) as away:
            log.info("the jobs of this console are free once their lease ends: %s", away)

    def _do_next(self) -> bool:
        """Do one batch of the oldest job; False where there is none."""
        with self._open_hub() as hub:
            job = jobs.lease_job(hub, self._worker, LEASE_S)
            if job is None:
                return False
            self._do_batch(hub, job)
        return True

    def _do_batch(self, hub: Hub, job: Job) -> None:
        items = jobs.waiting_items(hub, job.id, BATCH)
        if not items:
            jobs.end_job(hub, job.id, self._worker, "done")
            return
        try:
            outcomes = do_batch(Place(self._settings, hub, self._dictionaries), job, items)
        except (EnvironmentFault, RetryLater):
            raise
        except Exception as error:
            # A fault of this program must not keep the jobs behind it waiting.
            log.exception("job %s failed", job.id)
            jobs.end_job(hub, job.id, self._worker, "failed", f"{type(error).__name__}: {error}")
            return
        jobs.save_outcomes(hub, job.id, self._worker, outcomes, LEASE_S)
