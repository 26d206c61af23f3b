"""What verbs of decisions share: send messages to the aggregates' writers, and wait until the hub shows the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import psycopg
import typer

from streams.errors import EnvironmentFault
from streams.identity.decisions import Message
from streams.settings import Settings

DONE_WITHIN = 30.0
"""Seconds that a command waits for a worker."""


def connect(settings: Settings) -> psycopg.Connection:
    """A connection to the hub, autocommit: a verb writes, sends, and then sees what workers write.

    Raises EnvironmentFault when the hub does not answer.
    """
    try:
        return psycopg.connect(settings.hub, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise EnvironmentFault(
            f"the hub does not answer: {str(error).strip()}", remedy="`opshub up` starts the native stack"
        ) from error


def send(settings: Settings, messages: list[Message]) -> None:
    """Produce these and wait for every ack. Raises EnvironmentFault when Kafka does not answer."""
    from streams.emit.change_codec import encode_change
    from streams.kafka.clients import idempotent_producer

    errors: list[str] = []
    producer = idempotent_producer(settings.kafka)
    for message in messages:
        producer.produce(
            message.topic,
            encode_change(message.change),
            message.key.encode(),
            on_delivery=lambda error, _: errors.append(str(error)) if error else None,
        )
    if producer.flush(30) or errors:
        reason = errors[0] if errors else "no answer in 30 s"
        raise EnvironmentFault(f"Kafka did not take the message: {reason}", remedy="`opshub status` shows the servers")


def wait(is_done: Callable[[], bool], seconds: float) -> bool:
    """Whether `is_done` became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_done():
            return True
        time.sleep(0.1)
    return is_done()


def finish(is_done: Callable[[], bool], text: str, result: Mapping[str, object], as_json: bool) -> None:
    """Wait for a worker to do what was sent, then print `text`, or `result` as JSON. Exit code 1 when none did it."""
    done = wait(is_done, DONE_WITHIN)
    if as_json:
        typer.echo(json.dumps({**result, "done": done}))
    elif done:
        typer.echo(text)
    else:
        typer.echo(
            f"it was sent, but no worker has done it after {DONE_WITHIN:.0f} s; `opshub status` shows the workers",
            err=True,
        )
    if not done:
        raise typer.Exit(1)
