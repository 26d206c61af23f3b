"""What the canonical entities are made of, read once from `schemas/*.avsc`.

In: the schema files, which are the single source: types, docs, and as properties of our own `aggregate`,
`parent`, `parent_field`, `computed`, `ref`, `pii` and `values`. Out: `ENTITIES`, one light description for each stored
kind, lines included, and for what the hub computes: order_flow, supply, service_case, receivables, stock.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.errors import ConfigError
from streams.paths import schemas_dir

NAMESPACE = "opshub.canonical"

Kind = Literal["text", "int", "bool", "date", "timestamp", "decimal", "ref", "tags", "map"]

HEADER = ("id", "version", "updated_at", "sources")
"""Fields of every canonical record that no dictionary maps: the hub fills them."""

_NESTED = ("lines", "timeline", "supplied_by", "story")


class FieldType(msgspec.Struct, frozen=True):
    """Type of one canonical field. In the pipeline a decimal is an integer unscaled by `scale`; see
    streams/model/change.py.
    """

    kind: Kind
    nullable: bool = True
    precision: int | None = None
    """Most decimal digits of a decimal, those after the point included."""
    scale: int | None = None
    """Digits of a decimal after the point."""
    ref: str | None = None
    """Entity that a `ref` refers to."""
    pii: str | None = None
    """`contact` (may name or reach a person), `financial` (of someone's finances), or None."""
    values: tuple[str, ...] = ()
    """The values that are meant, where these are fixed."""
    doc: str = ""


class Entity(msgspec.Struct, frozen=True):
    """One kind of canonical record. `fields` are mapped or computed fields; HEADER and nested lists (lines, timeline,
    supplied_by, story) are not among them.
    """

    name: str
    aggregate: str
    parent: str | None
    """Entity in whose aggregate it lives."""
    parent_field: str | None
    """The field that holds the parent's id; None for lines, which stand inside their document."""
    topic: str | None
    """Its canonical topic; None for lines."""
    lines: str | None
    """Entity of its lines."""
    fields: dict[str, FieldType]
    doc: str = ""
    computed: bool = False
    """Whether the hub makes it of other records: no dictionary maps it."""


@cache
def avro_schema(name: str) -> dict[str, Any]:
    """The schema file `schemas/<name>.avsc` as JSON values, to be read only. Raises ConfigError when it is
    missing or no JSON.
    """
    return read_schema(schemas_dir() / f"{name}.avsc")


def read_schema(path: Path) -> dict[str, Any]:
    """One .avsc file. Raises ConfigError that names the file."""
    try:
        schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is missing", remedy="install opshub again, or run it from a complete checkout"
        ) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.msg}", remedy="mend the JSON") from error
    return schema


def schema_names() -> list[str]:
    """The names of all schema files, canonical and others, in alphabetical order."""
    return sorted(path.stem for path in schemas_dir().glob("*.avsc"))


def branch(avro: Any) -> tuple[Any, bool]:
    """An Avro type without its null branch, and whether it had one."""
    if isinstance(avro, list):
        (kind,) = [branch for branch in avro if branch != "null"]
        return kind, True
    return avro, False


def field_type(field: dict[str, Any]) -> FieldType:
    """The light description of one field of an .avsc."""
    avro, nullable = branch(field["type"])
    kind, precision, scale = _kind(avro, "ref" in field)
    values = tuple(field.get("values", ()))
    return FieldType(kind, nullable, precision, scale, field.get("ref"), field.get("pii"), values, field["doc"])


_PLAIN: dict[str, Kind] = {
    "string": "text",
    "int": "int",
    "long": "int",
    "boolean": "bool",
    "array": "tags",
    "map": "map",
}
_LOGICAL: dict[str, Kind] = {"date": "date", "timestamp-micros": "timestamp", "decimal": "decimal"}


def _kind(avro: Any, is_reference: bool) -> tuple[Kind, int | None, int | None]:
    if isinstance(avro, str):
        return _PLAIN[avro], None, None
    logical = avro.get("logicalType")
    if logical == "decimal":
        return "decimal", avro["precision"], avro["scale"]
    if logical == "uuid":
        return "ref" if is_reference else "text", None, None
    return _LOGICAL[logical] if logical else _PLAIN[avro["type"]], None, None


def _read() -> dict[str, Entity]:
    entities: dict[str, Entity] = {}
    for name in schema_names():
        schema = avro_schema(name)
        if schema.get("namespace") != NAMESPACE:
            continue
        lines = next((field["type"]["items"] for field in schema["fields"] if field["name"] == "lines"), None)
        entities[name] = _entity(schema, schema["aggregate"], f"canonical.{name}", lines["entity"] if lines else None)
        if lines:
            entities[lines["entity"]] = _entity(lines, schema["aggregate"], None, None)
    return dict(sorted(entities.items()))


def _entity(schema: dict[str, Any], aggregate: str, topic: str | None, lines: str | None) -> Entity:
    fields = {
        f["name"]: field_type(f) for f in schema["fields"] if f["name"] not in HEADER and f["name"] not in _NESTED
    }
    parent, parent_field = schema.get("parent"), schema.get("parent_field")
    computed = schema.get("computed", False)
    return Entity(schema["entity"], aggregate, parent, parent_field, topic, lines, fields, schema["doc"], computed)


ENTITIES: dict[str, Entity] = _read()
"""Every canonical entity by its name: customer, sales_order, sales_order_line, …"""
