"""Why a session with a Postgres server cannot be opened: the server is away, or it is there and refuses us.

libpq gives no code for a login that failed, and its text is in the server's language. `PQping` distinguishes the two
without a login.
"""

from __future__ import annotations

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from streams.errors import AccessDenied, EnvironmentFault, ServerAway


def login_fault(dsn: str, error: psycopg.Error, what: str, *, variables: str) -> EnvironmentFault:
    """The error for people. `what` is the server ("the hub"), `variables` says where its address and login are set.

    ServerAway while nothing accepts sessions there, also while the server starts or stops; else AccessDenied.
    """
    cause = " ".join(str(error).split())
    if _accepts_sessions(dsn):
        user = conninfo_to_dict(dsn).get("user")
        refused = f"{what} refuses a session of {user}" if user else f"{what} refuses a session"
        return AccessDenied(f"{refused}: {cause}", remedy=f"check user, password and database: {variables}")
    return ServerAway(
        f"{what} does not answer: {cause}", remedy=f"check that the server runs, and its address: {variables}"
    )


def _accepts_sessions(dsn: str) -> bool:
    limited = psycopg.conninfo.make_conninfo(dsn, connect_timeout=3)
    return pq.PGconn.ping(limited.encode()) == pq.Ping.OK
