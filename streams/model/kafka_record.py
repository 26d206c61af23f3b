"""A record of a Kafka topic, as the pipeline sees it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class KafkaRecord(Protocol):
    """What opshub uses of confluent_kafka.Message."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> list[tuple[str, bytes]] | None: ...
    def timestamp(self) -> tuple[int, int]:
        """(kind, milliseconds since 1970); the kind is 0 where the topic keeps no times."""
        ...


class RecordId(NamedTuple):
    """A Kafka record by its coordinates."""

    topic: str
    partition: int
    offset: int
