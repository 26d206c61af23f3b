"""The schema files keep what is agreed on fields, and what the rooms that read them rely on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

import streams.model
from streams.emit.schema_registry import subjects
from streams.model import document, generate
from streams.model import records as records_module
from streams.model.change import Change
from streams.model.entities import ENTITIES, HEADER, NAMESPACE, avro_schema, branch, schema_names

ROOT = Path(__file__).parents[2]
SHORT = {
    "money": ("decimal", 18, 4),
    "qty": ("decimal", 18, 6),
    "rate": ("decimal", 9, 4),
    "fx": ("decimal", 18, 8),
    "ts": ("timestamp", None, None),
}
PERSONAL = re.compile(
    r"e?mail|phone|first_name|last_name|notes|attributes|owner|tax_id|credit_limit"
    r"|(billing|shipping)_(name|street|city|region|postal_code)"
)


def records(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A record and those nested in it."""
    yield schema
    for field in schema["fields"]:
        avro, _ = branch(field["type"])
        if isinstance(avro, dict) and avro["type"] == "array" and isinstance(avro["items"], dict):
            yield from records(avro["items"])


def every_field() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name in schema_names():
        for record in records(avro_schema(name)):
            for field in record["fields"]:
                yield name, record, field


@pytest.mark.parametrize("name", schema_names())
def test_an_avro_library_reads_it(name: str) -> None:
    fastavro.parse_schema(avro_schema(name))


def test_everything_is_documented() -> None:
    for name, record, field in every_field():
        assert len(record["doc"]) > 20, f"{name}: {record['name']}"
        assert len(field["doc"]) > 8, f"{name}: {record['name']}.{field['name']}"
        assert field["doc"].endswith("."), f"{name}: {record['name']}.{field['name']}"


def test_optional_fields_can_be_added_and_dropped() -> None:
    for name, record, field in every_field():
        if isinstance(field["type"], list):
            assert field["type"][0] == "null", f"{name}: {field['name']}"
            assert field["default"] is None, f"{name}: {record['name']}.{field['name']}"


def test_personal_fields_have_a_class() -> None:
    for name, record, field in every_field():
        assert field.get("pii") in (None, "contact", "financial"), f"{name}: {field['name']}"
        if record.get("namespace") == NAMESPACE and PERSONAL.fullmatch(field["name"]):
            assert "pii" in field, f"{name}: {record['name']}.{field['name']}"


def test_fields_are_those_agreed() -> None:
    page = (ROOT / "tests" / "unit" / "samples" / "canonical_fields.md").read_text(encoding="utf-8")
    agreed = dict(re.findall(r"^- \*\*(\w+)\*\* (?:\(joined, not mapped\) )?(.*)$", page, re.MULTILINE))
    assert set(agreed) == set(ENTITIES)
    for name, text in agreed.items():
        fields = ENTITIES[name].fields
        text, _, lines = text.partition("; lines: ")
        assert (lines or None) == ENTITIES[name].lines
        words = [
            part.split() for part in re.sub(r"\([^)]*\)|, (?:timeline|supplied_by|story)!.*", "", text).split(", ")
        ]
        assert [word[0].rstrip("!") for word in words] == list(fields), name
        for word, (field, kind) in zip(words, fields.items(), strict=True):
            where = f"{name}.{field}"
            assert kind.nullable != word[0].endswith("!"), where
            if len(word) == 1:
                assert kind.kind in ("text", "tags", "ref"), where
            else:
                assert (kind.kind, kind.precision, kind.scale) == SHORT.get(word[1], (word[1], None, None)), where
                assert kind.ref == (word[2] if word[1] == "ref" else None), where


def test_parents_and_references_exist() -> None:
    for name, entity in ENTITIES.items():
        if entity.parent is not None:
            assert ENTITIES[entity.parent].aggregate == entity.aggregate, name
            if entity.topic is None:
                assert ENTITIES[entity.parent].lines == name
            else:
                assert entity.fields[entity.parent_field or ""].ref == entity.parent
        for field, kind in entity.fields.items():
            assert kind.ref is None or kind.ref in ENTITIES, f"{name}.{field}"


def test_every_canonical_record_begins_with_the_same_fields() -> None:
    for name, entity in ENTITIES.items():
        if entity.topic is not None:
            assert tuple(field["name"] for field in avro_schema(name)["fields"][:4]) == HEADER


def test_the_former_schema_of_changes_has_the_first_fields_of_the_struct_in_their_order() -> None:
    names = tuple(field["name"] for field in avro_schema("change")["fields"])
    assert names == Change.__struct_fields__[: len(names)]
    assert names[-1] == "fields"


def test_each_subject_has_its_file() -> None:
    found = subjects()
    assert found["canonical.sales_order-value"].name == "sales_order.avsc"
    assert not [subject for subject in found if subject.startswith("changes.")]
    assert all(path.is_file() for path in found.values())


def test_the_typed_records_are_current() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.render(), "run python -m streams.model.generate"


def test_every_typed_record_is_offered_by_the_package() -> None:
    assert {*records_module.__all__, "Record"} == set(streams.model.__all__)


def test_the_page_of_the_model_is_current() -> None:
    assert document.TARGET.read_text(encoding="utf-8") == document.render(), "run python -m streams.model.document"
