"""`opshub doctor` checks databases, Kafka, registry, Connect and rights. `opshub resync` captures a system again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings, who
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.provision.systems import System
    from streams.settings import Settings


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help='One JSON object: {"findings": [{code, where, what, remedy, side, severe}]}.')
    ] = False,
) -> None:
    """List everything that is wrong, each with a code and a remedy; `!` marks what is severe.

    Exit code 2 when a file that a person wrote is wrong, 3 when a server, a right or a setting of it is.

    Examples:

    opshub doctor

    opshub doctor --json | jq '.findings[] | select(.severe)'
    """
    from streams.monitor.preflight import check_installation, exit_code

    findings = check_installation(load_settings())
    if as_json:
        typer.echo(json.dumps({"findings": [msgspec.to_builtins(finding) for finding in findings]}))
    else:
        for finding in findings:
            mark = "!" if finding.severe else "-"
            typer.echo(f"{mark} {finding.code}: {finding.where}: {finding.what}\n    remedy: {finding.remedy}")
        if not findings:
            typer.echo("nothing is wrong")
    if code := exit_code(findings):
        raise typer.Exit(code)


def resync(
    system: Annotated[str, typer.Argument(help="The system: a folder of connectors/.")],
    sweep_after: Annotated[
        float, typer.Option(help="Seconds for the snapshot; after them, what it did not bring is deleted.")
    ] = 600.0,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="Re-snapshot only the rows of this table; may be given more than once."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="With --table: an SQL condition; only rows that meet it are re-snapshot.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
) -> dict[str, object]:
    """Capture a system again as a whole: a new epoch, a new snapshot, and what is gone from the source is deleted.

    With --table, Debezium only reads rows again while it goes on streaming: use it after a code table or a rule of the
    dictionary has changed, once the workers have read the new rule. What the rows no longer make leaves the hub; with
    --where only as far as the rows that are read show it.

    Examples:

    opshub resync demo-crm --reason "restored from a backup"

    opshub resync demo-crm --table public.opportunity --where "stage = 'Closed Won'"
    """
    from streams.capture.epoch import begin_whole
    from streams.provision.systems import capture_dsn
    from streams.stack.environment import load_env

    if where is not None and not tables:
        raise ConfigError("--where is a condition on the rows of a table", remedy="give --table, too")
    settings = load_settings()
    chosen = _system(settings, system)
    if tables:
        dsn = capture_dsn(chosen, load_env(settings))
        from streams.verify.read_again import read_again

        done = read_again(settings, chosen, dsn, tables, where, who=who())
        for entity, count in done.gone.items():
            typer.echo(f"{count:,} records of {entity} leave the hub: no row of {system} makes them any more")
        for table, rows in done.rows.items():
            typer.echo(f"{rows:,} rows of {table} are read again, as soon as the connector gets to them")
        return {"rows": done.rows, "gone": done.gone}
    epoch = begin_whole(settings, chosen, sweep_after=sweep_after)
    typer.echo(f"{system} is captured again as a whole, as its epoch {epoch}")
    return {"epoch": epoch}


def _system(settings: Settings, name: str) -> System:
    from streams.provision.systems import load_systems

    for system in load_systems(settings):
        if system.name == name:
            return system
    raise ConfigError(f"there is no system {name!r}", remedy=f"use one of {', '.join(settings.systems)}")
