"""How a session with a database is to end when one of its ends has vanished without a word: a host without power, a link that swallows all.

Without this, a client waits for some fifteen minutes for the answer to what it sent, and a server keeps the locks of a client that is
gone for two hours: rows that a successor must write, and the right to watch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus

from streams.errors import EnvironmentFault

LIVELY: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""What a client asks of its own side of a connection."""

IDLE_IN_TRANSACTION_MS = 10_000
"""A worker that stands still in the middle of a transaction holds up its successor no longer than this."""

MORTAL = (
    f"SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}; SET tcp_keepalives_idle = 10; "
    "SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 25000"
)
"""What it asks of the server's side, said first in a session that holds locks."""


def is_at_rest(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a session is open and ready for the next statement. One that broke in the middle of a pipeline can be neither: it is open,
    and refuses for ever what it is given ("not allowed in pipeline mode").
    """
    return (
        not connection.closed
        and connection.info.transaction_status == TransactionStatus.IDLE
        and connection.pgconn.pipeline_status == PipelineStatus.OFF
    )


@contextmanager
def asking(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in which people's questions are answered. Raises EnvironmentFault while the hub is away, or has no tables yet."""
    try:
        with psycopg.connect(dsn, **LIVELY) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("the hub has no tables for this yet", remedy="`opshub apply`") from error
    except psycopg.OperationalError as error:
        raise EnvironmentFault(
            f"the hub does not answer: {str(error).strip()}", remedy="`opshub up`, or check OPSHUB_HUB_DSN"
        ) from error
