"""Write streams/model/records.py from `schemas/*.avsc`: `python -m streams.model.generate`. A test holds that
the file is current.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from streams.model.entities import NAMESPACE, avro_schema, branch, schema_names

TARGET = Path(__file__).with_name("records.py")

_HEAD = '''"""The canonical records, typed: a class for each schema. Written by streams/model/generate.py; do not edit.

In: what an Avro library read. Out: frozen records.

    from streams.model import SalesOrder
    order = SalesOrder.from_avro(value)
    order.gross_amount  # Decimal("1190.0000")
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from streams.model.record import Record
'''

_PLAIN = {"string": "str", "int": "int", "long": "int", "boolean": "bool", "bytes": "bytes"}
_LOGICAL = {"decimal": "Decimal", "date": "date", "timestamp-micros": "datetime", "uuid": "UUID"}


def canonical_schemas() -> Iterator[dict[str, Any]]:
    """The schemas of all canonical records, by name."""
    for name in schema_names():
        schema = avro_schema(name)
        if schema.get("namespace") == NAMESPACE:
            yield schema


def render() -> str:
    """The text of records.py."""
    done: dict[str, str] = {}
    topics: dict[str, str] = {}
    for schema in canonical_schemas():
        _record(schema, done)
        topics[f"canonical.{schema['entity']}"] = schema["name"]
    table = "".join(f"    {json.dumps(topic)}: {name},\n" for topic, name in topics.items())
    listing = "".join(f"    {json.dumps(name)},\n" for name in sorted([*done, "BY_TOPIC"]))
    return (
        _HEAD + "\n\n" + "\n\n".join(done.values())
        + f'\n\nBY_TOPIC: dict[str, type[Record]] = {{\n{table}}}\n"""canonical topic → class of its records."""\n'
        + f"\n__all__ = [\n{listing}]\n"
    )  # fmt: skip


def _record(schema: dict[str, Any], done: dict[str, str]) -> str:
    name: str = schema["name"]
    if name not in done:
        body: list[str] = []
        for field in schema["fields"]:
            typed, default = _type(field, done)
            body += [f"    {field['name']}: {typed}{default}", *_docstring(field["doc"])]
        done[name] = "\n".join(
            [f"class {name}(Record, frozen=True, kw_only=True):", *_docstring(schema["doc"]), "", *body, ""]
        )
    return name


def _type(field: dict[str, Any], done: dict[str, str]) -> tuple[str, str]:
    avro, nullable = branch(field["type"])
    if isinstance(avro, str):
        typed = _PLAIN[avro]
    elif "logicalType" in avro:
        typed = _LOGICAL[avro["logicalType"]]
    elif avro["type"] == "map":
        typed = "dict[str, str]"
    else:
        items = avro["items"]
        typed = f"tuple[{_record(items, done) if isinstance(items, dict) else _PLAIN[items]}, ...]"
    if nullable:
        return f"{typed} | None", " = None"
    return typed, " = ()" if "default" in field else ""


def _docstring(text: str) -> list[str]:
    if len(text) <= 100:
        return [f'    """{text}"""']
    first, *rest = wrap(text, 100)
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """']


def main() -> None:
    TARGET.write_text(render(), encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
