"""`opshub up`: start the native servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings, progress, terminate_as_interrupt

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.stack.launch import Report

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.stack.launch import Report

StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="Folder for data, logs and process ids; default ./.opshub.")
]


def up(
    state_dir: StateDir = None,
    mariadb: Annotated[
        bool, typer.Option("--mariadb", help="Start a MariaDB server too, and load Debezium's connector for it.")
    ] = False,
    no_console: Annotated[
        bool, typer.Option("--no-console", help="Do not start the console (also: OPSHUB_CONSOLE=off).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Start Postgres, Kafka, Connect and the schema registry, wait until all are healthy, and start the console.

    Servers that run already are left alone. The first time, they are downloaded into ~/.cache/opshub.

    Example: opshub up
    """
    from streams.stack.native import NativeStack

    began = time.monotonic()
    settings = load_settings(state_dir=state_dir, console="off" if no_console else None)
    stack = NativeStack(settings, mariadb=mariadb)
    with terminate_as_interrupt(), progress(quiet) as report:
        servers = stack.up(report)
        address = stack.start_console(report)
        reader = _start_sources(stack.settings, report)
    if not quiet:
        print(f"All {len(servers)} servers are healthy after {time.monotonic() - began:.1f} s.")
        if address:
            print(f"The console is at {address}")
        if reader:
            print("The worker `sources` reads the systems without a database.")
        print("`opshub status` shows them, `opshub down` stops them.")


def _start_sources(settings: Settings, report: Report) -> bool:
    """Start the worker that reads systems without a database, where there is one; it waits for `opshub apply`."""
    from streams.provision.systems import has_feeds
    from streams.stack.workers import start_worker

    if not has_feeds(settings):
        return False
    report("worker sources", "starting", None)
    start_worker(settings.model_copy(update={"metrics_port": 0}), "sources", roles=("sources",))
    report("worker sources", "started", 1.0)
    return True
