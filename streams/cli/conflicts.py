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
from streams.cli.fields import parse_value, readable_value
from streams.cli.identity import Reason
from streams.cli.send import connect, finish, send
from streams.errors import ConfigError
from streams.hub.conflicts import ConflictGroup, LoggedConflict, decide_conflict, decided_value
from streams.hub.identity import aggregate_of, log_decision
from streams.hub.record_names import RecordName, record_names
from streams.identity import conflict_inbox, decisions
from streams.identity.masters import find_master
from streams.model.change import Value
from streams.model.ids import source_id
from streams.model.names import PEOPLE
from streams.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Id = Annotated[str, typer.Argument(metavar="CONFLICT", help="Its id, or the first letters of it.")]

_ELSEWHERE = {
    "match_key": "--keep-separate if they are two, `opshub identity merge` if they are one",
    "shared_key": "`opshub identity unmerge` if they are two, --keep-merged if they are one",
    "reference": "--keep-separate if they are two, `opshub identity merge` if they are one",
    "delete_update": "delete or restore it in its system",
    "invariant": "correct the documents in their systems; the conflict ends by itself when they are right",
}
"""Kinds of conflicts that no value of a field settles, with what does."""


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
    typer.echo(f"{conflict.id[:8]}  {conflict.kind}, {conflict.outcome}: {_record(conflict)}: {subject}")
    typer.echo(f"{'':10}{_values(conflict, named)}: {_standing(conflict)}")


def _record(conflict: LoggedConflict) -> str:
    return conflict.name or f"{conflict.entity.replace('_', ' ')} {conflict.entity_id}"


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
        return f"{conflict.rule}; a person decides: {_ELSEWHERE['shared_key']}"
    if conflict.outcome == "flip_flop":
        return f"write-back wrote over {conflict.turns} edits of it; it is stopped until you `resolve` it"
    if conflict.kind == "invariant" and conflict.outcome == "open":
        return _ELSEWHERE["invariant"]
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
    typer.echo(f"{_record(conflict)} ({conflict.entity_id}), {conflict.field}: {conflict.kind}, {conflict.outcome}")
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
    if sum((system is not None, value is not None, release, keep_separate, keep_merged)) != 1:
        raise ConfigError(
            "say which value stands", remedy="one of --system, --value, --release, --keep-separate and --keep-merged"
        )
    settings = load_settings()
    with connect(settings) as connection:
        conflict = conflict_inbox.get(connection, conflict_id)
        if keep_separate:
            _keep_separate(settings, connection, conflict, reason, as_json)
            return
        if keep_merged:
            _keep_merged(connection, conflict, reason, as_json)
            return
        entity, entity_id, field = conflict.entity, conflict.entity_id, conflict.field
        chosen = _chosen_value(conflict, system, value)
        # Before the message: a decided conflict counts its turns from zero, and a flip-flop is over with it.
        decide_conflict(connection, conflict, None if release else who())
        aggregate = aggregate_of(connection, entity_id) or conflict.aggregate_id
        send(settings, [decisions.decide(entity, entity_id, aggregate, {field: chosen})])

        def is_decided() -> bool:
            now = decided_value(connection, entity_id, source_id(PEOPLE, entity, entity_id), field)
            return now is not None and now.decided == chosen and (release or now.golden == chosen)

        outcome = "the rule decides" if release else f"{readable_value(entity, field, chosen)} stands"
        result = {"id": conflict.id, "field": field, "value": chosen, "released": release}
        finish(is_decided, f"{_record(conflict)}, {field}: {outcome}", result, as_json)


def _chosen_value(conflict: LoggedConflict, system: str | None, value: str | None) -> Value:
    """The value that a person chose; None to release the field. Raises ConfigError where a value decides nothing."""
    if conflict.kind in _ELSEWHERE:
        raise ConfigError(f"a {conflict.kind} conflict is not about a value", remedy=_ELSEWHERE[conflict.kind])
    if system is not None:
        if system not in conflict.values:
            raise ConfigError(f"{system} gives no value here", remedy=f"one of {', '.join(sorted(conflict.values))}")
        return conflict.values[system]["value"]
    return None if value is None else parse_value(conflict.entity, conflict.field, value)


def _keep_separate(
    settings: Settings, connection: psycopg.Connection, conflict: LoggedConflict, reason: str, as_json: bool
) -> None:
    if conflict.kind not in ("match_key", "reference"):
        raise ConfigError(
            f"a {conflict.kind} conflict is about one record", remedy="say which value stands: --system or --value"
        )
    claimant = find_master(connection, conflict.entity_id)
    holder = find_master(connection, str(conflict.values["holder"]["value"]))
    messages = decisions.keep_separate(connection, claimant, holder, who(), reason)
    if messages:
        send(settings, messages)
    log_decision(connection, who(), "decline", claimant.canonical, holder.canonical, reason)
    if as_json:
        typer.echo(json.dumps({"id": conflict.id, "record": claimant.canonical, "other": holder.canonical}))
    else:
        typer.echo(f"{claimant.canonical} and {holder.canonical} are two; nobody is asked again")


def _keep_merged(connection: psycopg.Connection, conflict: LoggedConflict, reason: str, as_json: bool) -> None:
    if conflict.kind != "shared_key":
        raise ConfigError(
            f"a {conflict.kind} conflict is not about records that were linked",
            remedy=_ELSEWHERE.get(conflict.kind, "say which value stands: --system or --value"),
        )
    linked = conflict.values["linked"]["value"]
    for source in linked if isinstance(linked, list) else ():
        log_decision(connection, who(), "merge", str(source), conflict.entity_id, reason)
    decide_conflict(connection, conflict, who())
    if as_json:
        typer.echo(json.dumps({"id": conflict.id, "record": conflict.entity_id, "linked": linked}))
    else:
        typer.echo(f"{conflict.entity} {conflict.name or conflict.entity_id} stays one record")
