"""The table of the tier: a line for each fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """What the checker found after a fault, and seconds from its end until a new change was in the hub."""

    fault: str
    lost: int
    doubled: int
    gone_back: int
    other: int
    recovery_s: float


ROWS: list[Row] = []
"""Of this session, in the order of the faults."""


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'fault':44} {'lost':>6} {'doubled':>8} {'gone back':>10} {'other':>6} {'recovery':>10}"]
    lines += [
        f"{row.fault:44} {row.lost:>6} {row.doubled:>8} {row.gone_back:>10} {row.other:>6} {row.recovery_s:>8.1f} s"
        for row in rows
    ]
    return "\n".join(lines)
