"""`opshub quality` measures the data of each field. `opshub re-resolve` applies today's ownership rules to what the hub
has.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.dictionary.typed_values import readable_value
from streams.errors import ConfigError
from streams.inbox.sending import connect, send

if TYPE_CHECKING:
    from streams.hub.quality import FieldQuality, MeasuredQuality
    from streams.hub.shared_keys import SharedKeyUse
    from streams.verify.reresolve import Difference

EXAMPLES = 20


def quality(
    entity: Annotated[list[str] | None, typer.Option(help="Only this entity; may be given more than once.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also fields that are filled everywhere or nowhere.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show earlier figures; measure nothing.")] = False,
    field: Annotated[
        list[str] | None, typer.Option(help="With --history: only this field; may be given more than once.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with one object for each field.")] = False,
) -> None:
    """Measure completeness, validity, uniqueness, disagreement and orphans of each field, and keep the figures.

    Examples:

    opshub quality --entity customer

    opshub quality --history --entity customer --field email
    """
    from streams.hub.shared_keys import shared_keys
    from streams.maintenance.quality import history as measured_before
    from streams.maintenance.quality import measure
    from streams.model.entities import ENTITIES

    for name in entity or ():
        if name not in ENTITIES:
            raise ConfigError(f"there is no entity {name!r}", remedy=f"use one of {', '.join(sorted(ENTITIES))}")
    if field and not history:
        raise ConfigError("--field needs --history: all fields of an entity are measured", remedy="give --history, too")
    with connect(load_settings()) as connection:
        figures: list[FieldQuality]
        if history:
            earlier = measured_before(connection, entity, field)
            figures = list(earlier)
        else:
            figures = measure(connection, entity)
        shared = shared_keys(connection, entity)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(figures)))
    elif history:
        _show_history(earlier, every)
    else:
        _show_figures(figures, every)
        _show_shared_keys(shared)


_COLUMNS = ("records", "complete", "invalid", "repeated", "disputed", "orphans", "no key")


def _show_figures(figures: list[FieldQuality], every: bool) -> None:
    shown_figures = figures if every else [figure for figure in figures if _is_interesting(figure)]
    typer.echo(_row("", *_COLUMNS))
    for figure in shown_figures:
        typer.echo(_figure_row(f"{figure.entity}.{figure.field}", figure))
    hidden = len(figures) - len(shown_figures)
    if hidden:
        typer.echo(f"{hidden:,} fields are filled in all records or in none, and have no fault; --all shows them")


def _show_shared_keys(shared: list[SharedKeyUse]) -> None:
    if shared:
        typer.echo("keys that link nothing, since more records of one system carry them than `match_limit` allows")
    for key in shared:
        systems = ", ".join(f"{number:,} of {system}" for system, number in sorted(key.systems.items()))
        typer.echo(f"  {key.entity} {key.key}: {systems}, since {key.since}")


def _show_history(earlier: list[MeasuredQuality], every: bool) -> None:
    by_field: dict[str, list[MeasuredQuality]] = {}
    for figure in earlier:
        by_field.setdefault(f"{figure.entity}.{figure.field}", []).append(figure)
    for name, figures in by_field.items():
        if every or any(_is_interesting(figure) for figure in figures):
            typer.echo(_row(name, *_COLUMNS))
            for figure in figures:
                typer.echo(_figure_row(f"  {figure.at}", figure))
    if not earlier:
        typer.echo("nothing was measured yet; `opshub quality` does it, and the workers do it every hour")


def _row(name: str, *cells: str) -> str:
    return f"{name:40}" + "".join(f" {cell:>9}" for cell in cells)


def _figure_row(name: str, figure: FieldQuality) -> str:
    share = f"{100 * figure.complete / figure.records:.1f}%" if figure.records else ""
    counts = (figure.invalid, figure.repeated, figure.disagreeing, figure.orphans, figure.anybody)
    return _row(name, f"{figure.records:,}", share, *(f"{count:,}" for count in counts))


def _is_interesting(figure: FieldQuality) -> bool:
    """Whether a field is filled in some records and not in others, or has a fault."""
    faults = figure.invalid or figure.repeated or figure.disagreeing or figure.orphans or figure.anybody
    return 0 < figure.complete < figure.records or bool(faults)


def re_resolve(
    yes: Annotated[
        bool, typer.Option("--yes", help="Let the workers re-resolve them; without it, only list the differences.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help='One JSON object: {"differences": […], "sent": true or false}.')
    ] = False,
) -> dict[str, object]:
    """List the fields that today's ownership.yaml resolves otherwise than the hub has them; with --yes, resolve them.

    Match keys count, too. Restart the workers after the file was changed, before --yes. Exit code 1 when there are
    differences and they were only listed. For a single conflict: `opshub conflicts resolve`.

    Examples:

    opshub re-resolve

    opshub re-resolve --yes
    """
    from streams.identity.decisions import Message
    from streams.paths import connectors_dir
    from streams.resolve.ownership import load_ownership
    from streams.verify.reresolve import differences, refreshes

    settings = load_settings()
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    with connect(settings) as connection:
        changes = list(differences(connection, ownership))
    is_sent = yes and bool(changes)
    if is_sent:
        send(settings, [Message(*message) for message in refreshes(changes)])
    if as_json:
        typer.echo(json.dumps({"differences": msgspec.to_builtins(changes), "sent": yes}))
    else:
        _show_differences(changes, is_sent)
    if changes and not yes:
        raise typer.Exit(1)
    fields = Counter(f"{change.entity}.{change.field}" for change in changes)
    return {"re_resolved": dict(sorted(fields.items()))}


def _show_differences(differences: list[Difference], is_sent: bool) -> None:
    counts = Counter((difference.entity, difference.field) for difference in differences)
    for (name, field), count in sorted(counts.items()):
        typer.echo(f"{name}.{field}: {count:,}")
    for difference in differences[:EXAMPLES]:
        now = readable_value(difference.entity, difference.field, difference.now)
        then = readable_value(difference.entity, difference.field, difference.then)
        typer.echo(f"  {difference.entity} {difference.id} {difference.field}: {now} → {then}")
    typer.echo(f"{len(differences):,} fields differ" + ("; the workers re-resolve them now" if is_sent else ""))
