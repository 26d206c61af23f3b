"""Write docs/model.md from `schemas/*.avsc`: `python -m streams.model.document`. A test holds that the page is
current.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.model.entities import HEADER, NAMESPACE, avro_schema, branch, schema_names

TARGET = Path(__file__).parents[2] / "docs" / "model.md"

_HEAD = """\
# The canonical model

*Written by `python -m streams.model.document` from `schemas/*.avsc`; do not edit.*

Each record is one Avro schema. Its topic is `canonical.<entity>`, compacted; the key is the record's id as text,
the value Avro in the Confluent wire format (subject `<topic>-value`). A tombstone says that the record is gone; its
header `version` holds the version as decimal text. [Reading the topics](guides/consume.md) shows how to consume them.

**Types.** `decimal(18,4)` has 18 digits, 4 of them after the point: money, always in the record's `currency`.
`decimal(18,6)` is a quantity, `decimal(9,4)` a rate in percent. `timestamp` is microseconds since 1970 in UTC,
`date` is a day without a zone, `uuid` is 36 characters, `→ x` is the id of an x. A field that is *required* is
never null; all others may be, and null says that no system knows, or that the owner left it empty.

**Inside the pipeline**, in a dictionary's examples and in `conflicts`, a value is JSON: decimals are integers
unscaled by the field's scale (12.5 as money is 125000), timestamps are microseconds, dates are days since 1970.

**Personal data.** `contact` marks what may name or reach a person, `financial` what is of someone's finances;
all else is unmarked.

**Evolution.** Schemas change under BACKWARD_TRANSITIVE: a new one reads all that was ever written. So a new
field has a default, and no field changes its type. What was released is kept in `schemas/released/<version>/`;
`opshub plan` and `python -m streams.emit.compatibility` check against it. A consumer with an old schema goes on
reading: Avro leaves out the fields that it does not know.
"""

_RECORD_FIELDS = """
## In every record

| field | type | meaning |
| --- | --- | --- |
| `id` | uuid, required | Canonical id, the Kafka key. UUIDv5 of system, entity and key of its first record. |
| `version` | long, required | Grows with each change and is never used twice; the greater one is the newer. |
| `updated_at` | timestamp | When a source last committed a change to it, by the sources' own clocks. |
| `sources` | list of {system, key}, required | The live rows in the systems that speak of it. |
"""


def render() -> str:
    """The text of the page."""
    schemas = {name: avro_schema(name) for name in schema_names()}
    canonical = {name: schema for name, schema in schemas.items() if schema.get("namespace") == NAMESPACE}
    others = {name: schema for name, schema in schemas.items() if name not in canonical}
    parts = [_HEAD, _RECORD_FIELDS, *(_canonical(schema) for schema in canonical.values())]
    parts.append("\n# Other records\n" + "".join(_other(name, schema) for name, schema in others.items()))
    return "".join(parts)


def _canonical(schema: dict[str, Any]) -> str:
    parent = schema.get("parent")
    lives = f"in the aggregate `{schema['aggregate']}`" + (
        f", by its `{schema['parent_field']}` ({parent})" if parent else ""
    )
    name = schema["entity"]
    head = f"\n## {name}\n\n{schema['doc']}\n\n`canonical.{name}`, class `{schema['name']}`; {lives}.\n"
    fields = [field for field in schema["fields"] if field["name"] not in HEADER]
    return head + _table(fields) + "".join(_nested(fields))


def _other(name: str, schema: dict[str, Any]) -> str:
    head = f"\n## {name}\n\n{schema['doc']}\n\n`{schema['namespace']}.{schema['name']}`, on `{schema['topic']}`.\n"
    return head + _table(schema["fields"]) + "".join(_nested(schema["fields"]))


def _nested(fields: list[dict[str, Any]]) -> Iterator[str]:
    for field in fields:
        avro, _ = branch(field["type"])
        if isinstance(avro, dict) and avro["type"] == "array" and isinstance(avro["items"], dict):
            items = avro["items"]
            title = f"{field['name']}: {items.get('entity', items['name'])}"
            yield f"\n### {title}\n\n{items['doc']}\n{_table(items['fields'])}"


def _table(fields: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"| `{field['name']}` | {_type(field)} | {_meaning(field)} | {field.get('pii', '')} |\n" for field in fields
    )
    return f"\n| field | type | meaning | personal |\n| --- | --- | --- | --- |\n{rows}"


def _type(field: dict[str, Any]) -> str:
    avro, nullable = branch(field["type"])
    if "ref" in field:
        text = f"→ {field['ref']}"
    else:
        text = _plain(avro)
    return text if nullable or "default" in field else f"{text}, required"


def _plain(avro: Any) -> str:
    if isinstance(avro, str):
        return {"string": "text", "boolean": "bool"}.get(avro, avro)
    logical: str | None = avro.get("logicalType")
    if logical == "decimal":
        return f"decimal({avro['precision']},{avro['scale']})"
    if logical is not None:
        return logical.removesuffix("-micros")
    if avro["type"] == "enum":
        return "one of " + ", ".join(f"`{symbol}`" for symbol in avro["symbols"])
    if avro["type"] == "map":
        return f"map of {_plain(avro['values'])}"
    items = avro["items"]
    return f"list of {items.get('entity', items['name']) if isinstance(items, dict) else _plain(items)}"


def _meaning(field: dict[str, Any]) -> str:
    values = field.get("values")
    text: str = field["doc"]
    if values:
        text += " One of " + ", ".join(f"`{value}`" for value in values) + "."
    return text.replace("|", "\\|")


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
