"""`opshub quality` and `opshub resolve`: how good the records are, and today's rules over what was said before."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.fields import readable_value
from streams.cli.identity import hub
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.maintenance.quality import Quality

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def quality(
    entity: Annotated[list[str] | None, typer.Option(help="Only these; can be given more than once.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also fields that are filled everywhere or nowhere.")] = False,
    history: Annotated[bool, typer.Option("--history", help="What was measured before; nothing is measured.")] = False,
    field: Annotated[
        list[str] | None, typer.Option(help="Of the history, only these; can be given more than once.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure completeness, validity, uniqueness, disagreement and orphans of each field, and keep the figures.

    Example: opshub quality --history --entity customer --field email
    """
    from streams.maintenance.quality import history as measured_before
    from streams.maintenance.quality import measure
    from streams.model.entities import ENTITIES

    for name in entity or ():
        if name not in ENTITIES:
            raise ConfigError(f"there is no entity {name!r}", remedy=f"one of {', '.join(sorted(ENTITIES))}")
    if field and not history:
        raise ConfigError("all fields are measured", remedy="--field goes with --history")
    with hub(load_settings()) as connection:
        if history:
            _show_history(measured_before(connection, entity, field), every, as_json)
            return
        found = measure(connection, entity)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    looked_at = found if every else [one for one in found if _is_worth_a_look(one)]
    typer.echo(_row("", *_COLUMNS))
    for one in looked_at:
        typer.echo(_figures(f"{one.entity}.{one.field}", one))
    if len(looked_at) < len(found):
        typer.echo(
            f"{len(found) - len(looked_at):,} fields are filled in all records or in none, and have no fault; --all shows them"
        )


_COLUMNS = ("records", "complete", "invalid", "repeated", "disputed", "orphans")


def _row(name: str, *cells: str) -> str:
    return f"{name:40}" + "".join(f" {cell:>9}" for cell in cells)


def _figures(name: str, one: Quality) -> str:
    share = f"{100 * one.complete / one.records:.1f}%" if one.records else ""
    counts = (f"{number:,}" for number in (one.invalid, one.repeated, one.disagreeing, one.orphans))
    return _row(name, f"{one.records:,}", share, *counts)


def _show_history(measured: list[tuple[str, Quality]], every: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([{"at": at} | msgspec.to_builtins(one) for at, one in measured]))
        return
    by_field: dict[str, list[tuple[str, Quality]]] = {}
    for at, one in measured:
        by_field.setdefault(f"{one.entity}.{one.field}", []).append((at, one))
    for name, figures in by_field.items():
        if every or any(_is_worth_a_look(one) for _, one in figures):
            typer.echo(_row(name, *_COLUMNS))
            for at, one in figures:
                typer.echo(_figures(f"  {at}", one))
    if not measured:
        typer.echo("nothing was measured yet; `opshub quality` does it, and the workers do it every hour")


def _is_worth_a_look(one: Quality) -> bool:
    return 0 < one.complete < one.records or bool(one.invalid or one.repeated or one.disagreeing or one.orphans)


def resolve(
    again: Annotated[
        bool, typer.Option("--again", help="Apply the rules of today to all that was said before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only the difference is shown.")] = False,
    as_json: Json = False,
) -> None:
    """Show what ownership.yaml, `match` included, would settle otherwise than the hub has it; with --yes let the workers settle it so.

    Restart the workers after the file was changed, before --yes. Exit code 1 when there is a difference and it was only shown.
    """
    from streams.cli.send import send
    from streams.identity.people import Message
    from streams.paths import connectors_dir
    from streams.resolve.ownership import load_ownership
    from streams.verify.reresolve import differences, refreshes

    if not again:
        raise ConfigError(
            "there is one way to resolve",
            remedy="`opshub resolve --again`; for one conflict `opshub conflicts resolve`",
        )
    settings = load_settings()
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    with hub(settings) as connection:
        found = list(differences(connection, ownership))
    if yes and found:
        send(settings, [Message(*message) for message in refreshes(found)])
    if as_json:
        typer.echo(json.dumps({"differences": msgspec.to_builtins(found), "sent": yes}))
    else:
        for (name, field), number in sorted(Counter((one.entity, one.field) for one in found).items()):
            typer.echo(f"{name}.{field}: {number:,}")
        for one in found[:20]:
            now, then = (readable_value(one.entity, one.field, value) for value in (one.now, one.then))
            typer.echo(f"  {one.entity} {one.id} {one.field}: {now} → {then}")
        typer.echo(f"{len(found):,} fields differ" + ("; the workers settle them now" if yes and found else ""))
    if found and not yes:
        raise typer.Exit(1)
