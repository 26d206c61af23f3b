"""`opshub status`: servers and workers, for people and as JSON.

`SECTIONS` holds what else belongs into a status (lag, errors, parked): each entry is (name, `module:function`); the
function takes the settings and gives a JSON value. A section whose source is away says so instead of failing all.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir
from streams.errors import OpshubError
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

SECTIONS: list[tuple[str, str]] = [
    ("systems", "streams.capture.progress:captured"),
    ("records", "streams.capture.accounting:accounting"),
    ("source_changes", "streams.capture.schema_drift:told"),
    ("notes", "streams.monitor.mapping_notes:told"),
]


def collect(settings: Settings) -> dict[str, Any]:
    """The whole status as JSON values: `servers`, `workers`, and each of SECTIONS."""
    from streams.stack.native import NativeStack

    found: dict[str, Any] = {
        "servers": [asdict(server) for server in NativeStack(settings).status()],
        "workers": workers(settings),
    }
    for name, where in SECTIONS:
        module, _, function = where.partition(":")
        try:
            found[name] = getattr(import_module(module), function)(settings)
        except OpshubError as error:
            found[name] = {"error": str(error), "remedy": error.remedy}
    return found


def workers(settings: Settings) -> list[dict[str, Any]]:
    """Each worker: `{name, pid, supervised, partitions, lag, waiting}`; the last three are null where it does not answer."""
    from streams.stack.worker_stats import worker_stats
    from streams.stack.workers import list_workers

    answers = {one["name"]: one for one in worker_stats(settings)}
    found = {worker.name: asdict(worker) for worker in list_workers(settings)}
    for name, answer in answers.items():
        # One that a person runs by hand is none of the stack's.
        found.setdefault(name, {"name": name, "pid": answer["pid"], "supervised": False})
    for name, worker in found.items():
        lanes = list(answers[name]["lanes"].values()) if name in answers else None
        worker["partitions"] = None if lanes is None else [one for lane in lanes for one in lane["partitions"]]
        worker["lag"] = None if lanes is None else sum(lane["lag_records"] for lane in lanes)
        worker["waiting"] = answers[name]["waiting"] if name in answers else None
    return sorted(found.values(), key=lambda worker: str(worker["name"]))


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


def _show_systems(console: Console, systems: Any) -> None:
    from rich.table import Table

    if not isinstance(systems, list):
        console.print(f"Systems: {systems['error']}\n    remedy: {systems['remedy']}", highlight=False)
        return
    table = Table("system", "connector", "taken", "waiting", "dead, parked", title="Systems", title_justify="left")
    for one in systems:
        aside = sum(counts["dead"] + counts["parked"] for counts in one["tables"].values())
        colour = "green" if one["connector"] == "RUNNING" else "red"
        table.add_row(
            one["system"],
            f"[{colour}]{one['connector'].lower()}[/]",
            f"{one['taken']:,}",
            f"{one['waiting']:,}",
            f"{aside:,}",
        )
    console.print(table)
    for one in systems:
        if one["amiss"]:
            console.print(f"[red]{one['system']}[/]: {one['amiss']}", highlight=False, soft_wrap=True)


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    servers = Table("server", "port", "pid", "state", title="Servers", title_justify="left")
    for server in found["servers"]:
        state = "[green]healthy[/]" if server["healthy"] else "[red]not healthy[/]" if server["pid"] else "[dim]down[/]"
        servers.add_row(server["name"], str(server["port"]), str(server["pid"] or ""), state)
    console.print(servers)
    table = Table(
        "worker", "pid", "supervised", "partitions", "lag", "waits for", title="Workers", title_justify="left"
    )
    for worker in found["workers"]:
        answers = worker["partitions"] is not None
        table.add_row(
            worker["name"],
            str(worker["pid"] or "down"),
            "yes" if worker["supervised"] else "no",
            str(len(worker["partitions"])) if answers else "",
            f"{worker['lag']:,}" if answers else "",
            worker["waiting"] or "" if answers else "does not answer",
        )
    if found["workers"]:
        console.print(table)
    if found["systems"] != found["records"]:  # both say so when the hub is away
        _show_systems(console, found["systems"])
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
            gap = f", {records['unaccounted']:,} are not accounted for" if records["unaccounted"] else ""
            console.print(f"    they do not balance{gap}: `opshub verify` says where", style="red")
    if isinstance(changed, list) and changed:
        console.print("What changed in the sources' tables (30 days):")
        for one in changed[:10]:
            console.print(
                f"  {one['at']} {one['system']} {one['table']}: {one['what']} ({one['effect']})",
                highlight=False,
                soft_wrap=True,
            )
    if isinstance(found["notes"], list) and found["notes"]:
        from streams.cli.map_views import show_mapping_notes

        console.print("What dictionaries mended or forgave (30 days):")
        show_mapping_notes(found["notes"][:10])
