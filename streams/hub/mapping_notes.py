"""Values that dictionaries changed or accepted as null, as the hub counts them by field."""

from __future__ import annotations

import msgspec
import psycopg

from streams.hub.statements import fetch


class MappingNoteCount(msgspec.Struct, frozen=True):
    """How often one kind of change was made in one field; times in UTC. `example`: key of the row that came last."""

    system: str
    table: str
    field: str
    kind: str
    count: int
    reason: str
    example: str
    since: str
    last: str


def load_mapping_notes(hub: psycopg.Connection[object], field: str = "") -> list[MappingNoteCount]:
    """Of one field (`customer.tax_id`), or of all fields in the last thirty days; the latest first, at most 200."""
    return fetch(hub, MappingNoteCount, "mapping_notes", {"field": field})
