"""A dictionary as a list: which column becomes which canonical field, through which steps. For pages and search."""

from __future__ import annotations

import msgspec

from streams.dictionary.explain import origins
from streams.dictionary.language.dictionary import Dictionary
from streams.mapping.conversions.registry import conversions


class MappedField(msgspec.Struct, frozen=True):
    """One rule: the columns of a table that it reads, the field that it fills, and the steps between, in words."""

    system: str
    table: str
    entity: str
    field: str
    """attributes.<name> is an extra field."""
    source: str
    columns: list[str]
    steps: list[str]
    conversions: list[str]
    """Names of the conversions among the steps."""
    line: int


def mapped_fields(dictionary: Dictionary) -> list[MappedField]:
    """Every rule of a dictionary, in the order of its file."""
    known = conversions()
    made = []
    for table in dictionary.tables.values():
        for target in table.to:
            names = [*target.fields, *(f"attributes.{name}" for name in target.attributes)]
            for name in names:
                for origin in origins(dictionary, target.entity, name):
                    used = [step.partition(" ")[0] for step in origin.steps]
                    made.append(
                        MappedField(
                            origin.system, origin.table, target.entity, name, origin.source, list(origin.columns),
                            list(origin.steps), [step for step in used if step in known], origin.line,
                        )
                    )  # fmt: skip
    unique = {(field.table, field.entity, field.field, field.line): field for field in made}
    return sorted(unique.values(), key=lambda field: field.line)


def explained_conversions(fields: list[MappedField]) -> dict[str, str]:
    """Conversion → what it does, of those that the fields use."""
    known = conversions()
    names = sorted({name for field in fields for name in field.conversions})
    return {name: " ".join(known[name].doc.split()) for name in names}
