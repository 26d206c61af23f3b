"""What verbs of decisions share: wait until the hub shows the result, and print it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import typer

from streams.inbox.sending import wait

DONE_WITHIN = 30.0
"""Seconds that a command waits for a worker."""


def finish(is_done: Callable[[], bool], text: str, result: Mapping[str, object], as_json: bool) -> None:
    """Wait for a worker to do what was sent, then print `text`, or `result` as JSON. Exit code 1 when none did it."""
    done = wait(is_done, DONE_WITHIN)
    if as_json:
        typer.echo(json.dumps({**result, "done": done}))
    elif done:
        typer.echo(text)
    else:
        typer.echo(
            f"it was sent, but no worker has done it after {DONE_WITHIN:.0f} s; `opshub status` shows the workers",
            err=True,
        )
    if not done:
        raise typer.Exit(1)
