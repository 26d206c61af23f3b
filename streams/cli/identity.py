"""`opshub identity show | merge | split | proposals | decline`: which records are one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import psycopg
import typer

from streams.cli.context import load_settings, who
from streams.cli.fields import readable_value
from streams.cli.send import send, wait
from streams.errors import EnvironmentFault
from streams.identity import inbox, people
from streams.model.names import PEOPLE
from streams.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Name = Annotated[
    str,
    typer.Argument(
        help="A canonical id, or system:key as in demo-erp:1042 (a customer first); demo-erp:product:1042 says which."
    ),
]
Why = Annotated[str, typer.Option(help="Why; kept beside it.")]


def show(record: Name, as_json: Json = False) -> None:
    """Show what a record is made of: its sources, what each says, other ids of it, what people did.

    Example: opshub identity show demo-erp:1042
    """
    with hub(load_settings()) as connection:
        master = people.find(connection, record)
        log = connection.execute(
            "SELECT at::text, who, what, loser::text, winner::text, why FROM identity_log"
            " WHERE %s::uuid IN (loser, winner) OR %s::uuid IN (loser, winner) ORDER BY at",
            [master.id, master.canonical],
        ).fetchall()
        keys = [
            row[0]
            for row in connection.execute(
                "SELECT key FROM match_key WHERE holder = %s ORDER BY key", [master.canonical]
            )
        ]
    told: dict[str, Any] = msgspec.to_builtins(master) | {"match_keys": keys, "log": [list(row) for row in log]}
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(
        f"{master.entity} {master.canonical}{' (deleted)' if master.deleted else ''}: {master.record.get('name') or ''}"
    )
    if master.apart:
        typer.echo("  taken out of another record by hand: no reference and no match key links it")
    typer.echo("made of")
    for source, said in sorted(master.contributions.items(), key=lambda pair: (pair[1].system, pair[0])):
        name = "a person's decisions" if said.system == PEOPLE else f"{said.system}:{said.key}"
        typer.echo(f"  {name:48} {source}{'  deleted' if said.deleted else ''}")
        for field, value in sorted((said.fields or {}).items()):
            if value is not None and value != master.record.get(field) and field not in ("attributes", "customer_id"):
                typer.echo(f"      says {field} {readable_value(master.entity, field, value)}")
    others = [name for name in master.names if name not in master.contributions]
    if others:
        typer.echo("other ids of it")
        for name in others:
            typer.echo(f"  {name}")
    if keys:
        typer.echo("found by")
        for key in keys:
            typer.echo(f"  {key}")
    if log:
        typer.echo("what people did")
        for at, who, what, loser, winner, why in log:
            between = {"merge": "into", "decline": "and"}.get(what, "from")
            typer.echo(f"  {at[:19]} {who} {what} {loser} {between} {winner}{f': {why}' if why else ''}")


def merge(loser: Name, winner: Name, why: Why = "", as_json: Json = False) -> None:
    """Make two records one. What hangs on LOSER follows to WINNER: contacts, flows, references; its id becomes a tombstone.

    Example: opshub identity merge demo-erp:1042 demo-crm:0b9f… --why "same company, asked them"
    """
    settings = load_settings()
    with hub(settings) as connection:
        gone, stays = people.find(connection, loser), people.find(connection, winner)
        message = people.merge(gone, stays)
        people.take_together(connection, gone, stays)
        note(connection, "merge", gone.canonical, stays.canonical, why)

        def done() -> bool:
            row = connection.execute(
                "SELECT (SELECT merged_into = %s FROM entity WHERE id = %s)"
                " AND (SELECT contributions ?& %s::text[] FROM entity WHERE id = %s)",
                [stays.canonical, gone.canonical, list(gone.contributions), stays.canonical],
            ).fetchone()
            return bool(row and row[0])

        send(settings, [message])
        finish(
            done,
            f"{gone.canonical} is {stays.canonical} now",
            {"loser": gone.canonical, "winner": stays.canonical},
            as_json,
        )


def split(record: Name, why: Why = "", as_json: Json = False) -> None:
    """Undo a link or a merge: RECORD is itself again, with all that hung on it, and no reference or match key links it any more.

    Example: opshub identity split demo-erp:1042 --why "subsidiary with books of its own"
    """
    settings = load_settings()
    with hub(settings) as connection:
        master = people.find(connection, record)
        message = people.split(master)
        note(connection, "split", master.id, master.canonical, why)

        def done() -> bool:
            row = connection.execute(
                "SELECT merged_into IS NULL AND aggregate_id = id AND version > 0 AND NOT deleted FROM entity WHERE id = %s",
                [master.id],
            ).fetchone()
            return bool(row and row[0])

        send(settings, [message])
        finish(done, f"{master.id} is itself again", {"record": master.id, "taken_from": master.canonical}, as_json)


def proposals(
    least: Annotated[float, typer.Option(min=0, max=100, help="Lowest score.")] = 88.0,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Json = False,
) -> None:
    """Show customers that may be one by name, address and how to reach them. Nothing is linked: you decide, with `identity merge` or
    `identity decline`.
    """
    with hub(load_settings()) as connection:
        found = inbox.proposals(connection, least=least, limit=limit)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    for one in found.found:
        typer.echo(f"{one.score:5.1f}  {one.names[0]}  and  {one.names[1]}: {one.why}")
        typer.echo(f"       opshub identity merge {one.loser} {one.winner}    # or: decline")
    if not found.found:
        typer.echo("no two customers look like one")
    if found.not_compared:
        largest = ", ".join(sorted(found.not_compared, key=lambda name: -found.not_compared[name])[:3])
        typer.echo(
            f"not compared: {sum(found.not_compared.values()):,} pairs with names far apart, in {len(found.not_compared)} places that have"
            f" too many customers to compare all ({largest})"
        )


def decline(one: Name, other: Name, why: Why = "", as_json: Json = False) -> None:
    """Say that two records are two: they are not proposed again, and no match key joins them. `identity merge` takes it back.

    Example: opshub identity decline demo-erp:1042 demo-crm:0b9f… --why "the daughter in Austria"
    """
    with hub(load_settings()) as connection:
        first, second = people.find(connection, one), people.find(connection, other)
        people.tell_apart(connection, first, second, who(), why)
        note(connection, "decline", first.canonical, second.canonical, why)
    if as_json:
        typer.echo(json.dumps({"one": first.canonical, "other": second.canonical}))
    else:
        typer.echo(f"{first.canonical} and {second.canonical} are two")


def hub(settings: Settings) -> psycopg.Connection[Any]:
    """A connection to the hub, autocommit. Raises EnvironmentFault when it does not answer."""
    try:
        return psycopg.connect(settings.hub, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise EnvironmentFault(
            f"the hub does not answer: {str(error).strip()}", remedy="`opshub up` starts the native stack"
        ) from error


def note(connection: psycopg.Connection[Any], what: str, loser: str, winner: str, why: str) -> None:
    """Write down who did what."""
    connection.execute(
        "INSERT INTO identity_log (who, what, loser, winner, why) VALUES (%s, %s, %s, %s, %s)",
        [who(), what, loser, winner, why],
    )


def finish(done: Any, text: str, told: dict[str, Any], as_json: bool) -> None:
    """Wait for a worker to do it, and say so; exit code 1 when none did."""
    ok = wait(done, 30)
    if as_json:
        typer.echo(json.dumps(told | {"done": ok}))
    elif ok:
        typer.echo(text)
    else:
        typer.echo("it was sent, but no worker has done it after 30 s; `opshub status` shows the workers", err=True)
    if not ok:
        raise typer.Exit(1)
