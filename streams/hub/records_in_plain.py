"""A golden record as it is, with the personal data in it: for whoever may see that."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs


class GoldenRecord(msgspec.Struct, frozen=True):
    """What the hub holds. Decimals are unscaled, times microseconds since 1970."""

    entity: str
    record: dict[str, Any]


def plain_record(hub: Hub, record_id: str) -> GoldenRecord | None:
    """The record of this canonical id, or None. `record_id` must be a UUID."""
    rows = fetch_structs(hub, GoldenRecord, "plain_record", [record_id])
    return rows[0] if rows else None
