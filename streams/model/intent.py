"""An intent that is to be added to the hub: write-back plans it, the hub stores it."""

from __future__ import annotations

from typing import Any

import msgspec


class NewIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One change that the hub wants `target` to make, to be added to the hub. `key` makes it idempotent.

    `cause_us` is the commit time at the source, in microseconds since 1970.
    """

    key: str
    rule: str
    target: str
    entity: str
    entity_id: str
    aggregate_id: str
    subject_id: str
    customer_id: str | None
    version: int
    cause_us: int
    given: dict[str, Any] = {}
    """What the delivery returned that this one follows."""
    supersedes: bool = False
    """Older intents of the same rule and subject that wait are superseded by this one."""
    restores: bool = False
    """It gives the target back the value that stands, after people changed it there."""
    fields: list[str] = []
    """Fields of the record that it copies. While two systems overwrite each other's value of one of them, it is not
    added.
    """
