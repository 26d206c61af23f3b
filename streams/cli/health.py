"""`opshub health` in the help: `probe.py` has what it does, and `streams/cli/__init__.py` calls it without typer."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from streams.cli.probe import probe


def health(
    process: Annotated[Literal["worker", "console"], typer.Argument(help="Whose page is asked.")] = "worker",
    ready: Annotated[
        bool, typer.Option("--ready", help="Whether it can do its work now, not only whether it lives.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Its address; default: OPSHUB_METRICS_HOST or OPSHUB_CONSOLE_HOST.", show_default=False)
    ] = "",
    port: Annotated[
        int, typer.Option(help="Its port; default: OPSHUB_METRICS_PORT or OPSHUB_CONSOLE_PORT.", show_default=False)
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for its answer.")] = 3.0,
) -> None:
    """Ask a worker or the console of this machine whether it is well: for the health checks of containers.

    A worker is not well when a supervisor should start it again; it is not ready, too, while it waits for a server or
    has no partitions. Exit code 0 when it is well, 1 when it is not and says why, 3 when it does not answer.

    Example: opshub health worker --ready
    """
    code, text = probe(process, ready, host, port, timeout)
    typer.echo(text, err=code != 0)
    if code:
        raise typer.Exit(code)
