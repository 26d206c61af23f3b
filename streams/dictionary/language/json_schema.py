"""The JSON Schema of `dictionary.yaml`, which editors complete and check with; kept in
connectors/dictionary.schema.json.
"""

from __future__ import annotations

import json
from typing import Any

from streams.dictionary.canonical_fields import entity_types
from streams.dictionary.language.dictionary import Dictionary
from streams.mapping.conversions.registry import conversions


def dictionary_schema() -> dict[str, Any]:
    """The schema, with the names of entities and conversions in it."""
    schema = Dictionary.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "opshub dictionary"
    parts = schema["$defs"]
    parts["Target"]["properties"]["entity"]["enum"] = list(entity_types())
    step = {
        "anyOf": [
            {
                "oneOf": [
                    {"const": name, "description": c.doc} for name, c in sorted(conversions().items()) if c.built_in
                ]
            },
            {"type": "string"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {n: {"description": c.doc} for n, c in sorted(conversions().items()) if c.built_in},
            },
        ]
    }
    for part in ("MappingRule", "Reference"):
        parts[part]["properties"]["steps"]["items"] = step
    # What the language also takes: a column's name for a rule, one text for a list of columns, keys that are numbers.
    for part, names in {"Target": ("fields", "attributes")}.items():
        for name in names:
            values = parts[part]["properties"][name]
            values["additionalProperties"] = {
                "anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/MappingRule"}]
            }
    where = parts["Lookup"]["properties"]["where"]
    where["additionalProperties"] = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Equal"}]}
    parts["Target"]["properties"]["parent"]["anyOf"].append({"type": "string", "minLength": 1})
    for part, name in [
        ("Table", "key"),
        ("Target", "key"),
        ("MappingRule", "columns"),
        ("Reference", "columns"),
        ("Lookup", "by"),
    ]:
        _or_text(parts[part]["properties"][name])
    return schema


def _or_text(schema: dict[str, Any]) -> None:
    """Let one text stand for a list of one; and say `minItems` where pydantic says `minLength` of a list."""
    text = {"type": "string", "minLength": 1}
    if "anyOf" not in schema:
        schema["anyOf"] = [{k: schema.pop(k) for k in ("type", "items", "minLength") if k in schema}]
    for arm in schema["anyOf"]:
        if arm.get("type") == "array" and "minLength" in arm:
            arm["minItems"] = arm.pop("minLength")
    schema["anyOf"].append(text)


def schema_text() -> str:
    """The file's text."""
    return json.dumps(dictionary_schema(), ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write the file: `python -m streams.dictionary.language.json_schema connectors/dictionary.schema.json`."""
    import sys
    from pathlib import Path

    Path(sys.argv[1]).write_text(schema_text(), "utf-8")


if __name__ == "__main__":
    main()
