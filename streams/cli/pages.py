"""How verbs that list print a page: each row, or one JSON object with all; and where the next page begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import typer

Row = TypeVar("Row")


def print_page(
    name: str, rows: Sequence[Row], following: str | None, show: Callable[[Row], None], nothing: str, *, as_json: bool
) -> None:
    """Print a page. `name`: of the rows, in JSON; `following`: what `--after` takes for the next page; `nothing`: the
    line for an empty page.
    """
    if as_json:
        typer.echo(json.dumps({name: msgspec.to_builtins(rows), "after": following}))
        return
    for row in rows:
        show(row)
    if not rows:
        typer.echo(nothing)
    if following:
        typer.echo(f"more: the same with --after {following}")
