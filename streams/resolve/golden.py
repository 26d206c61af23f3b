"""Contributions → the golden record, by ownership.

For each field the owner's value wins where it says one; else the next system in rank, so that a field that only one system knows is
known. Two records of one system that are the same entity are ranked by source id, which is stable.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.model.state import Conflict, Contribution, EntityState


class Ownership(msgspec.Struct, frozen=True):
    """Who masters what. `ranks[entity]` lists systems, first the owner; `fields[entity][field]` says otherwise for one field."""

    ranks: dict[str, list[str]] = {}
    fields: dict[str, dict[str, list[str]]] = {}

    def rank(self, entity: str, field: str | None = None) -> list[str]:
        if field is not None:
            special = self.fields.get(entity, {}).get(field)
            if special is not None:
                return special
        return self.ranks.get(entity, [])


def golden(entity: EntityState, ownership: Ownership) -> tuple[dict[str, Any], list[Conflict]]:
    """The golden record's fields, and the fields on which live contributions disagree. Depends on nothing but its arguments' values."""
    live = [(source, said) for source, said in entity.contributions.items() if not said.deleted]
    if len(live) == 1:
        return live[0][1].fields or {}, []
    if not live:
        return {}, []
    record: dict[str, Any] = {}
    conflicts: list[Conflict] = []
    names = {name for _, said in live for name in said.fields or {}}
    for name in sorted(names):
        ranked = _ranked(live, ownership.rank(entity.entity, name))
        value, winner = None, None
        for _, said in ranked:
            candidate = (said.fields or {}).get(name)
            if candidate is not None:
                value, winner = candidate, said.system
                break
        record[name] = value
        values: dict[str, Any] = {}
        for _, said in ranked:
            candidate = (said.fields or {}).get(name)
            if candidate is not None:
                values.setdefault(said.system, candidate)
        if len(values) > 1 and any(other != value for other in values.values()):
            conflicts.append(Conflict("", entity.entity, entity.id, name, "disagreement", values, winner, "owner wins"))
    return record, conflicts


def _ranked(live: list[tuple[str, Contribution]], rank: list[str]) -> list[tuple[str, Contribution]]:
    order = {system: number for number, system in enumerate(rank)}
    return sorted(live, key=lambda pair: (order.get(pair[1].system, len(order)), pair[1].system, pair[0]))
