"""`opshub status`: servers and workers, for people and as JSON.

`SECTIONS` holds what else belongs into a status (lag, errors, parked): each entry is (name, `module:function`); the
function takes the settings and gives a JSON value. A section whose source is away says so instead of failing all.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir
from streams.errors import OpshubError
from streams.settings import Settings

SECTIONS: list[tuple[str, str]] = [
    ("records", "streams.repair.dlq:accounting"),
    ("source_changes", "streams.repair.source_shape:told"),
]


def collect(settings: Settings) -> dict[str, Any]:
    """The whole status as JSON values: `servers`, `workers`, and each of SECTIONS."""
    from streams.stack.native import NativeStack
    from streams.stack.workers import list_workers

    found: dict[str, Any] = {
        "servers": [asdict(server) for server in NativeStack(settings).status()],
        "workers": [asdict(worker) for worker in list_workers(settings)],
    }
    for name, where in SECTIONS:
        module, _, function = where.partition(":")
        try:
            found[name] = getattr(import_module(module), function)(settings)
        except OpshubError as error:
            found[name] = {"error": str(error), "remedy": error.remedy}
    return found


def status(
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    found = collect(load_settings(state_dir=state_dir))
    if as_json:
        print(json.dumps(found))
    else:
        _show(found)
    if not all(server["healthy"] for server in found["servers"]):
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    servers = Table("server", "port", "pid", "state", title="Servers", title_justify="left")
    for server in found["servers"]:
        state = "[green]healthy[/]" if server["healthy"] else "[red]not healthy[/]" if server["pid"] else "[dim]down[/]"
        servers.add_row(server["name"], str(server["port"]), str(server["pid"] or ""), state)
    console.print(servers)
    workers = Table("worker", "pid", "supervised", title="Workers", title_justify="left")
    for worker in found["workers"]:
        workers.add_row(worker["name"], str(worker["pid"] or "down"), "yes" if worker["supervised"] else "no")
    if found["workers"]:
        console.print(workers)
    records, changed = found["records"], found["source_changes"]
    if "error" in records:
        console.print(f"Records: {records['error']}\n    remedy: {records['remedy']}", highlight=False)
    else:
        told = ", ".join(f"{records[name]:,} {name}" for name in ("passed", "filtered", "tombstones", "dead", "parked"))
        console.print(
            f"Records: {records['in']:,} in: {told}; {records['parked_keys']:,} keys wait",
            highlight=False,
            soft_wrap=True,
        )
        if not records["balances"]:
            console.print("    they do not balance: `opshub verify` says where", style="red")
    if isinstance(changed, list) and changed:
        console.print("What changed in the sources' tables (30 days):")
        for one in changed[:10]:
            console.print(
                f"  {one['at']} {one['system']} {one['table']}: {one['what']} ({one['effect']})",
                highlight=False,
                soft_wrap=True,
            )
