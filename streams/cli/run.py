"""`opshub run`: one worker, what containers run."""

from __future__ import annotations

import gc
import sys
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.errors import ConfigError


def run(
    worker_name: Annotated[
        str | None,
        typer.Option(help="Unique and stable for each worker; a second one of the same name fences the first."),
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="ingest, assemble, deliver; can be given more than once. Default: all.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of /healthz, /readyz, /stats and /metrics; 0 takes a free one.")
    ] = None,
) -> None:
    """Run one worker in the foreground until SIGTERM or Ctrl-C.

    Example: opshub run --worker-name w1 --role assemble
    """
    # Nothing that the start makes is garbage: `calm_collector` has it looked at from then on.
    gc.disable()
    # httpx imports its own command line, with all that colours it, and goes on without: a fifth of a second.
    modules: dict[str, Any] = sys.modules
    modules.setdefault("httpx._main", None)
    from streams.app import ROLES, run_worker

    given = {"worker_name": worker_name, "metrics_port": metrics_port}
    settings = load_settings(**given)
    roles = tuple(role) if role else ROLES
    for one in roles:
        if one not in ROLES:
            raise ConfigError(f"there is no role {one!r}", remedy=f"one of {', '.join(ROLES)}")
    run_worker(settings, roles=roles)
