"""`opshub down`: stop workers and servers."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.context import load_settings, progress
from streams.cli.up import StateDir


def down(
    state_dir: StateDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Stop the workers and the native servers of this folder. The data stays: `opshub up` starts with it again.

    Example: opshub down
    """
    from streams.stack.native import NativeStack

    with progress(quiet) as report:
        NativeStack(load_settings(state_dir=state_dir)).down(report)
