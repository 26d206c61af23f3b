"""The inbox of conflicts, and records that may be one: what people look at before they decide. Reads the hub only."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import psycopg
from rapidfuzz import fuzz

from streams.errors import ConfigError


class Logged(msgspec.Struct):
    """One conflict as it was logged."""

    id: str
    entity: str
    entity_id: str
    aggregate_id: str
    field: str
    kind: str
    said: dict[str, dict[str, Any]]
    winner: str | None
    rule: str
    outcome: str
    turns: int
    seen_at: str
    resolved_at: str | None
    decided_by: str | None
    name: str | None = None
    """What the record is called."""


_COLUMNS = """id::text, entity, entity_id::text, aggregate_id::text, field, kind, said, winner, rule, outcome, turns,
    to_char(seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    to_char(resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), decided_by,
    (SELECT coalesce(record->>'name', record->>'number', record->>'sku', record->>'last_name')
     FROM entity e WHERE e.id = conflict.entity_id)"""


def conflicts(
    connection: psycopg.Connection[Any],
    *,
    entity: str | None = None,
    kind: str | None = None,
    past: bool = False,
    limit: int = 50,
) -> list[Logged]:
    """Conflicts that stand, the newest first; with `past` also those that are over or decided."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM conflict WHERE (%(past)s OR resolved_at IS NULL AND outcome <> 'decided')"
        " AND (%(entity)s::text IS NULL OR entity = %(entity)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " ORDER BY seen_at DESC, id LIMIT %(limit)s",
        {"past": past, "entity": entity, "kind": kind, "limit": limit},
    )
    return [Logged(*row) for row in rows]


def conflict(connection: psycopg.Connection[Any], conflict_id: str) -> Logged:
    """One conflict, by its id or the first letters of it. Raises ConfigError when there is none, or more than one."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM conflict WHERE starts_with(id::text, %s) LIMIT 2", [conflict_id.lower()]
    ).fetchall()
    if len(rows) != 1:
        raise ConfigError(
            f"{'no conflict has' if not rows else 'more than one conflict has'} an id that begins with {conflict_id!r}",
            remedy="`opshub conflicts list --all` shows them",
        )
    return Logged(*rows[0])


class Proposal(msgspec.Struct):
    """Two records that may be one; a person decides."""

    score: float
    loser: str
    winner: str
    entity: str
    why: str
    names: tuple[str, str] = ("", "")
    """What the two are called, the loser first."""


class Proposals(msgspec.Struct):
    """What a look found, the likeliest first, and what it did not look at."""

    found: list[Proposal]
    not_compared: dict[str, int]
    """Postal code or town → pairs of its customers that were not compared, since it has so many and their names are far apart."""


COMPARED = 1_000_000
"""Pairs that are compared in one town or postal code; of a larger one, those whose names are neighbours."""


def proposals(
    connection: psycopg.Connection[Any], *, least: float = 88.0, limit: int = 50, compared: int = COMPARED
) -> Proposals:
    """Customers whose name, town and address are alike, of which nobody said that they are two. They are compared within a postal code or
    a town, and never where both have a tax number and these differ. `least`: the lowest score, of 100.
    """
    rows = connection.execute(
        """SELECT e.id::text, record->>'name', record->>'tax_id', lower(coalesce(record->>'billing_postal_code', record->>'billing_city')),
                  record->>'billing_street', record->>'email', record->>'phone', ARRAY(SELECT jsonb_object_keys(contributions)),
                  EXISTS (SELECT FROM identity i WHERE i.source_id = e.id AND i.target = e.id)
           FROM entity e WHERE entity = 'customer' AND merged_into IS NULL AND NOT deleted AND version > 0"""
    ).fetchall()
    apart = {frozenset(pair) for pair in connection.execute("SELECT one::text, other::text FROM told_apart").fetchall()}
    blocks: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row[1] and row[3] and not row[8]:
            blocks[row[3]].append((" ".join(sorted(row[1].casefold().split())), *row))
    found: list[Proposal] = []
    not_compared: dict[str, int] = {}
    for name, block in blocks.items():
        block.sort(key=lambda row: row[:2])
        window = max(1, compared // len(block))
        for number, one in enumerate(block):
            for other in block[number + 1 : number + 1 + window]:
                proposal = _alike(one, other, least)
                if proposal is not None and not (apart and _told_apart(one, other, apart)):
                    found.append(proposal)
        left = len(block) - 1 - window
        if left > 0:
            not_compared[name] = left * (left + 1) // 2
    found.sort(key=lambda one: (-one.score, one.loser))
    return Proposals(found[:limit], not_compared)


def _alike(one: Any, other: Any, least: float) -> Proposal | None:
    if one[3] and other[3] and one[3] != other[3]:
        return None
    name = fuzz.ratio(one[0], other[0], score_cutoff=70)
    if name < 70:
        return None
    street = fuzz.ratio((one[5] or "").casefold(), (other[5] or "").casefold()) if one[5] and other[5] else 60.0
    alike = [word for word, at in (("e-mail", 6), ("phone", 7)) if one[at] and one[at] == other[at]]
    score = min(100.0, 0.7 * name + 0.3 * street + 5 * len(alike))
    if score < least:
        return None
    winner, loser = sorted((one, other), key=lambda row: str(row[1]))
    why = f"names {name:.0f}, streets {street:.0f} of 100" + "".join(f", same {word}" for word in alike)
    return Proposal(round(score, 1), loser[1], winner[1], "customer", why, (loser[2], winner[2]))


def _told_apart(one: Any, other: Any, apart: set[frozenset[str]]) -> bool:
    return any(frozenset((mine, theirs)) in apart for mine in (one[1], *one[8]) for theirs in (other[1], *other[8]))
