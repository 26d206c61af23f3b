"""The audit: who did what, when, why, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from streams.console.masking import mask_row, sees_plain
from streams.console.operation import OPERATIONS, Context, Via, operation
from streams.console.problems import WrongInput
from streams.hub.audit import AuditFilter, AuditLine, audit_lines

SIGN_INS = ("sign_in", "sign_out")
AT_ONCE = 500


class WantedAudit(msgspec.Struct, frozen=True, kw_only=True):
    """Which deeds to list; what is not given does not matter."""

    who: str | None = None
    what: str | None = None
    """An operation's name, such as approve_intent."""
    about: str | None = None
    """Id of the thing that it was done to."""
    via: Via | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    """The `after` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=AT_ONCE)] = 50


class AuditList(msgspec.Struct, frozen=True):
    """A page of the audit, the newest first. `after` gives the next page; null: this is the last one."""

    entries: list[AuditLine]
    after: str | None


@operation("GET", "/audit", permission="see", command=lambda wanted: _command(wanted))
def list_audit(context: Context, wanted: WantedAudit) -> AuditList:
    """List what people did, the newest first."""
    chosen = _filter(context, wanted)
    with context.place.hub() as hub:
        lines = audit_lines(hub, chosen)
    after = _place(lines[-1]) if len(lines) == wanted.limit else None
    return AuditList([_shown(context, line) for line in lines], after)


def all_entries(context: Context, wanted: WantedAudit) -> Iterator[AuditLine]:
    """Every line that fits, the newest first, read in steps: for an export. The right was checked before."""
    chosen = _filter(context, msgspec.structs.replace(wanted, limit=AT_ONCE))
    while True:
        with context.place.hub() as hub:
            lines = audit_lines(hub, chosen)
        yield from (_shown(context, line) for line in lines)
        if len(lines) < AT_ONCE:
            return
        last = lines[-1]
        chosen = msgspec.structs.replace(chosen, before=last.at, before_kind=last.kind, before_id=last.id)


def _shown(context: Context, line: AuditLine) -> AuditLine:
    """Without personal data, for those who may not see it: what was asked for and came of it may hold any."""
    if sees_plain(context.person):
        return line
    kept = {name: value for name, value in line.wanted.items() if name in _NAMES}
    masked = {**mask_row(line.wanted, context.person), **kept}
    return msgspec.structs.replace(line, wanted=masked, result=mask_row(line.result, context.person))


_NAMES = ("id", "ids", "name", "role", "system", "entity", "field", "scope", "reason", "loser", "winner", "conflict")
"""What a deed names things by, which is no personal data."""


def _filter(context: Context, wanted: WantedAudit) -> AuditFilter:
    before, kind, number = _read_place(wanted.after) if wanted.after else (None, None, None)
    is_admin = context.person.may("administer", anywhere=False)
    # Who signs in when, from where, and who may do what: for admins only, and for everybody of themselves.
    hidden = [] if is_admin or wanted.who == context.person.name else [*SIGN_INS, *_admins()]
    return AuditFilter(
        who=wanted.who, what=wanted.what, via=wanted.via, about=wanted.about, since=wanted.since, until=wanted.until,
        hidden=hidden, before=before, before_kind=kind, before_id=number, limit=wanted.limit,
    )  # fmt: skip


def _admins() -> list[str]:
    return [item.name for item in OPERATIONS.values() if item.writes and item.permission == "administer"]


def _place(line: AuditLine) -> str:
    return f"{line.at.isoformat()}|{line.kind}|{line.id}"


def _read_place(after: str) -> tuple[datetime, str, str]:
    at, _, rest = after.partition("|")
    kind, _, number = rest.partition("|")
    try:
        # A plus sign in an address is a blank.
        return datetime.fromisoformat(at.replace(" ", "+")), kind, number
    except ValueError as error:
        raise WrongInput(f"{after} is no place in a list", remedy="take `after` of the page before") from error


def _command(wanted: WantedAudit) -> str:
    words = ["opshub audit list"]
    words += [f"--{name} '{value}'" for name in ("who", "what", "about", "via") if (value := getattr(wanted, name))]
    return " ".join(words)
