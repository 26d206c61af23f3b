"""A finding: one thing that is wrong, as `opshub doctor` lists it and as alerts report it."""

from __future__ import annotations

from typing import Literal

import msgspec
import psycopg

from streams.provision.source_session import BUSY


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. Severe findings become alerts, and decide the exit code of `opshub doctor`."""

    code: str
    """What kind of thing; each code of an alert has a line in docs/guides/operating.md."""
    where: str
    """The system, connector, table, topic or server."""
    what: str
    """What happened, in words."""
    remedy: str
    """A command, or what a person should do."""
    side: Literal["input", "environment"] = "environment"
    """`input`: a file that a person wrote (exit code 2); `environment`: a server, a right or a setting of it (3)."""
    severe: bool = True


def source_away(system: str, error: psycopg.Error) -> Finding:
    """The database of a system does not answer, or not in time."""
    if isinstance(error, BUSY):
        what = f"the database did not answer in time: {str(error).strip()}"
        return Finding(
            "source-busy", system, what, "another session holds a lock; the next check repeats it", severe=False
        )
    return Finding(
        "source-away",
        system,
        f"the database does not answer: {str(error).strip()}",
        "start it; check address, role and password in source.json and in <state_dir>/env",
    )
