"""`opshub conflicts list | show | resolve`: where two systems disagree, and what a person says to it."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.identity import finish, hub
from streams.cli.send import send
from streams.errors import ConfigError
from streams.identity import inbox, people
from streams.model.ids import source_id

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
_ELSEWHERE = {
    "match_key": "`opshub identity merge` or `split`",
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
        values = ", ".join(f"{system}: {said['value']!r}" for system, said in one.said.items())
        outcome = f"{one.winner or 'nobody'} ({one.rule}; {one.outcome})"
        typer.echo(f"{one.id[:8]}  {one.kind:20} {one.entity} {one.entity_id} {one.field}: {values} → {outcome}")
    if not found:
        typer.echo("no conflicts")


def show(conflict: Id, as_json: Json = False) -> None:
    """Show one conflict whole: values, systems, positions, times, transactions, rule, outcome."""
    with hub(load_settings()) as connection:
        told: dict[str, Any] = msgspec.to_builtins(inbox.conflict(connection, conflict))
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name, value in told.items():
        typer.echo(f"{name:12} {value if isinstance(value, str) else json.dumps(value)}")


def resolve(
    conflict: Id,
    system: Annotated[str | None, typer.Option(help="Let this system's value stand.")] = None,
    value: Annotated[str | None, typer.Option(help="Let this value stand: JSON in the field's internal form.")] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Take an earlier decision back: the rule decides again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide by hand. What you say stands for this field from now on, whatever the systems say later, until you take it back.

    Example: opshub conflicts resolve 3f2a --system demo-erp
    """
    if sum((system is not None, value is not None, release)) != 1:
        raise ConfigError("say which value stands", remedy="one of --system, --value and --release")
    settings = load_settings()
    with hub(settings) as connection:
        one = inbox.conflict(connection, conflict)
        if one.kind in _ELSEWHERE:
            raise ConfigError(f"a {one.kind} conflict is not about a value", remedy=_ELSEWHERE[one.kind])
        if system is not None and system not in one.said:
            raise ConfigError(f"{system} says nothing here", remedy=f"one of {', '.join(sorted(one.said))}")
        try:
            chosen = None if release else one.said[system]["value"] if system is not None else json.loads(value or "")
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"--value is no JSON: {error}", remedy="""a text as '"text"', money as an integer of 1/10,000"""
            ) from error
        row = connection.execute("SELECT aggregate_id::text FROM entity WHERE id = %s", [one.entity_id]).fetchone()
        send(
            settings,
            [people.decide(one.entity, one.entity_id, row[0] if row else one.aggregate_id, {one.field: chosen})],
        )
        connection.execute(
            "UPDATE conflict SET decided_by = %s WHERE id = %s", [None if release else getpass.getuser(), one.id]
        )

        def done() -> bool:
            row = connection.execute(
                "SELECT record->%s, contributions FROM entity WHERE id = %s", [one.field, one.entity_id]
            ).fetchone()
            said = row[1].get(source_id(people.PEOPLE, one.entity, one.entity_id)) if row else None
            return (
                row is not None
                and said is not None
                and (said[7] or {}).get(one.field) == chosen
                and (release or row[0] == chosen)
            )

        finish(done, f"{one.entity} {one.entity_id} {one.field}: {'the rule decides' if release else repr(chosen) + ' stands'}",
               {"id": one.id, "field": one.field, "value": chosen, "released": release}, as_json)  # fmt: skip
