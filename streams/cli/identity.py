"""`opshub identity show | merge | unmerge | proposals | decline | reconsider`: which records are one."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings, who
from streams.cli.send import finish
from streams.dictionary.typed_values import readable_value
from streams.hub.identity import LoggedDecision, decisions_about, match_keys_of
from streams.identity.masters import Master, find_master
from streams.identity.proposals import LEAST_SCORE, propose
from streams.inbox import identity_decisions
from streams.inbox.progress import follow, is_done
from streams.inbox.sending import connect
from streams.model.names import PEOPLE

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Name = Annotated[
    str,
    typer.Argument(
        help="A canonical id, or system:key as in demo-erp:1042 (a customer first); demo-erp:product:1042 says which."
    ),
]
Reason = Annotated[str, typer.Option(help="Why; it is kept beside the decision.")]

_BETWEEN = {"merge": "into", "decline": "and", "reconsider": "and"}
"""Stands between the two records of a logged decision; "from" for all others."""


def show(record: Name, as_json: Json = False) -> None:
    """Show the sources of a record, the value that each gives, its other ids, and what people decided.

    Example: opshub identity show demo-erp:1042
    """
    with connect(load_settings()) as connection:
        master = find_master(connection, record)
        log = decisions_about(connection, master.id, master.canonical)
        keys = match_keys_of(connection, master.canonical)
    if as_json:
        details = {"match_keys": keys, "decisions": msgspec.to_builtins(log)}
        typer.echo(json.dumps(msgspec.to_builtins(master) | details))
        return
    deleted = " (deleted)" if master.deleted else ""
    typer.echo(f"{master.entity} {master.canonical}{deleted}: {master.record.get('name') or ''}")
    if master.is_unmerged:
        typer.echo("  taken out of another record by hand: no reference and no match key links it")
    if master.waits_for is not None:
        typer.echo(
            f"  names {master.waits_for} as itself, and another row of its system is that record: "
            "`identity merge` if they are one, `identity decline` if they are two"
        )
    _print_contributions(master)
    _print_list("other ids of it", [name for name in master.other_ids if name not in master.contributions])
    _print_list("found by", keys)
    _print_list("decisions of people", [_decision(entry) for entry in log])


def _print_contributions(master: Master) -> None:
    typer.echo("made of")
    for source, contribution in sorted(master.contributions.items(), key=lambda item: (item[1].system, item[0])):
        by_person = contribution.system == PEOPLE
        name = "a person's decisions" if by_person else f"{contribution.system}:{contribution.key}"
        typer.echo(f"  {name:48} {source}{'  deleted' if contribution.deleted else ''}")
        for field, value in sorted((contribution.fields or {}).items()):
            differs = value is not None and value != master.record.get(field)
            if differs and field not in ("attributes", "customer_id"):
                typer.echo(f"      gives {field} {readable_value(master.entity, field, value)}")


def _print_list(title: str, lines: list[str]) -> None:
    if lines:
        typer.echo(title)
    for line in lines:
        typer.echo(f"  {line}")


def _decision(entry: LoggedDecision) -> str:
    between = _BETWEEN.get(entry.what, "from")
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.at[:19]} {entry.who} {entry.what} {entry.loser} {between} {entry.winner}{reason}"


def merge(loser: Name, winner: Name, reason: Reason = "", as_json: Json = False) -> None:
    """Make two records one. Contacts, flows and references of LOSER follow to WINNER; its id becomes a tombstone.

    Example: opshub identity merge demo-erp:1042 demo-crm:0b9f… --reason "same company, asked them"
    """
    settings = load_settings()
    with connect(settings) as connection:
        done = identity_decisions.merge(settings, connection, loser, winner, who=who(), reason=reason)
        result = {"loser": done.loser, "winner": done.winner}
        finish(lambda: is_done(connection, done.expects), done.text, result, as_json)


def unmerge(record: Name, reason: Reason = "", as_json: Json = False) -> None:
    """Undo a link or a merge: RECORD is a record of its own again, with all that refers to it.

    No reference and no match key links it any more; `identity merge` does.

    Example: opshub identity unmerge demo-erp:1042 --reason "subsidiary with books of its own"
    """
    settings = load_settings()
    with connect(settings) as connection:
        done = identity_decisions.unmerge(settings, connection, record, who=who(), reason=reason)
        result = {"record": done.loser, "taken_from": done.winner}
        finish(lambda: is_done(connection, done.expects), done.text, result, as_json)
        follow(connection, "match", done.pair)


def proposals(
    least: Annotated[float, typer.Option(min=0, max=100, help="Lowest score, of 100.")] = LEAST_SCORE,
    limit: Annotated[int, typer.Option(min=1, help="Most proposals.")] = 50,
    as_json: Json = False,
) -> None:
    """Show customers that may be one, by name, address, e-mail and phone. Nothing is linked: you decide.

    Example: opshub identity proposals --least 95
    """
    with connect(load_settings()) as connection:
        result = propose(connection, least=least, limit=limit)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(result)))
        return
    for proposal in result.proposals:
        typer.echo(f"{proposal.score:5.1f}  {proposal.names[0]}  and  {proposal.names[1]}: {proposal.reason}")
        typer.echo(f"       opshub identity merge {proposal.loser} {proposal.winner}    # or: decline")
    if not result.proposals:
        typer.echo("no two customers look like one")
    if result.not_compared:
        largest = ", ".join(sorted(result.not_compared, key=lambda place: -result.not_compared[place])[:3])
        typer.echo(
            f"not compared: {sum(result.not_compared.values()):,} pairs with names far off, in "
            f"{len(result.not_compared)} places that"
            f" have too many customers to compare all ({largest})"
        )


def decline(record: Name, other: Name, reason: Reason = "", as_json: Json = False) -> None:
    """Keep two records separate: they are not proposed again, and no match key joins them. `identity reconsider` takes
    that back.

    Example: opshub identity decline demo-erp:1042 demo-crm:0b9f… --reason "the daughter in Austria"
    """
    settings = load_settings()
    with connect(settings) as connection:
        done = identity_decisions.decline(settings, connection, record, other, who=who(), reason=reason)
    typer.echo(json.dumps({"record": done.loser, "other": done.winner}) if as_json else done.text)


def reconsider(record: Name, other: Name, reason: Reason = "", as_json: Json = False) -> None:
    """Take back that two records are two: they may be proposed again, and match keys may join them. To make them one at
    once: `identity merge`.

    Example: opshub identity reconsider demo-erp:1042 demo-crm:0b9f… --reason "they have merged since"
    """
    with connect(load_settings()) as connection:
        done = identity_decisions.reconsider(connection, record, other, who=who(), reason=reason)
    typer.echo(json.dumps({"record": done.loser, "other": done.winner}) if as_json else done.text)
