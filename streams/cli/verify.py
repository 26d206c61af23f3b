"""`opshub verify`: is everything that the systems hold in the hub and in the topics, and nothing else?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.verify.comparison import Comparison

COUNTS = ("source_rows", "entities", "records", "lost", "doubled", "differing", "gone_back", "rejected")


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with the counts and examples.")] = False,
) -> None:
    """Compare source tables, hub and canonical topics in both directions, with nothing in flight.

    Stop changes at the sources and wait until `opshub status` shows no lag: a record on its way counts as lost.
    Exit code 1 when they differ.

    Examples:

    opshub verify

    opshub verify --json | jq .examples
    """
    from rich.console import Console

    from streams.paths import connectors_dir
    from streams.provision.systems import database_dsns, load_systems
    from streams.resolve.ownership import load_ownership
    from streams.stack.environment import load_env
    from streams.verify.compare import verify as compare

    settings = load_settings()
    systems = load_systems(settings)
    env = load_env(settings)
    dsns = database_dsns(systems, env)
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    with Console(stderr=True).status("starting") as status:
        comparison = compare(settings, systems, dsns, ownership, progress=lambda step: status.update(step))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(comparison)))
    else:
        _show(comparison)
    if not comparison.holds:
        raise typer.Exit(1)


def _show(comparison: Comparison) -> None:
    for name in COUNTS:
        typer.echo(f"{name:12} {getattr(comparison, name):>10,}")
    typer.echo(f"{'accounts':12} {'balance' if comparison.accounts_balance else 'do not balance'}")
    for example in comparison.examples:
        typer.echo(f"  {example}")
