"""Produce changes from a background job, and wait until Kafka has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, Producer

from streams.errors import RetryLater
from streams.model.change import Change

FLUSH_SECONDS = 10

Encode = Callable[[Change], bytes]
Message = tuple[str, str, Change]
"""(topic, key, change)"""


async def emit_changes(producer: Producer, encode: Encode, messages: Iterable[Message], what: str) -> None:
    """Raises RetryLater when Kafka did not acknowledge all of them in time. Some may be there: the caller sends all of
    them again.

    The producer must choose partitions as the lanes do.
    """
    refused: list[str] = []

    def on_delivery(error: KafkaError | None, _: object) -> None:
        if error is not None:
            refused.append(str(error))

    sent = 0
    for topic, key, change in messages:
        producer.produce(topic, key=key.encode(), value=encode(change), on_delivery=on_delivery)
        sent += 1
    # In a thread: `flush` blocks, and the lanes work on this loop.
    left = await asyncio.get_running_loop().run_in_executor(None, producer.flush, FLUSH_SECONDS) if sent else 0
    if left or refused:
        raise RetryLater(
            f"Kafka does not accept {what}: {refused[0] if refused else f'no answer in {FLUSH_SECONDS} s'}"
        )
