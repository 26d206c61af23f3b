"""`opshub demo systems | traffic`: the demo's CRM and ERP on servers that run elsewhere, as in containers."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object at the end, and nothing else on stdout.")]
Seed = Annotated[int, typer.Option(help="The same seed makes the same company.")]


def systems(
    customers: Annotated[int, typer.Option(min=1, help="Customers in the history of empty databases.")] = 500,
    orders: Annotated[int, typer.Option(min=1, help="Orders in that history.")] = 1000,
    no_history: Annotated[bool, typer.Option("--no-history", help="Leave empty databases empty.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for servers that are being started.")] = 0.0,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Make the demo CRM and ERP on two Postgres servers: databases, tables, roles, and a first history where they are
    empty. Safe to repeat.

    The variables DEMO_CRM_… and DEMO_ERP_… name the servers: HOST, PORT, DATABASE, and USER and PASSWORD of ADMIN, APP,
    CAPTURE and WRITEBACK. Exit code 2 when one is missing, 3 when a server is away or refuses the administrator.
    JSON: {"history": true} where history was loaded.

    Example: opshub demo systems --wait 60
    """
    from streams.demo.systems import HistoryPlan, make_systems
    from streams.paths import connectors_dir
    from streams.stack.environment import load_env

    settings = load_settings()
    plan = None if no_history else HistoryPlan(customers, orders, seed)
    loaded = make_systems(load_env(settings), connectors_dir(settings), plan, wait_s=wait, report=_line)
    if as_json:
        typer.echo(json.dumps({"history": loaded}))
    else:
        typer.echo(
            "the demo CRM and ERP are ready" + ("" if loaded or no_history else "; their data was left as it is")
        )


def traffic(
    rate: Annotated[float, typer.Option(min=1, help="Row changes per second, over both databases.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=0, help="Seconds of work; 0: until SIGTERM or Ctrl-C.")] = 0.0,
    journal: Annotated[Path | None, typer.Option(help="File for what was committed, one JSON object a line.")] = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Let the simulated company work on the demo systems that the variables name, and print its figures every 10 s.

    It goes on after a database was away. JSON: {row_changes, transactions, failed, outages}.

    Example: opshub demo traffic --rate 200 --seconds 600
    """
    import signal

    from streams.demo.traffic import TrafficPlan, make_traffic
    from streams.stack.environment import load_env

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    totals = make_traffic(load_env(load_settings()), TrafficPlan(rate, seconds, seed, journal), stopping, _line)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(totals)))
    else:
        typer.echo(
            f"{totals.row_changes:,} row changes in {totals.transactions:,} transactions, {totals.failed:,} refused, "
            f"{totals.outages:,} outages"
        )


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
