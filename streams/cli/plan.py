"""`opshub plan` and `opshub apply`: what would change in Kafka, registry, hub and Connect; change it."""

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
    from streams.provision.differences import Step
    from streams.provision.systems import System
    from streams.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


def plan(as_json: JsonOption = False) -> None:
    """Say what `apply` would change; exit code 1 when there is something.

    Exit code 2 when ownership.yaml is wrong or a dictionary does not fit its database, 3 when a database cannot be captured as it is.
    """
    from streams.provision.differences import plan as make_plan

    settings = load_settings()
    steps = make_plan(settings, _capturable(settings))
    _show(steps, as_json, "to do")
    if steps:
        raise typer.Exit(1)


def apply(as_json: JsonOption = False) -> None:
    """Create what is missing and change what differs; safe to run again. Nothing is done where `plan` finds a fault."""
    from streams.provision.differences import apply as make_it_so

    settings = load_settings()
    systems = _capturable(settings)
    console = Console(stderr=True)
    with console.status("comparing") as status:
        steps = make_it_so(settings, systems, progress=lambda what: status.update(what))
    _show(steps, as_json, "done")


def _capturable(settings: Settings) -> list[System]:
    """The systems, once each database answers, lets itself be captured, and has what its dictionary reads."""
    from streams.monitor.preflight import exit_code, source
    from streams.paths import connectors_dir
    from streams.provision.systems import capture_dsn, load_systems
    from streams.resolve.ownership import load_ownership
    from streams.stack.environment import load_env

    load_ownership(connectors_dir(settings) / "ownership.yaml")
    systems = load_systems(settings)
    env = load_env(settings)
    findings = [one for system in systems for one in source(system, capture_dsn(system, env)) if one.severe]
    for one in findings:
        typer.echo(f"error: {one.where}: {one.what}\nremedy: {one.remedy}", err=True)
    if findings:
        raise typer.Exit(exit_code(findings))
    return systems


def _show(steps: Sequence[Step], as_json: bool, title: str) -> None:
    if as_json:
        typer.echo(json.dumps({title.replace(" ", "_"): [msgspec.to_builtins(step) for step in steps]}))
        return
    console = Console()
    if not steps:
        console.print("all is as it should be")
        return
    table = Table("what", "name", "action", title=title)
    for step in steps:
        told = msgspec.to_builtins(step)
        table.add_row(told["kind"], told["name"], told["action"])
    console.print(table)
