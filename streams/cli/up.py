"""`opshub up`: start the native servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.context import load_settings, progress, terminate_as_interrupt

StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="Where data, logs and pids are kept; default ./.opshub.")
]


def up(
    state_dir: StateDir = None,
    mariadb: Annotated[
        bool, typer.Option("--mariadb", help="Install Debezium's MariaDB and MySQL connectors too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    from streams.stack.native import EXTRA_PLUGINS, NativeStack

    began = time.monotonic()
    stack = NativeStack(load_settings(state_dir=state_dir))
    with terminate_as_interrupt(), progress(quiet) as report:
        if mariadb:
            stack.install(EXTRA_PLUGINS, report)
        servers = stack.up(report)
    if not quiet:
        print(f"{len(servers)} servers are healthy after {time.monotonic() - began:.1f} s.")
        print("`opshub status` shows them, `opshub down` stops them.")
