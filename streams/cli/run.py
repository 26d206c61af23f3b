"""`opshub run`: one worker in the foreground; containers run this."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from streams.cli.context import load_settings
from streams.errors import ConfigError


def run(
    worker_name: Annotated[
        str | None,
        typer.Option(
            help="Name of the worker, unique and stable; a second worker with the same name fences the first."
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="ingest, assemble, deliver or sources; can be given several times. Default: all."),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of /healthz, /readyz, /stats and /metrics; 0 takes a free one.")
    ] = None,
) -> None:
    """Run one worker in the foreground until SIGTERM or Ctrl-C.

    Example: opshub run --worker-name w1 --role assemble
    """
    # The start creates only objects that stay: collecting them costs time. `calm_collector` turns the collector on
    # again.
    gc.disable()
    # httpx imports its own command line (click, pygments, rich) and works without it: that saves a fifth of a second.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from streams.app import ROLES, run_worker

    settings = load_settings(worker_name=worker_name, metrics_port=metrics_port)
    roles = tuple(role) if role else ROLES
    for name in roles:
        if name not in ROLES:
            raise ConfigError(f"there is no role {name!r}", remedy=f"use one of {', '.join(ROLES)}")
    run_worker(settings, roles=roles)
