"""A live record of the hub, as joins beyond one aggregate read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class LiveRow(msgspec.Struct, frozen=True):
    """A record that is neither deleted nor merged into another."""

    id: str
    entity: str
    aggregate_id: str
    parent: str | None
    record: dict[str, Any]
    systems: Sequence[str]
    """The systems that speak of it, by name."""
    names: Sequence[str] = ()
    """Other ids of the same record."""
