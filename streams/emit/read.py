"""Value of a Kafka record → typed canonical record; the other way of `wire`.

Canonical topics hold Avro in the Confluent wire format. Each value names the schema with which it was written. The
reader asks the registry for that schema once and resolves it against the schema of this version. So it reads the
records of older and of newer writers. The internal topics `changes.*` hold MessagePack, and need no registry.
"""

from __future__ import annotations

import io
import json

import fastavro
import httpx
import msgspec
from fastavro.types import Schema

from streams.emit.change_codec import decode_change
from streams.emit.schema_registry import fetch_schema
from streams.errors import DecodeError
from streams.model.entities import ENTITIES, avro_schema
from streams.model.record import Record
from streams.model.records import BY_TOPIC

_HEADER = 5


class TopicReader:
    """Decodes the values of one topic. `url` is the registry's, such as http://127.0.0.1:18081/apis/ccompat/v7."""

    def __init__(self, url: str, topic: str) -> None:
        self._url = url
        self._holds_changes = topic.startswith("changes.")
        # What Debezium and opshub write as JSON: rows, heartbeats, records that could not be processed.
        self._holds_json = topic.startswith(("raw.", "opshub.heartbeat")) or topic == "deadletters"
        self._written: dict[int, Schema] = {}
        self._record = BY_TOPIC.get(topic)
        name = next((entity.name for entity in ENTITIES.values() if entity.topic == topic), None)
        self._read = fastavro.parse_schema(avro_schema(name)) if name is not None else None

    def decode(self, value: bytes) -> Record | dict[str, object]:
        """The typed record of a canonical topic; a dict for a change, for JSON, and for other topics that hold Avro.

        Raises DecodeError for bytes of another form, EnvironmentFault while the registry does not answer.
        """
        if self._holds_changes:
            return msgspec.structs.asdict(decode_change(value))
        if self._holds_json:
            return _json(value)
        if len(value) < _HEADER or value[0]:
            raise DecodeError("the value is no Avro behind a Confluent header: it does not begin with the byte 0")
        schema_id = int.from_bytes(value[1:_HEADER], "big")
        written = self._written.get(schema_id)
        if written is None:
            written = self._written[schema_id] = self._fetch(schema_id)
        body = io.BytesIO(value)
        body.seek(_HEADER)
        try:
            record = fastavro.schemaless_reader(body, written, self._read)
            if not isinstance(record, dict):
                raise DecodeError(f"the schema {schema_id} is no record")
            return _texts(record) if self._record is None else self._record.from_avro(record)
        except (ValueError, EOFError, IndexError, LookupError, TypeError, msgspec.ValidationError) as error:
            raise DecodeError(f"the value does not hold what its schema {schema_id} says: {error}") from error

    def decode_body(self, body: bytes) -> Record:
        """The typed record of Avro that this version wrote, without a header."""
        assert self._record is not None and self._read is not None, "a canonical topic"
        return self._record.from_avro(fastavro.schemaless_reader(io.BytesIO(body), self._read, None))  # type: ignore[arg-type]

    def _fetch(self, schema_id: int) -> Schema:
        with httpx.Client(base_url=self._url, timeout=20) as client:
            return fastavro.parse_schema(json.loads(fetch_schema(client, schema_id)))


def _json(value: bytes) -> dict[str, object]:
    """The object; a raw record of Debezium is its envelope. What is no JSON is shown as text: a dead letter may hold
    anything.
    """
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"value": value[:4_000].decode("utf-8", "backslashreplace")}
    return decoded if isinstance(decoded, dict) else {"value": decoded}


def _texts(record: dict[str, object]) -> dict[str, object]:
    """The record with its bytes as text: opshub's own records hold JSON in them."""
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in record.items()}
