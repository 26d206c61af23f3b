"""`opshub verify`: is everything that the systems hold in the hub and in the topics, and nothing else?"""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings


def verify(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Compare source tables, hub and canonical topics in both directions, with nothing in flight. Exit code 1 when they differ.

    Example: opshub verify --json
    """
    from rich.console import Console

    from streams.paths import connectors_dir
    from streams.provision.systems import capture_dsn, load_systems
    from streams.resolve.ownership import load_ownership
    from streams.stack.environment import load_env
    from streams.verify.compare import verify as compare

    settings = load_settings()
    systems = load_systems(settings)
    env = load_env(settings)
    console = Console(stderr=True)
    with console.status("starting") as status:
        verdict = compare(
            settings, systems, {system.name: capture_dsn(system, env) for system in systems},
            load_ownership(connectors_dir(settings) / "ownership.yaml"), progress=lambda what: status.update(what),
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(verdict)))
    else:
        for name in ("source_rows", "entities", "records", "lost", "doubled", "differing", "gone_back", "rejected"):
            typer.echo(f"{name:12} {getattr(verdict, name):>10,}")
        typer.echo(f"{'accounts':12} {'balance' if verdict.accounts_balance else 'do not balance'}")
        for example in verdict.examples:
            typer.echo(f"  {example}")
    if not verdict.holds:
        raise typer.Exit(1)
