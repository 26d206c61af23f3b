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
    from streams.provision.plan import Step

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]


def plan(as_json: JsonOption = False) -> None:
    """Say what `apply` would change; exit code 1 when there is something."""
    from streams.provision.plan import plan as make_plan

    steps = make_plan(load_settings())
    _show(steps, as_json, "to do")
    if steps:
        raise typer.Exit(1)


def apply(as_json: JsonOption = False) -> None:
    """Create what is missing and change what differs; safe to run again."""
    from streams.provision.plan import apply as make_it_so

    console = Console(stderr=True)
    with console.status("comparing") as status:
        steps = make_it_so(load_settings(), progress=lambda what: status.update(what))
    _show(steps, as_json, "done")


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
