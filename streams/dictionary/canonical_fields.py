"""The canonical model as a dictionary sees it: entities, their fields, and what a value of each field must be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from streams.model.entities import ENTITIES

Kind = Literal["text", "int", "bool", "date", "timestamp", "decimal", "ref", "tags", "map"]


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of one canonical field."""

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
    parent_field: str | None
    """The field through which it finds its parent, unless a dictionary names another `parent`; None for lines."""
    is_line: bool


def entity_types() -> tuple[str, ...]:
    """The entities that a dictionary may name."""
    return tuple(name for name, entity in ENTITIES.items() if not entity.computed)


@cache
def entity_type(name: str) -> EntityType | None:
    """The entity of that name, or None."""
    entity = ENTITIES.get(name)
    if entity is None or name not in entity_types():
        return None
    fields = {
        field: FieldType(field, t.kind, not t.nullable, t.scale or 0, t.precision or 0, t.ref, t.values)
        for field, t in entity.fields.items()
    }
    is_line = any(other.lines == name for other in ENTITIES.values())
    return EntityType(name, fields, entity.parent, entity.parent_field, is_line)
