"""Send a person's messages to the aggregates' writers, and wait until the hub shows what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from streams.errors import EnvironmentFault
from streams.identity.people import Message
from streams.settings import Settings


def send(settings: Settings, messages: list[Message]) -> None:
    """Produce these and wait for every ack. Raises EnvironmentFault when Kafka does not answer."""
    from streams.emit.change_codec import encode_change
    from streams.kafka.clients import idempotent_producer

    failed: list[str] = []
    producer = idempotent_producer(settings.kafka)
    for message in messages:
        producer.produce(
            message.topic,
            encode_change(message.change),
            message.key.encode(),
            on_delivery=lambda error, _: failed.append(str(error)) if error else None,
        )
    if producer.flush(30) or failed:
        told = failed[0] if failed else "no answer in 30 s"
        raise EnvironmentFault(f"Kafka did not take it: {told}", remedy="`opshub status` shows the servers")


def wait(what: Callable[[], bool], seconds: float) -> bool:
    """Whether `what` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return what()
