"""`opshub conflicts list | show | resolve`: where two systems disagree, and what a person decides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import psycopg
import typer

from streams.cli.context import load_settings, who
from streams.cli.identity import Reason
from streams.cli.send import finish
from streams.dictionary.typed_values import readable_value
from streams.hub.conflicts import ConflictGroup, LoggedConflict
from streams.hub.record_names import RecordName, record_names
from streams.identity import conflict_inbox
from streams.inbox.conflict_decisions import OTHERWISE, Choice, decide, name_of
from streams.inbox.progress import is_done
from streams.inbox.sending import connect

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Id = Annotated[str, typer.Argument(metavar="CONFLICT", help="Its id, or the first letters of it.")]


def list_conflicts(
    entity: Annotated[str | None, typer.Option(help="customer, product, …")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="disagreement, owned_field_changed, concurrent_edit, delete_update, match_key, shared_key, reference, "
            "invariant."
        ),
    ] = None,
    past: Annotated[bool, typer.Option("--all", help="Also those that are over, or decided.")] = False,
    group: Annotated[
        str | None, typer.Option(help="Each conflict of this group: its id, or the first letters.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Each conflict by itself, the newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most groups, or most conflicts.")] = 50,
    as_json: Json = False,
) -> None:
    """List conflicts that stand, in groups of one cause: what waits for people first, then the newest.

    Example: opshub conflicts list --kind owned_field_changed

    Example: opshub conflicts list --group 3f2a1c
    """
    with connect(load_settings()) as connection:
        by_group = (
            [] if each or group else conflict_inbox.groups(connection, entity=entity, kind=kind, past=past, limit=limit)
        )
        conflicts = (
            []
            if by_group and not as_json
            else conflict_inbox.standing(
                connection, entity=entity, kind=kind, past=past, limit=limit, group_id=group and group.lower()
            )
        )
        named = _names_in_values(connection, [*conflicts, *(latest for _, latest in by_group)])
    if as_json:
        groups = msgspec.to_builtins([cause for cause, _ in by_group])
        typer.echo(json.dumps({"groups": groups, "conflicts": msgspec.to_builtins(conflicts)}))
        return
    for cause, latest in by_group:
        _print_group(cause, latest, named)
    for conflict in conflicts:
        _print_conflict(conflict, named)
    if not by_group and not conflicts:
        typer.echo("no conflicts stand" if not past and not group else "there are no such conflicts")
    elif len(by_group) == limit or len(conflicts) == limit:
        typer.echo(f"the first {limit}; --limit shows more")


def _print_group(group: ConflictGroup, latest: LoggedConflict, named: Mapping[str, RecordName]) -> None:
    if group.count == 1:
        _print_conflict(latest, named)
        return
    cause = group.rule if group.kind == "invariant" else f"{group.subject} ({group.systems}; {group.rule})"
    typer.echo(f"{group.count} times {group.kind}, {group.outcome}: {group.entity.replace('_', ' ')}: {cause}")
    typer.echo(f"{'':10}from {group.first_seen_at} to {group.last_seen_at}; the newest:")
    _print_conflict(latest, named)
    typer.echo(f"{'':10}all of them: opshub conflicts list --group {group.group_id}")


def _print_conflict(conflict: LoggedConflict, named: Mapping[str, RecordName]) -> None:
    subject = conflict.rule if conflict.kind == "invariant" else conflict.field
    typer.echo(f"{conflict.id[:8]}  {conflict.kind}, {conflict.outcome}: {name_of(conflict)}: {subject}")
    typer.echo(f"{'':10}{_values(conflict, named)}: {_standing(conflict)}")


def _names_in_values(connection: psycopg.Connection, conflicts: Iterable[LoggedConflict]) -> dict[str, RecordName]:
    """The names of records that values are, such as the holder of a match key."""
    return record_names(connection, (v["value"] for c in conflicts for v in c.values.values()))


def _values(conflict: LoggedConflict, named: Mapping[str, RecordName]) -> str:
    return ", ".join(
        f"{system} {_value(conflict, asserted['value'], named)}" for system, asserted in conflict.values.items()
    )


def _value(conflict: LoggedConflict, value: object, named: Mapping[str, RecordName]) -> str:
    if isinstance(value, str) and value in named:
        return named[value].text
    return readable_value(conflict.entity, conflict.field, value)


def _standing(conflict: LoggedConflict) -> str:
    """Which value stands and why, or what a person can do."""
    if conflict.kind in ("match_key", "reference"):
        if conflict.outcome == "decided":
            return "they are two"
        return "a person decides: `opshub identity merge` if they are one, `resolve --keep-separate` if they are two"
    if conflict.kind == "shared_key" and conflict.outcome == "open":
        return f"{conflict.rule}; a person decides: {OTHERWISE['shared_key']}"
    if conflict.outcome == "flip_flop":
        return f"write-back wrote over {conflict.turns} edits of it; it is stopped until you `resolve` it"
    if conflict.kind == "invariant" and conflict.outcome == "open":
        return OTHERWISE["invariant"]
    if conflict.outcome == "open":
        return f"{conflict.winner}'s stands until you `resolve` it"
    if conflict.outcome == "over":
        return "over"
    by = "your decision stands" if conflict.outcome == "decided" else f"{conflict.winner or 'nobody'}'s stands"
    return f"{by} ({conflict.rule})"


def show(conflict_id: Id, as_json: Json = False) -> None:
    """Show one conflict whole: values, systems, positions, times, transactions, rule, outcome.

    Example: opshub conflicts show 3f2a
    """
    with connect(load_settings()) as connection:
        conflict = conflict_inbox.get(connection, conflict_id)
        named = _names_in_values(connection, [conflict])
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(conflict)))
        return
    typer.echo(f"{name_of(conflict)} ({conflict.entity_id}), {conflict.field}: {conflict.kind}, {conflict.outcome}")
    for system, asserted in conflict.values.items():
        us, position, tx = asserted.get("us"), asserted.get("position"), asserted.get("tx")
        details = ", ".join(
            text
            for text in (
                f"at {_when(us)}" if us else "",
                f"position {position}" if position else "",
                f"transaction {tx}" if tx else "",
            )
            if text
        )
        mark = "→" if system == conflict.winner else " "
        value = _value(conflict, asserted["value"], named)
        typer.echo(f" {mark} {system:14} {value}{f'  ({details})' if details else ''}")
    typer.echo(
        f"   {conflict.rule}: {_standing(conflict)}" if conflict.kind == "invariant" else f"   {_standing(conflict)}"
    )
    typer.echo(
        f"   seen {conflict.seen_at}"
        + (f", {conflict.turns} turns" if conflict.turns else "")
        + (f", over since {conflict.resolved_at}" if conflict.resolved_at else "")
    )
    if conflict.decided_by:
        typer.echo(f"   decided by {conflict.decided_by}")
    typer.echo(f"   id {conflict.id}")


def _when(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def resolve(
    conflict_id: Id,
    system: Annotated[str | None, typer.Option(help="Let this system's value stand.")] = None,
    value: Annotated[
        str | None, typer.Option(help="Let this value stand, written as in 1250.50, 2026-03-31, true or a text.")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Take an earlier decision back: the rule decides again.")
    ] = False,
    keep_separate: Annotated[
        bool,
        typer.Option(
            "--keep-separate", help="Of a match key or a reference of two records: they are two; nobody is asked again."
        ),
    ] = False,
    keep_merged: Annotated[
        bool, typer.Option("--keep-merged", help="Of records that a shared key had linked: they are one.")
    ] = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Decide by hand. Your value stands for this field, whatever the systems give later, until you take it back.

    Example: opshub conflicts resolve 3f2a --system demo-erp
    """
    settings = load_settings()
    choice = Choice(system=system, value=value, release=release, keep_separate=keep_separate, keep_merged=keep_merged)
    with connect(settings) as connection:
        decided = decide(settings, connection, conflict_id, choice, who=who(), reason=reason)
        expects = decided.expects
        if expects["what"] == "value":
            result = {"id": decided.conflict.id, **{name: expects[name] for name in ("field", "value", "released")}}
            finish(lambda: is_done(connection, expects), decided.text, result, as_json)
        elif as_json:
            more = {name: value for name, value in expects.items() if name != "what"}
            typer.echo(json.dumps({"id": decided.conflict.id, **more}))
        else:
            typer.echo(decided.text)
