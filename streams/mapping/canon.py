"""The canonical model as a dictionary sees it: entities, their fields, and what a value of each field must be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from streams.model.entities import ENTITIES

Kind = Literal["text", "int", "bool", "date", "ts", "decimal", "ref", "tags", "map", "lines"]


@dataclass(frozen=True, slots=True)
class FieldType:
    """What one canonical field holds."""

    name: str
    kind: Kind
    required: bool = False
    scale: int = 0
    precision: int = 0
    ref: str | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityType:
    """One canonical entity that rows can become."""

    name: str
    fields: dict[str, FieldType]
    parent: str | None
    is_line: bool


def entity_types() -> tuple[str, ...]:
    """The entities that a dictionary may name."""
    return tuple(name for name in ENTITIES if name != "order_flow")


@cache
def entity_type(name: str) -> EntityType | None:
    """The entity of that name, or None."""
    entity = ENTITIES.get(name)
    if entity is None or name not in entity_types():
        return None
    fields = {
        n: FieldType(n, f.kind, f.required, f.scale, f.precision, f.ref, f.allowed) for n, f in entity.fields.items()
    }
    return EntityType(name, fields, entity.parent, any(e.lines == name for e in ENTITIES.values()))
