"""Match keys that too many records of one system carry: they link nothing.

What becomes of one: `share_keys` (in the transaction that claims it), then `shared_keys` for people, then
`free_shared_keys` once it names one record of each system again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import psycopg

from streams.hub.statements import SQL, fetch
from streams.model.state import Conflict


class Carrier(msgspec.Struct, frozen=True):
    """A record that carries a match key which another record holds. Once `most` records do, the key is shared."""

    entity: str
    key: str
    record_id: str
    systems: list[str]
    most: int


class SharedKey(NamedTuple):
    """A key that links nothing from now on. `linked`: the records that it had linked to `holder`, if there was one."""

    entity: str
    key: str
    holder: str | None
    aggregate_id: str | None
    linked: list[str]


class SharedKeyUse(msgspec.Struct, frozen=True):
    """A shared key as people see it: since when, and how many records carry it, by system."""

    entity: str
    key: str
    since: str
    records: int
    systems: dict[str, int]


def carriers_of(conflicts: Iterable[Conflict], limits: Mapping[str, int]) -> list[Carrier]:
    """The records that claim a key which another holds. `limits`: entity → the records that may do so."""
    return [
        Carrier(
            conflict.entity,
            conflict.field,
            conflict.entity_id,
            [system for system in conflict.values if system != "holder"],
            limits[conflict.entity],
        )
        for conflict in conflicts
        if conflict.entity in limits
    ]


def shared_key_conflicts(shared: Iterable[SharedKey]) -> list[Conflict]:
    """What a person decides about keys that became shared: whether the records that they had linked are one."""
    return [
        Conflict(
            key.aggregate_id or key.holder,
            key.entity,
            key.holder,
            key.key,
            "shared_key",
            {"holder": key.holder, "linked": key.linked},
            None,
            "linked by a match key that too many records of one system carry",
            "open",
        )
        for key in shared
        if key.holder is not None and key.linked
    ]


def shared_keys(connection: psycopg.Connection, entities: list[str] | None) -> list[SharedKeyUse]:
    """Shared keys of these entities, or of all; the one that most records carry first."""
    return fetch(connection, SharedKeyUse, "shared_keys", {"entities": entities})


def free_shared_keys(connection: psycopg.Connection) -> None:
    """Make keys of those that at most one record of each system still carries; the records claim them again."""
    connection.execute(SQL["free_shared_keys"])


def end_shared_key_conflicts(connection: psycopg.Connection, record: str, who: str) -> None:
    """Decide conflicts of this record over shared keys, if nothing that they had linked is part of it any more."""
    connection.execute(SQL["end_shared_key_conflicts"], {"record": record, "who": who})
