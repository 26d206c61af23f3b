"""The root of all typed canonical records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A canonical record as consumers see it: Decimal, date, datetime in UTC, UUID. Two records are equal when
    all fields are.
    """

    @classmethod
    def from_avro(cls, value: Mapping[str, Any]) -> Self:
        """From what an Avro library read with logical types (fastavro, confluent-kafka's AvroDeserializer).

        Fields that this version does not know are passed over; a field that is missing takes its default.
        Raises msgspec.ValidationError, which names the field, for a value of another type.
        """
        return msgspec.convert(value, cls)

    def to_json(self) -> bytes:
        """One JSON object: decimals and ids as strings, times in ISO 8601."""
        return msgspec.json.encode(self)
