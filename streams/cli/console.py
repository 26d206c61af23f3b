"""`opshub console`: the pages and the API."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir


def console(
    state_dir: StateDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: OPSHUB_CONSOLE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one; default: OPSHUB_CONSOLE_PORT.")] = None,
) -> None:
    """Serve the console until Ctrl-C: the business flow in a browser, and the API under /api/v1.

    Example: opshub console --port 8088
    """
    from streams.console.serve import serve

    serve(load_settings(state_dir=state_dir, console_host=host, console_port=port))
