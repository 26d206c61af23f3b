"""Questions to slow servers, asked side by side: a page waits for none of them longer than a moment.

Each answer is kept for a few seconds. A question that is still open when the page has to be shown goes on in its
thread; the page shows the answer before it with its age, or that there is none yet, and the next page has the new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from streams.errors import EnvironmentFault, OpshubError

FRESH_S = 3.0
"""For so long an answer is given again without asking."""
WITHIN_S = 2.0
"""A page waits no longer than this."""
THREADS = 8


class ServerAnswer(NamedTuple):
    """What is known of one question."""

    value: Any
    """The answer; None where `problem` says why there is none."""
    age_s: float
    """Seconds since it was given."""
    is_late: bool
    """The server did not answer in time: this is the answer before, or none."""
    problem: OpshubError | None
    is_known: bool = True
    """False: the first answer is still awaited, which `problem` says."""

    def needed(self) -> Any:
        """The answer. Raises the problem where there is none."""
        if self.problem is not None:
            raise self.problem
        return self.value


class _Kept(NamedTuple):
    value: Any
    problem: OpshubError | None
    at: float


class ServerAnswers:
    """The questions of one console, by name."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="server-answers")
        self._lock = threading.RLock()  # a question that is answered at once calls `_keep` from `_start`
        self._kept: dict[str, _Kept] = {}
        self._open: dict[str, Future[_Kept]] = {}

    def ask(
        self, questions: Mapping[str, Callable[[], Any]], *, within: float = WITHIN_S, fresh: float = FRESH_S
    ) -> dict[str, ServerAnswer]:
        """Name → what is known, after `within` seconds at the latest. Raises what a question raises that is no
        OpshubError.
        """
        end = time.monotonic() + within
        with self._lock:
            futures = {name: self._start(name, question, fresh) for name, question in questions.items()}
        wait(futures.values(), max(0.0, end - time.monotonic()))
        return {name: self._answer_of(name, future, within) for name, future in futures.items()}

    def forget(self) -> None:
        """Something was changed: no answer that was asked for before is given any more."""
        with self._lock:
            self._kept.clear()
            self._open.clear()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, name: str, question: Callable[[], Any], fresh: float) -> Future[_Kept]:
        """The open question, or its answer where that is fresh."""
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() - kept.at < fresh:
            known: Future[_Kept] = Future()
            known.set_result(kept)
            return known
        future = self._open.get(name)
        if future is None:
            future = self._open[name] = self._pool.submit(_answer, question)
            future.add_done_callback(lambda done: self._keep(name, done))
        return future

    def _keep(self, name: str, done: Future[_Kept]) -> None:
        with self._lock:
            if self._open.get(name) is done:
                del self._open[name]
                if not done.cancelled() and done.exception() is None:
                    self._kept[name] = done.result()

    def _answer_of(self, name: str, future: Future[_Kept], within: float) -> ServerAnswer:
        is_late = not future.done()
        answer = self._kept.get(name) if is_late else future.result()
        if answer is None:
            problem = EnvironmentFault(f"no answer within {within:g} s", remedy="load the page again: it is asked on")
            return ServerAnswer(None, 0.0, True, problem, is_known=False)
        return ServerAnswer(answer.value, time.monotonic() - answer.at, is_late, answer.problem)


def _answer(question: Callable[[], Any]) -> _Kept:
    try:
        return _Kept(question(), None, time.monotonic())
    except OpshubError as error:
        return _Kept(None, error, time.monotonic())
