"""The exported JSON Schema is current, takes what the language takes, and refuses what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from streams.dictionary.language.json_schema import dictionary_schema, schema_text
from streams.dictionary.yaml_lines import load_yaml, parse_yaml
from tests.factories import FILE

ROOT = Path(__file__).parents[2]
DICTIONARIES = [
    *sorted((ROOT / "connectors").glob("*/dictionary.yaml")),
    *sorted((ROOT / "tests/fixtures/connectors").glob("*/dictionary.yaml")),
]
TYPES: dict[str, Any] = {
    "string": str,
    "object": dict,
    "array": list,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
}


def refused(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> str | None:
    """What a JSON Schema validator would say, for the keywords that the export uses."""
    if "$ref" in schema:
        return refused(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], value, root)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            refusals = [refused(option, value, root) for option in schema[word]]
            if all(refusals):
                return f"{value!r} is none of {word}: {refusals}"
    if "const" in schema and value != schema["const"]:
        return f"{value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not one of {schema['enum']}"
    kind = schema.get("type")
    if kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{value!r} is no integer"
    elif kind is not None and (not isinstance(value, TYPES[kind]) or (kind == "number" and isinstance(value, bool))):
        return f"{value!r} is no {kind}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            return f"{value!r} is too short"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"{value!r} does not match {schema['pattern']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            return f"{value!r} has too few items"
        for item in value:
            if "items" in schema and (refusal := refused(schema["items"], item, root)):
                return refusal
    if isinstance(value, dict):
        if len(value) < schema.get("minProperties", 0):
            return "it is empty"
        for name in schema.get("required", ()):
            if name not in value:
                return f"{name} is missing"
        known = schema.get("properties", {})
        for name, item in value.items():
            more = schema.get("additionalProperties", True)
            if name in known:
                refusal = refused(known[name], item, root)
            elif more is False:
                refusal = f"{name} is not known"
            else:
                refusal = refused(more, item, root) if isinstance(more, dict) else None
            if refusal:
                return f"{name}: {refusal}"
    return None


def test_exported_schema_is_current() -> None:
    file = ROOT / "connectors" / "dictionary.schema.json"
    assert file.read_text("utf-8") == schema_text(), (
        "run: python -m streams.dictionary.language.json_schema connectors/dictionary.schema.json"
    )


@pytest.mark.parametrize("file", DICTIONARIES, ids=[f.parent.name for f in DICTIONARIES])
def test_schema_accepts_all_dictionaries_of_the_project(file: Path) -> None:
    schema = dictionary_schema()
    assert refused(schema, load_yaml(file)[0], schema) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "system: T\ntables: {a.b: {key: id, to: []}}",
        "system: t\ntables: {}",
        "system: t\ntables: {a.b: {key: id}}",
        "system: t\nkind: oracle\ntables: {a.b: {key: id, to: []}}",
        "system: t\ntables: {a.b: {key: [], to: []}}",
        "system: t\ntables: {a.b: {key: id, to: [{entity: custumer}]}}",
        "system: t\ntables: {a.b: {key: id, to: [{entity: customer, feilds: {}}]}}",
        "system: t\ntables: {a.b: {key: id, to: [{entity: customer, fields: {name: {colum: x}}}]}}",
        "system: t\ntables: {a.b: {key: id, to: [{entity: customer, fields: {name: {column: x, unknown: drop}}}]}}",
    ],
)
def test_schema_refuses_what_the_language_refuses(wrong: str) -> None:
    schema = dictionary_schema()
    assert refused(schema, parse_yaml(wrong, FILE)[0], schema) is not None
