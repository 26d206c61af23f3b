"""Two requests of Kafka's protocol that aiokafka lacks: DescribeProducers (key 61) and WriteTxnMarkers (key 27).

Fields as in https://kafka.apache.org/protocol, in the versions that brokers since 3.0 know.
"""

from __future__ import annotations

from typing import NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

PARTITIONS = CompactArray(("name", CompactString()), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))
"""Partitions by topic, in a request."""


class OpenTransaction(NamedTuple):
    """A producer's open transaction in a partition, as the partition's leader knows it (KIP-664)."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    start: int
    """Offset of its first record."""


class DescribeProducersResponse_v0(Response):
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", CompactString()),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", CompactString()),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("start", Int64),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeProducersRequest_v0(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = DescribeProducersResponse_v0
    SCHEMA = Schema(("topics", PARTITIONS), ("tags", TaggedFields))


class DescribeProducers(Request[DescribeProducersRequest_v0]):
    """Which producers wrote to a partition, and where their open transactions begin (-1: none)."""

    API_KEY = 61

    def __init__(self, topic: str, partition: int) -> None:
        self._topics: list[object] = [(topic, [partition], {})]

    def build(self, request_struct_class: type[DescribeProducersRequest_v0]) -> DescribeProducersRequest_v0:
        return request_struct_class(self._topics, {})


class WriteTxnMarkersResponse_v1(Response):
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        ("markers", CompactArray(
            ("producer_id", Int64),
            ("topics", CompactArray(
                ("name", CompactString()),
                ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            )),
            ("tags", TaggedFields),
        )),
        ("tags", TaggedFields),
    )  # fmt: skip


class WriteTxnMarkersRequest_v1(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 27
    API_VERSION = 1
    RESPONSE_TYPE = WriteTxnMarkersResponse_v1
    SCHEMA = Schema(
        ("markers", CompactArray(
            ("producer_id", Int64), ("producer_epoch", Int16), ("committed", Boolean),
            ("topics", PARTITIONS),
            ("coordinator_epoch", Int32), ("tags", TaggedFields),
        )),
        ("tags", TaggedFields),
    )  # fmt: skip


class WriteTxnMarkers(Request[WriteTxnMarkersRequest_v1]):
    """Write to one partition that a producer's transaction is committed. Needs the right Alter on the cluster."""

    API_KEY = 27

    def __init__(self, transaction: OpenTransaction, topic: str, partition: int) -> None:
        topics: list[object] = [(topic, [partition], {})]
        self._markers: list[object] = [
            (transaction.producer_id, transaction.producer_epoch, True, topics, transaction.coordinator_epoch, {})
        ]

    def build(self, request_struct_class: type[WriteTxnMarkersRequest_v1]) -> WriteTxnMarkersRequest_v1:
        return request_struct_class(self._markers, {})
