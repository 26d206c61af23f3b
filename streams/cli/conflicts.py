"""`opshub conflicts list | show | resolve`: where two systems disagree, and what a person says to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import psycopg
import typer

from streams.cli.context import load_settings, who
from streams.cli.fields import parse_value, readable_value
from streams.cli.identity import Why, finish, hub, note
from streams.cli.send import send
from streams.errors import ConfigError
from streams.identity import inbox, people
from streams.model.ids import source_id
from streams.model.names import PEOPLE

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
_ELSEWHERE = {
    "match_key": "--apart if they are two, `opshub identity merge` if they are one",
    "delete_update": "delete or restore it in its system",
    "invariant": "mend the documents in their systems; it ends by itself when they are right",
}
Id = Annotated[str, typer.Argument(help="Its id, or the first letters of it.")]


def list_conflicts(
    entity: Annotated[str | None, typer.Option(help="customer, product, …")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="disagreement, owned_field_changed, concurrent_edit, delete_update, match_key, invariant."),
    ] = None,
    past: Annotated[bool, typer.Option("--all", help="Also those that are over, or decided.")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List conflicts that stand, the newest first, with the rule that decided.

    Example: opshub conflicts list --kind owned_field_changed
    """
    with hub(load_settings()) as connection:
        found = inbox.conflicts(connection, entity=entity, kind=kind, past=past, limit=limit)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    for one in found:
        typer.echo(
            f"{one.id[:8]}  {one.kind:19}  {one.outcome:9}  {one.entity} {one.name or one.entity_id}: {one.field}"
        )
        typer.echo(f"{'':10}{_values(one)}: {_standing(one)}")
    if not found:
        typer.echo("no conflicts stand" if not past else "there were no conflicts")
    elif len(found) == limit:
        typer.echo(f"the newest {limit}; --limit shows more")


def _values(one: inbox.Logged) -> str:
    return ", ".join(
        f"{system} {readable_value(one.entity, one.field, said['value'])}" for system, said in one.said.items()
    )


def _standing(one: inbox.Logged) -> str:
    if one.kind == "match_key":
        if one.outcome == "decided":
            return "they are two"
        return "a person decides: `opshub identity merge` if they are one, `resolve --apart` if they are two"
    if one.outcome == "flip_flop":
        return f"write-back wrote over {one.turns} edits of it; it is stopped until you `resolve` it"
    if one.kind == "invariant" and one.outcome == "open":
        return f"{one.rule}; {_ELSEWHERE['invariant']}"
    if one.outcome == "open":
        return f"{one.winner}'s stands until you `resolve` it"
    by = "your decision stands" if one.outcome == "decided" else f"{one.winner or 'nobody'}'s stands"
    return f"{by} ({one.rule})" if one.outcome != "over" else "over"


def show(conflict: Id, as_json: Json = False) -> None:
    """Show one conflict whole: values, systems, positions, times, transactions, rule, outcome."""
    with hub(load_settings()) as connection:
        told: dict[str, Any] = msgspec.to_builtins(inbox.conflict(connection, conflict))
    if as_json:
        typer.echo(json.dumps(told))
        return
    one = msgspec.convert(told, inbox.Logged)
    typer.echo(f"{one.entity} {one.name or ''} ({one.entity_id}), {one.field}: {one.kind}, {one.outcome}")
    for system, said in one.said.items():
        at = f"at {_when(said['us'])}" if said.get("us") else ""
        where = f"position {said['position']}" if said.get("position") else ""
        tx = f"transaction {said['tx']}" if said.get("tx") else ""
        details = ", ".join(part for part in (at, where, tx) if part)
        mark = "→" if system == one.winner else " "
        typer.echo(
            f" {mark} {system:14} {readable_value(one.entity, one.field, said['value'])}{f'  ({details})' if details else ''}"
        )
    typer.echo(f"   {_standing(one)}")
    typer.echo(
        f"   seen {one.seen_at}"
        + (f", {one.turns} turns" if one.turns else "")
        + (f", over since {one.resolved_at}" if one.resolved_at else "")
    )
    if one.decided_by:
        typer.echo(f"   decided by {one.decided_by}")
    typer.echo(f"   id {one.id}")


