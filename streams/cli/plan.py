"""`opshub plan` and `opshub apply`: list what would change in Kafka, registry, hub and Connect; change it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.provision.differences import ProvisionStep
    from streams.provision.systems import System
    from streams.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


def plan(
    as_json: JsonOption = False,
    sql: Annotated[
        bool, typer.Option(help="Print the SQL that an administrator of each database runs: role, grants, publication.")
    ] = False,
    connectors: Annotated[
        bool, typer.Option(help="Print each connector's whole configuration: source.json and our defaults.")
    ] = False,
    system: Annotated[list[str] | None, typer.Option(help="Only these systems.", show_default="all")] = None,
) -> None:
    """List what `opshub apply` would change, and change nothing. Exit code 1 when there is something.

    Exit code 2 when ownership.yaml or a writeback.yaml is wrong, or a dictionary does not fit its database, 3 when a
    database cannot be captured as it is. JSON: {"to_do": [{kind, name, action}]}. With --sql or --connectors no server
    is asked.

    Examples:

    opshub plan

    opshub plan --sql --system my-erp | psql "postgresql://postgres@db:5432/erp"

    opshub plan --json | jq '.to_do[].name'
    """
    from streams.provision.differences import plan as list_steps

    settings = load_settings()
    if system is not None:
        settings = settings.model_copy(update={"systems": system})
    if sql or connectors:
        _print_files(settings, sql=sql, connectors=connectors)
        return
    steps = list_steps(settings, _capturable_systems(settings))
    _show(steps, as_json, "to do")
    if steps:
        raise typer.Exit(1)


def apply(
    wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds to wait for servers that are being started; default: OPSHUB_APPLY_WAIT_SECONDS.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create what is missing and change what differs; safe to repeat. Changes nothing where `opshub plan` finds a
    fault.

    Exit code 2 when a file is wrong, 3 when a server does not answer in time or refuses the login.
    JSON: {"done": [{kind, name, action}]}.

    Example: opshub apply --wait 120
    """
    from streams.provision.differences import apply as carry_out

    settings = load_settings(apply_wait_seconds=wait)
    systems = _capturable_systems(settings, settings.apply_wait_seconds)
    with Console(stderr=True).status("comparing") as status:
        steps = carry_out(settings, systems, progress=lambda step: status.update(step))
    _show(steps, as_json, "done")


def _print_files(settings: Settings, *, sql: bool, connectors: bool) -> None:
    from streams.capture.setup_sql import rights_of, setup_sql
    from streams.provision.systems import load_systems
    from streams.stack.environment import load_env

    systems, env = [system for system in load_systems(settings) if system.has_database], load_env(settings)
    for system in systems if sql else []:
        typer.echo(f"-- {system.name}\n{setup_sql(rights_of(system, env))}\n")
    if connectors:
        # As source.json has them: Connect, not this command, puts values in place of ${env:…}.
        typer.echo(json.dumps({system.connector_name: system.config for system in systems}, indent=2))


def _capturable_systems(settings: Settings, wait_s: float = 0.0) -> list[System]:
    """The systems, if each database can be captured and has what its dictionary reads; else it exits. First waits up to
    `wait_s` seconds for all servers.
    """
    from streams.monitor.preflight import exit_code
    from streams.monitor.source_preflight import check_source
    from streams.paths import connectors_dir
    from streams.provision.servers import wait_for_servers
    from streams.provision.systems import capture_dsn, load_systems
    from streams.resolve.ownership import load_ownership
    from streams.stack.environment import load_env, resolve_placeholders
    from streams.writeback.load import load_rules

    load_ownership(connectors_dir(settings) / "ownership.yaml")
    systems = load_systems(settings)
    env = load_env(settings)
    load_rules(connectors_dir(settings), settings.systems, lambda text, path: resolve_placeholders(text, env, path))
    if wait_s:
        wait_for_servers(settings, systems, env, wait_s, lambda text: typer.echo(text, err=True))
    findings = [
        finding
        for system in systems
        if system.has_database
        for finding in check_source(system, capture_dsn(system, env))
        if finding.severe
    ]
    for finding in findings:
        typer.echo(f"error: {finding.where}: {finding.what}\nremedy: {finding.remedy}", err=True)
    if findings:
        raise typer.Exit(exit_code(findings))
    return systems


def _show(steps: Sequence[ProvisionStep], as_json: bool, title: str) -> None:
    if as_json:
        typer.echo(json.dumps({title.replace(" ", "_"): [msgspec.to_builtins(step) for step in steps]}))
        return
    console = Console()
    if not steps:
        console.print("everything is up to date")
        return
    table = Table("what", "name", "action", title=title)
    for step in steps:
        table.add_row(step.kind, step.name, step.action)
    console.print(table)
