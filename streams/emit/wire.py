"""Canonical record → topic, key, value and headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.emit.encode import encoder
from streams.model.entities import ENTITIES

Wire = tuple[str, bytes, bytes | None, list[tuple[str, bytes]] | None]


def output_maker(schema_ids: Mapping[str, int]) -> Callable[[str, str, int, dict[str, object] | None], Wire]:
    """A function (entity, id, version, record or None) → (topic, key, value, headers).

    `schema_ids` are those of `register_all`. A value is Avro behind the Confluent header. None makes a tombstone, with
    the version in the header `version`. A record has the version in itself and no headers: records without headers
    can be produced in batches. The function raises EncodeError for a record that does not fit its schema.
    """
    by_entity = {
        name: (entity.topic, b"\x00" + schema_ids[f"{entity.topic}-value"].to_bytes(4, "big"), encoder(name))
        for name, entity in ENTITIES.items()
        if entity.topic is not None
    }

    def output(entity: str, entity_id: str, version: int, record: dict[str, object] | None) -> Wire:
        topic, head, encode = by_entity[entity]
        if record is None:
            return topic, entity_id.encode(), None, [("version", b"%d" % version)]
        return topic, entity_id.encode(), head + encode(record), None

    return output
