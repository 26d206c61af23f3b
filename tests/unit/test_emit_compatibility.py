"""Which change of a schema breaks what was released."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from streams.emit.compatibility import breaches, require_compatible, unreadable
from streams.errors import ConfigError
from streams.model.entities import avro_schema, schema_names
from streams.paths import schemas_dir


def changed(schema_name: str, **fields: Any) -> dict[str, Any]:
    """A copy of a shipped schema in which each named field is replaced, or dropped for None."""
    schema = copy.deepcopy(avro_schema(schema_name))
    schema["fields"] = [
        field if field["name"] not in fields else {**field, **fields[field["name"]]}
        for field in schema["fields"]
        if field["name"] not in fields or fields[field["name"]] is not None
    ]
    return schema


def with_field(schema_name: str, **field: Any) -> dict[str, Any]:
    schema = copy.deepcopy(avro_schema(schema_name))
    schema["fields"].append(field)
    return schema


def money(precision: int, scale: int) -> list[Any]:
    return ["null", {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}]


def test_what_is_shipped_reads_what_was_released() -> None:
    assert breaches() == []


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_reads_itself(name: str) -> None:
    assert unreadable(avro_schema(name), avro_schema(name)) == []


def test_what_is_allowed() -> None:
    old = avro_schema("customer")
    assert unreadable(with_field("customer", name="vip", type="boolean", default=False), old) == []
    assert unreadable(with_field("customer", name="fax", type=["null", "string"], default=None), old) == []
    assert unreadable(changed("customer", website=None), old) == []
    assert unreadable(changed("customer", name={"type": ["null", "string"], "default": None}), old) == []
    assert unreadable(changed("customer", payment_terms_days={"type": ["null", "long"]}), old) == []
    assert unreadable(changed("customer", website={"name": "url", "aliases": ["website"]}), old) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (with_field("customer", name="vip", type="boolean"), "vip is new and has no default"),
        (changed("customer", website={"name": "url", "default": None}), None),
        (changed("customer", website={"type": "string"}), "website was null and is string"),
        (changed("customer", payment_terms_days={"type": ["null", "string"]}), "no longer one of null | string"),
        (changed("customer", credit_limit={"type": money(18, 2)}), "was decimal(18,4) and is decimal(18,2)"),
        (changed("customer", credit_limit={"type": money(20, 4)}), "was decimal(18,4) and is decimal(20,4)"),
        (changed("customer", created_at={"type": ["null", "long"]}), "was timestamp-micros and is long"),
        (
            changed("customer", tags={"type": ["null", {"type": "array", "items": "int"}]}),
            "tags[] was string and is int",
        ),
        ({**avro_schema("customer"), "name": "Client"}, "was called Customer and is called Client"),
    ],
)
def test_what_breaks_consumers_is_named(schema: dict[str, Any], words: str | None) -> None:
    found = unreadable(schema, avro_schema("customer"))
    assert found == [] if words is None else any(words in text for text in found), found


def test_an_enum_may_gain_but_not_lose() -> None:
    old = {"type": "enum", "name": "E", "symbols": ["a", "b"]}
    assert unreadable({**old, "symbols": ["a", "b", "c"]}, old) == []
    assert unreadable({**old, "symbols": ["a"]}, old) == ["it no longer has b"]


def test_every_release_counts_and_none_may_vanish(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    shutil.copytree(schemas_dir(), folder)
    shutil.copytree(folder / "released" / "0.1.0", folder / "released" / "0.10.0")
    newest = folder / "released" / "0.10.0" / "customer.avsc"
    schema = changed("customer", website={"type": ["null", "int"]})
    newest.write_text(json.dumps(schema), encoding="utf-8")
    (folder / "contact.avsc").unlink()
    with pytest.raises(ConfigError) as caught:
        require_compatible(folder)
    text = str(caught.value)
    assert "customer.avsc: website was int and is no longer one of null | string (0.10.0)" in text
    assert "contact.avsc: it was released in 0.1.0 and is gone" in text
