"""The audit: what people did, when, why, and what came of it. One function for each statement of `sql/audit.sql`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from streams.errors import OpshubError
from streams.hub.intent_review import Hub
from streams.hub.statements import SQL, fetch_structs
from streams.hub.store import HubStore


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One deed. `failed`: why it was not done; without it and `result`, its end is not known."""

    id: int
    at: datetime
    who: str
    what: str
    via: str
    about: str | None
    why: str
    wanted: dict[str, Any]
    result: Any = None
    failed: str | None = None


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did, from the audit or from an older log. `kind`: deed, intent, identity, dead_letter or
    conflict. `via` is empty where the log does not say it.
    """

    at: datetime
    kind: str
    id: str
    who: str
    what: str
    via: str
    about: str | None
    why: str
    wanted: dict[str, Any]
    result: Any
    failed: str | None


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines to list; None: no matter."""

    who: str | None = None
    what: str | None = None
    via: str | None = None
    about: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    hidden: list[str] = []
    """Deeds that are not listed."""
    before: datetime | None = None
    before_kind: str | None = None
    before_id: str | None = None
    limit: int = 50


class _Id(msgspec.Struct, frozen=True):
    id: int


def begin_audit(
    hub: Hub, *, who: str, what: str, via: str, wanted: Any, about: str | None = None, why: str = ""
) -> int:
    """Write that somebody is about to do this, and return the entry's number for `end_audit`."""
    text = msgspec.json.encode(wanted).decode()
    parameters = {"who": who, "what": what, "via": via, "about": about, "why": why, "wanted": text}
    (row,) = fetch_structs(hub, _Id, "begin_audit", parameters)
    return row.id


def end_audit(hub: Hub, number: int, *, result: Any = None, failed: str | None = None) -> None:
    """Write what came of it."""
    text = None if result is None else msgspec.json.encode(result).decode()
    hub.execute(SQL["end_audit"], {"id": number, "result": text, "failed": failed})


@contextmanager
def audited(
    hub: Hub, *, who: str, what: str, via: str = "command", wanted: Any, about: str | None = None, why: str = ""
) -> Iterator[dict[str, Any]]:
    """Write a deed that no operation does: before it, and after it what came of it, which the caller puts into the
    dictionary that it is given.
    """
    entry = begin_audit(hub, who=who, what=what, via=via, wanted=wanted, about=about, why=why)
    result: dict[str, Any] = {}
    try:
        yield result
    except OpshubError as error:
        end_audit(hub, entry, failed=str(error))
        raise
    end_audit(hub, entry, result=result)


def audit_entries(
    hub: Hub,
    *,
    before: int | None = None,
    who: str | None = None,
    what: str | None = None,
    about: str | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """Entries, the newest first; `before`: those with a smaller number."""
    parameters = {"before": before, "who": who, "what": what, "about": about, "limit": limit}
    return fetch_structs(hub, AuditEntry, "audit_entries", parameters)


def audit_lines(hub: Hub, wanted: AuditFilter) -> list[AuditLine]:
    """What people did, the newest first: after the line at (before, before_kind, before_id), if these are given."""
    return fetch_structs(hub, AuditLine, "audit_lines", msgspec.structs.asdict(wanted))


async def trim_audit(store: HubStore, days: float) -> int:
    """Delete entries that are older; how many."""
    return len(await store.rows("trim_audit", {"seconds": days * 86_400}))
