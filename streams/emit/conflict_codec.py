"""Conflict → a record on the topic `conflicts`, in Avro (schemas/conflict.avsc) with the Confluent header."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import msgspec
from fastavro import parse_schema, schemaless_writer

from streams.errors import EncodeError
from streams.model.entities import avro_schema
from streams.model.state import Conflict


def conflict_maker(schema_ids: Mapping[str, int]) -> Callable[[Conflict, int], tuple[str, bytes, bytes]]:
    """A function (conflict, when the hub saw it in microseconds) → (topic, key, value).

    It raises EncodeError for what the schema cannot hold.
    """
    schema = parse_schema(avro_schema("conflict"))
    header = b"\x00" + schema_ids["conflicts-value"].to_bytes(4, "big")

    def make(conflict: Conflict, at_us: int) -> tuple[str, bytes, bytes]:
        record: dict[str, object] = {
            "id": conflict.id,
            "aggregate_id": conflict.aggregate_id,
            "entity": conflict.entity,
            "entity_id": conflict.entity_id,
            "field": conflict.field,
            "kind": conflict.kind,
            "values": [_value(conflict, system) for system in conflict.values],
            "winner": conflict.winner,
            "rule": conflict.rule,
            "outcome": conflict.outcome,
            "at": at_us,
        }
        out = io.BytesIO()
        try:
            schemaless_writer(out, schema, record)
        except Exception as error:
            raise EncodeError(f"the conflict {conflict.id} cannot be written: {error!r}") from error
        return "conflicts", conflict.aggregate_id.encode(), header + out.getvalue()

    return make


def _value(conflict: Conflict, system: str) -> dict[str, object]:
    position, us, tx = conflict.asserted.get(system, (None, None, None))
    value = conflict.values[system]
    text = None if value is None else msgspec.json.encode(value).decode()
    return {"system": system, "value": text, "position": position, "tx": tx, "source_us": us}
