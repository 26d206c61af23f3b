"""Sends what people decided to the aggregates' own writers, and opens the hub for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psycopg

from streams.emit.change_codec import encode_change
from streams.errors import EnvironmentFault, ServerAway
from streams.identity.decisions import Message
from streams.kafka.clients import idempotent_producer
from streams.settings import Settings

ACK_SECONDS = 30


def connect(settings: Settings) -> psycopg.Connection:
    """A connection to the hub, autocommit: a decision is written, sent, and then seen in what workers write.

    Raises EnvironmentFault when the hub does not answer.
    """
    try:
        return psycopg.connect(settings.hub, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise ServerAway(
            f"the hub does not answer: {str(error).strip()}", remedy="check that the server runs, and OPSHUB_HUB_DSN"
        ) from error


def send(settings: Settings, messages: Iterable[Message]) -> None:
    """Produce these and wait for every ack. Raises EnvironmentFault when Kafka does not answer."""
    errors: list[str] = []
    producer = idempotent_producer(settings.kafka)
    for message in messages:
        producer.produce(
            message.topic,
            encode_change(message.change),
            message.key.encode(),
            on_delivery=lambda error, _: errors.append(str(error)) if error else None,
        )
    if producer.flush(ACK_SECONDS) or errors:
        reason = errors[0] if errors else f"no answer in {ACK_SECONDS} s"
        raise EnvironmentFault(f"Kafka did not take the message: {reason}", remedy="`opshub status` shows the servers")


def wait(is_done: Callable[[], bool], seconds: float) -> bool:
    """Whether `is_done` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_done():
            return True
        time.sleep(0.1)
    return is_done()
