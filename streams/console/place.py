"""What all handlers of a console share: settings and a pool of hub sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from streams.console.limits import Bucket
from streams.console.server_answers import ServerAnswers
from streams.errors import EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.inbox.dead_letters import Dictionaries
from streams.inbox.job_runner import JobRunner
from streams.settings import Settings

HUB_SESSIONS = 8
WAIT_FOR_HUB_S = 3.0
AWAY_S = 2.0
"""For so long after it did not answer, the hub is waited for `WAIT_AGAIN_S` at most: a page asks it many times."""
WAIT_AGAIN_S = 0.2
CLOSE_S = 1.0
STATEMENT_LIMIT_MS = 15_000
"""A page that needs longer is a defect: the hub has workers to serve."""

Hub = psycopg.Connection[Any]


class Place:
    """The settings and the hub, for pages and API. Opens nothing before the first request. `wait_for_hub`: seconds
    that a request waits for a session with the hub.
    """

    def __init__(self, settings: Settings, *, wait_for_hub: float = WAIT_FOR_HUB_S) -> None:
        self.settings = settings
        self._wait_for_hub = wait_for_hub
        self._away_at = -AWAY_S
        self._pool = ConnectionPool(
            settings.hub,
            min_size=0,
            max_size=HUB_SESSIONS,
            max_idle=60,
            open=False,
            check=ConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "application_name": "opshub console",
                # Plans fit the values that are asked for; compiling them would take longer than they run.
                "options": f"-c statement_timeout={STATEMENT_LIMIT_MS} -c plan_cache_mode=force_custom_plan -c jit=off",
                **KEEPALIVE,
            },
        )

        self.refusals = Bucket(10, 1 / 60)
        """Refusals that the audit keeps of one person: a program that tries every door must not fill it."""
        self.dictionaries = Dictionaries(settings)
        self.jobs = JobRunner(settings, self.hub, self.dictionaries)
        """Does bulk work in the background, once the application starts it."""
        self.server_answers = ServerAnswers()
        """What slow servers said last."""

    def open(self) -> None:
        self._pool.open()

    def close(self) -> None:
        self.server_answers.close()
        self._pool.close(CLOSE_S)

    def pool_figures(self) -> dict[str, int]:
        """Sessions with the hub: open, idle, and requests that wait for one."""
        figures = self._pool.get_stats()
        return {
            "open": figures.get("pool_size", 0),
            "idle": figures.get("pool_available", 0),
            "waiting": figures.get("requests_waiting", 0),
        }

    @contextmanager
    def hub(self) -> Iterator[Hub]:
        """A session in autocommit mode. Raises EnvironmentFault while the hub is away, has no tables, or takes too
        long.
        """
        try:
            with self._pool.connection(timeout=self._patience()) as connection:
                yield connection
        except PoolTimeout as error:
            self._away_at = time.monotonic()
            raise EnvironmentFault("the hub does not answer", remedy="`opshub status` shows the servers") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise EnvironmentFault("the hub has no tables for this yet", remedy="`opshub apply`") from error
        except psycopg.errors.QueryCanceled as error:
            raise EnvironmentFault("the hub took too long for this", remedy="ask for less, or try again") from error
        except psycopg.OperationalError as error:
            raise EnvironmentFault(
                f"the hub went away: {str(error).strip()}", remedy="`opshub status` shows the servers"
            ) from error

    def _patience(self) -> float:
        """Seconds to wait for a session now."""
        was_away = time.monotonic() - self._away_at < AWAY_S
        return min(self._wait_for_hub, WAIT_AGAIN_S) if was_away else self._wait_for_hub
