"""Database sessions that end soon after one of their ends has vanished: a host without power, a link that drops
everything.

Without these options a client waits for some fifteen minutes for the answer to what it sent (Linux, `tcp_retries2`),
and a server keeps the locks of a vanished client for two hours (Linux, `tcp_keepalive_time`): rows that a successor
must write, and the lock that makes a worker the watcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus

from streams.errors import EnvironmentFault, ServerAway
from streams.postgres_login import login_fault


class KeepaliveOptions(TypedDict):
    """Options of libpq, in seconds; `tcp_user_timeout` in milliseconds."""

    connect_timeout: int
    keepalives_idle: int
    keepalives_interval: int
    keepalives_count: int
    tcp_user_timeout: int


KEEPALIVE: KeepaliveOptions = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Options for each connection: the client notices a vanished server within about 15 s."""

IDLE_IN_TRANSACTION_MS = 10_000
"""A worker that stalls in the middle of a transaction blocks its successor no longer than this."""

SERVER_SESSION_LIMITS = (
    f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}; SET tcp_keepalives_idle = 10; "
    "SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 25000"
)
"""The first statement of each session that holds locks: the server notices a vanished client within about 25 s."""


def is_usable(connection: psycopg.AsyncConnection[object]) -> bool:
    """Whether a session is open and ready for the next statement.

    A session that broke in the middle of a pipeline can be open and not usable: it refuses each further statement
    ("not allowed in pipeline mode").
    """
    return (
        not connection.closed
        and connection.info.transaction_status == TransactionStatus.IDLE
        and connection.pgconn.pipeline_status == PipelineStatus.OFF
    )


@contextmanager
def hub_session(dsn: str) -> Iterator[psycopg.Connection]:
    """A session with the hub for a command. Raises EnvironmentFault while the hub is away, or has no tables yet."""
    try:
        connection = psycopg.connect(dsn, **KEEPALIVE)
    except psycopg.OperationalError as error:
        raise login_fault(dsn, error, "the hub", variables="OPSHUB_HUB_DSN") from error
    try:
        with connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("the hub has no tables for this yet", remedy="`opshub apply`") from error
    except psycopg.OperationalError as error:
        raise ServerAway(
            f"the hub went away: {str(error).strip()}", remedy="check that the server runs, and OPSHUB_HUB_DSN"
        ) from error
