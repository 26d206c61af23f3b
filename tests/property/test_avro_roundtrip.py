"""Our writers give the very bytes that fastavro gives, and fastavro reads back the very values, for any record."""

from __future__ import annotations

import io
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.emit.encode import encoder
from streams.emit.varint import long_bytes, varint
from streams.errors import EncodeError
from streams.model import BY_TOPIC
from streams.model.entities import ENTITIES, avro_schema, branch

TOPICS = sorted(name for name, entity in ENTITIES.items() if entity.topic)
PARSED = {name: fastavro.parse_schema(avro_schema(name)) for name in TOPICS}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["EUR", "confirmed", "x" * 2000, "", "\x00"]
)
ids = st.uuids().map(str)
times = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
days = st.integers(-719_162, 2_932_896)


def values(avro: Any) -> st.SearchStrategy[Any]:
    """Values of an Avro type, in the internal form."""
    inner, nullable = branch(avro)
    found = _values(inner)
    return st.none() | found if nullable else found


def _values(avro: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro, str):
        return {
            "string": texts,
            "boolean": st.booleans(),
            "int": st.integers(-(2**31), 2**31 - 1),
            "long": st.integers(-(2**63), 2**63 - 1),
        }[avro]
    logical = avro.get("logicalType")
    if logical == "decimal":
        most = 10 ** avro["precision"] - 1
        return st.integers(-most, most) | st.sampled_from([0, 1, -1, 127, 128, -128, -129, -32768, most, -most])
    if logical is not None:
        return {"uuid": ids, "date": days, "timestamp-micros": times}[logical]
    if avro["type"] == "array":
        return st.lists(values(avro["items"]), max_size=3)
    if avro["type"] == "map":
        return st.dictionaries(texts, values(avro["values"]), max_size=3)
    return records(avro)


def records(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Records of a schema; a nullable field may be absent as well."""
    required = {f["name"]: values(f["type"]) for f in schema["fields"] if "default" not in f}
    optional = {f["name"]: values(f["type"]) for f in schema["fields"] if "default" in f}
    return st.fixed_dictionaries(required, optional=optional)


def typed(avro: Any, value: Any) -> Any:
    """A value of the internal form as an Avro library takes and gives it."""
    avro, _ = branch(avro)
    if value is None or isinstance(avro, str):
        return value
    logical = avro.get("logicalType")
    if logical == "decimal":
        return Decimal(value).scaleb(-avro["scale"])
    if logical == "uuid":
        return UUID(value)
    if logical == "date":
        return date(1970, 1, 1) + timedelta(days=value)
    if logical == "timestamp-micros":
        return EPOCH + timedelta(microseconds=value)
    if avro["type"] == "array":
        return [typed(avro["items"], item) for item in value]
    if avro["type"] == "map":
        return value
    given_fields = (f for f in avro["fields"] if f["name"] in value)
    return {f["name"]: typed(f["type"], value[f["name"]]) for f in given_fields}


def whole(avro: Any, value: Any) -> Any:
    """With every absent field at its default, as a reader sees it."""
    avro, _ = branch(avro)
    if value is None or isinstance(avro, str) or avro["type"] not in ("record", "array"):
        return value
    if avro["type"] == "array":
        return [whole(avro["items"], item) for item in value]
    return {f["name"]: whole(f["type"], value.get(f["name"], f.get("default"))) for f in avro["fields"]}


@pytest.mark.parametrize("name", TOPICS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_records(name: str, data: st.DataObject) -> None:
    schema = avro_schema(name)
    record = data.draw(records(schema))
    body = encoder(name)(record)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, PARSED[name], typed(schema, record))
    assert body == buffer.getvalue()
    back = fastavro.schemaless_reader(io.BytesIO(body), PARSED[name], None)
    assert back == whole(schema, typed(schema, record))
    kind = BY_TOPIC[f"canonical.{name}"]
    assert msgspec.json.decode(kind.from_avro(back).to_json()) == msgspec.json.decode(msgspec.json.encode(back))


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=3)
    | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_value_of_any_type_is_written_as_it_is_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(TOPICS))
    schema = avro_schema(name)
    record = data.draw(records(schema))
    field = data.draw(st.sampled_from([f["name"] for f in schema["fields"]]))
    record[field] = data.draw(anything)
    try:
        body = encoder(name)(record)
    except EncodeError as error:
        assert field in str(error)
        return
    back = fastavro.schemaless_reader(io.BytesIO(body), PARSED[name], None)
    assert back == whole(schema, typed(schema, record))


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 63).map(lambda bits: math.ceil(2**bits) - 1))
def test_integers(value: int) -> None:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, "long", value)
    assert varint(value) == long_bytes(value) == buffer.getvalue()