def _when(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def resolve(
    conflict: Id,
    system: Annotated[str | None, typer.Option(help="Let this system's value stand.")] = None,
    value: Annotated[
        str | None, typer.Option(help="Let this value stand, written as in 1250.50, 2026-03-31, true or a text.")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Take an earlier decision back: the rule decides again.")
    ] = False,
    apart: Annotated[
        bool,
        typer.Option("--apart", help="Of a match key that two records claim: they are two; nobody is asked again."),
    ] = False,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Decide by hand. What you say stands for this field from now on, whatever the systems say later, until you take it back.

    Example: opshub conflicts resolve 3f2a --system demo-erp
    """
    if sum((system is not None, value is not None, release, apart)) != 1:
        raise ConfigError("say which value stands", remedy="one of --system, --value, --release and --apart")
    settings = load_settings()
    with hub(settings) as connection:
        one = inbox.conflict(connection, conflict)
        if apart:
            _tell_apart(connection, one, why, as_json)
            return
        if one.kind in _ELSEWHERE:
            raise ConfigError(f"a {one.kind} conflict is not about a value", remedy=_ELSEWHERE[one.kind])
        if system is not None and system not in one.said:
            raise ConfigError(f"{system} says nothing here", remedy=f"one of {', '.join(sorted(one.said))}")
        chosen: Any = None
        if system is not None:
            chosen = one.said[system]["value"]
        elif value is not None:
            chosen = parse_value(one.entity, one.field, value)
        # Before the message: what is decided counts its turns anew, and a flip-flop is over with it.
        connection.execute(
            "UPDATE conflict SET decided_by = %(who)s, turns = 0, resolved_at = CASE WHEN %(who)s::text IS NULL THEN now() END,"
            " outcome = CASE WHEN %(who)s::text IS NULL THEN 'over' ELSE 'decided' END WHERE id = %(id)s",
            {"who": None if release else who(), "id": one.id},
        )
        connection.execute("DELETE FROM turn WHERE entity_id = %s AND field = %s", [one.entity_id, one.field])
        row = connection.execute("SELECT aggregate_id::text FROM entity WHERE id = %s", [one.entity_id]).fetchone()
        send(
            settings,
            [people.decide(one.entity, one.entity_id, row[0] if row else one.aggregate_id, {one.field: chosen})],
        )

        def done() -> bool:
            row = connection.execute(
                "SELECT record->%s, contributions FROM entity WHERE id = %s", [one.field, one.entity_id]
            ).fetchone()
            said = row[1].get(source_id(PEOPLE, one.entity, one.entity_id)) if row else None
            return (
                row is not None
                and said is not None
                and (said[7] or {}).get(one.field) == chosen
                and (release or row[0] == chosen)
            )

        what = "the rule decides" if release else f"{readable_value(one.entity, one.field, chosen)} stands"
        told = {"id": one.id, "field": one.field, "value": chosen, "released": release}
        finish(done, f"{one.entity} {one.name or one.entity_id} {one.field}: {what}", told, as_json)


def _tell_apart(connection: psycopg.Connection[Any], one: inbox.Logged, why: str, as_json: bool) -> None:
    if one.kind != "match_key":
        raise ConfigError(
            f"a {one.kind} conflict is about one record", remedy="say which value stands: --system or --value"
        )
    claims, holds = people.find(connection, one.entity_id), people.find(connection, one.said["holder"]["value"])
    people.tell_apart(connection, claims, holds, who(), why)
    note(connection, "decline", claims.canonical, holds.canonical, why)
    if as_json:
        typer.echo(json.dumps({"id": one.id, "one": claims.canonical, "other": holds.canonical}))
    else:
        typer.echo(f"{claims.canonical} and {holds.canonical} are two; nobody is asked again")
