"""`opshub doctor`: preflight of databases, Kafka, registry, Connect and rights."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Say what is wrong, each with a code and a remedy. Exit code 2 when a file of ours is wrong, 3 when the environment is.

    Example: opshub doctor --json
    """
    from streams.monitor.preflight import examine, exit_code
    from streams.provision.systems import capture_dsn, load_systems
    from streams.stack.environment import load_env

    settings = load_settings()
    systems = load_systems(settings)
    env = load_env(settings)
    findings = examine(settings, systems, {system.name: capture_dsn(system, env) for system in systems})
    if as_json:
        typer.echo(json.dumps({"findings": [msgspec.to_builtins(one) for one in findings]}))
    else:
        for one in findings:
            typer.echo(f"{'!' if one.severe else '-'} {one.code}: {one.where}: {one.what}\n    remedy: {one.remedy}")
        if not findings:
            typer.echo("nothing is wrong")
    if code := exit_code(findings):
        raise typer.Exit(code)


def resync(
    system: Annotated[str, typer.Argument(help="A folder of connectors/.")],
    sweep_after: Annotated[
        float, typer.Option(help="Seconds that the snapshot may take before what it did not bring is deleted.")
    ] = 600.0,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="Only read the rows of this table again; may be said often.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="With --table: a condition of SQL, for some of its rows.")] = None,
) -> None:
    """Capture a system anew: a new epoch, a whole snapshot, and what is gone from the source is deleted.

    With --table rows are read again beside the stream, and nothing else: after a code table or a rule of the dictionary has changed.

    Example: opshub resync demo-crm --table public.opportunity --where "stage = 'Closed Won'"
    """
    from streams.capture.guard import begin_epoch
    from streams.capture.incremental_snapshot import reread
    from streams.errors import ConfigError
    from streams.provision.systems import capture_dsn, load_systems
    from streams.stack.environment import load_env

    if where is not None and not tables:
        raise ConfigError("--where is a condition on the rows of one table", remedy="say --table, too")
    settings = load_settings()
    for one in load_systems(settings):
        if one.name == system and tables:
            for table, rows in reread(one, capture_dsn(one, load_env(settings)), tables, where).items():
                typer.echo(f"{rows:,} rows of {table} are read again; they come as their connector gets to them")
            return
        if one.name == system:
            epoch = begin_epoch(settings, one, capture_dsn(one, load_env(settings)), sweep_after=sweep_after)
            typer.echo(f"{system} is captured anew, as its epoch {epoch}")
            return
    raise ConfigError(f"there is no system {system!r}", remedy=f"one of {', '.join(settings.systems)}")
