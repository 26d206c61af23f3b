"""The JSON Schema of `dictionary.yaml`, with which editors complete and check the file.

It is kept in connectors/dictionary.schema.json. Run
`python -m streams.dictionary.language.json_schema connectors/dictionary.schema.json` to write it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from streams.dictionary.canonical_fields import entity_types
from streams.dictionary.language.dictionary import Dictionary
from streams.mapping.conversions.registry import conversions

Schema = dict[str, Any]
_COLUMN = {"type": "string", "minLength": 1}


def dictionary_schema() -> Schema:
    """The schema, with the names of entities and conversions in it."""
    schema = Dictionary.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "opshub dictionary"
    classes = schema["$defs"]
    classes["Target"]["properties"]["entity"]["enum"] = list(entity_types())
    for name in ("MappingRule", "Reference"):
        classes[name]["properties"]["steps"]["items"] = _step_schema()
    # The validators also take what the classes do not show: a column's name for a rule, one text for a list of columns.
    for field in ("fields", "attributes"):
        rules = classes["Target"]["properties"][field]
        rules["additionalProperties"] = {"anyOf": [_COLUMN, {"$ref": "#/$defs/MappingRule"}]}
    where = classes["Lookup"]["properties"]["where"]
    where["additionalProperties"] = {"anyOf": [_COLUMN, {"$ref": "#/$defs/Equal"}]}
    classes["Target"]["properties"]["parent"]["anyOf"].append(_COLUMN)
    for name, field in [
        ("Table", "key"),
        ("Target", "key"),
        ("MappingRule", "columns"),
        ("Reference", "columns"),
        ("Lookup", "by"),
    ]:
        _allow_single_column(classes[name]["properties"][field])
    return schema


def _step_schema() -> Schema:
    """A step: the name of a built-in conversion, another name (a user's conversion), or one name with its options."""
    built_in = [(name, conversion) for name, conversion in sorted(conversions().items()) if conversion.built_in]
    return {
        "anyOf": [
            {"oneOf": [{"const": name, "description": conversion.doc} for name, conversion in built_in]},
            {"type": "string"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {name: {"description": conversion.doc} for name, conversion in built_in},
            },
        ]
    }


def _allow_single_column(schema: Schema) -> None:
    """Allow one text instead of a list; and write `minItems` where pydantic writes `minLength` for a list."""
    if "anyOf" not in schema:
        schema["anyOf"] = [{k: schema.pop(k) for k in ("type", "items", "minLength") if k in schema}]
    for alternative in schema["anyOf"]:
        if alternative.get("type") == "array" and "minLength" in alternative:
            alternative["minItems"] = alternative.pop("minLength")
    schema["anyOf"].append(_COLUMN)


def schema_text() -> str:
    """The file's text."""
    return json.dumps(dictionary_schema(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_text(), "utf-8")
