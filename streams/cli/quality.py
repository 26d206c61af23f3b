"""`opshub quality` and `opshub resolve`: how good the records are, and today's rules over what was said before."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.fields import shown
from streams.cli.identity import hub
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.repair.quality import Quality

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def quality(
    entity: Annotated[list[str] | None, typer.Option(help="Only these; can be given more than once.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also fields that are filled everywhere or nowhere.")] = False,
    as_json: Json = False,
) -> None:
    """Measure completeness, validity, uniqueness, disagreement and orphans of each field, and keep the figures.

    Example: opshub quality --entity customer
    """
    from streams.model.entities import ENTITIES
    from streams.repair.quality import measure

    for name in entity or ():
        if name not in ENTITIES:
            raise ConfigError(f"there is no entity {name!r}", remedy=f"one of {', '.join(sorted(ENTITIES))}")
    with hub(load_settings()) as connection:
        found = measure(connection, entity)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    looked_at = found if every else [one for one in found if _is_worth_a_look(one)]
    typer.echo(f"{'':40} {'records':>9} {'complete':>9} {'invalid':>8} {'repeated':>8} {'disputed':>8} {'orphans':>8}")
    for one in looked_at:
        share = f"{100 * one.complete / one.records:8.1f}%" if one.records else f"{'':>9}"
        typer.echo(
            f"{one.entity + '.' + one.field:40} {one.records:9,} {share} {one.invalid:8,} {one.repeated:8,}"
            f" {one.disagreeing:8,} {one.orphans:8,}"
        )
    if len(looked_at) < len(found):
        typer.echo(
            f"{len(found) - len(looked_at):,} fields are filled in all records or in none, and have no fault; --all shows them"
        )


def _is_worth_a_look(one: Quality) -> bool:
    return 0 < one.complete < one.records or bool(one.invalid or one.repeated or one.disagreeing or one.orphans)


def resolve(
    again: Annotated[
        bool, typer.Option("--again", help="Apply the rules of today to all that was said before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only the difference is shown.")] = False,
    as_json: Json = False,
) -> None:
    """Show what the rules of ownership.yaml would settle otherwise than the hub has it; with --yes let the workers settle it so.

    Restart the workers after the file was changed, before --yes. Exit code 1 when there is a difference and it was only shown.
    """
    from streams.cli.send import send
    from streams.identity.people import Message
    from streams.paths import connectors_dir
    from streams.repair.again import differences, refreshes
    from streams.resolve.ownership import load_ownership

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
            now, then = (shown(one.entity, one.field, value) for value in (one.now, one.then))
            typer.echo(f"  {one.entity} {one.id} {one.field}: {now} → {then}")
        typer.echo(f"{len(found):,} fields differ" + ("; the workers settle them now" if yes and found else ""))
    if found and not yes:
        raise typer.Exit(1)
