"""Reads changes in the form that opshub wrote until 2026-11-30: Avro (schemas/change.avsc) behind a Confluent header.

A topic `changes.*` may hold such records when a worker is updated. Nothing writes this form any more. Speed does not
matter here: a topic keeps its records for a week. Delete this module and schemas/change.avsc once no
installation updates from a version before that date.
"""

from __future__ import annotations

import functools
import io

import fastavro
import msgspec
from fastavro.types import Schema

from streams.errors import DecodeError
from streams.model.change import Change
from streams.model.entities import avro_schema

MAGIC = b"\x00"
"""First byte of every value behind a Confluent header; four bytes with the id of the schema follow it."""

_HEADER = 5


def decode_avro_change(value: bytes) -> Change:
    """The Change of a value that begins with `MAGIC`. Raises DecodeError for bytes that are no such record."""
    body = io.BytesIO(value)
    body.seek(_HEADER)
    try:
        record = fastavro.schemaless_reader(body, _schema(), None)
        if not isinstance(record, dict) or body.tell() != len(value):
            raise ValueError(f"{len(value)} bytes, where the fields end at {body.tell()}")
        # Change is an array to msgspec; its first fields are those of the schema, in the same order, up to `fields`.
        values = list(record.values())
        values[-1] = msgspec.json.decode(values[-1])
        return msgspec.convert(values, Change)
    except Exception as error:  # fastavro raises whatever the bytes lead it into
        raise DecodeError(f"not a change as schemas/change.avsc says: {error}") from error


@functools.cache
def _schema() -> Schema:
    return fastavro.parse_schema(avro_schema("change"))
