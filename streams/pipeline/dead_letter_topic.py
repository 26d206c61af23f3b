"""Dead letters for the topic `deadletters`, which any Kafka consumer can watch."""

from __future__ import annotations

from streams.model import limits
from streams.model.dead_letter import DeadLetter
from streams.runtime.batch import Output


def dead_letter_output(dead_letter: DeadLetter) -> Output:
    """The record for the topic, with the header names of Kafka Connect's own dead letter queue.

    A value that is too long for a record is left out, and a header says so: the hub has it.
    """
    headers = {
        "__connect.errors.topic": dead_letter.topic,
        "__connect.errors.partition": str(dead_letter.partition),
        "__connect.errors.offset": str(dead_letter.offset),
        "__connect.errors.stage": dead_letter.stage,
        "__connect.errors.exception.class.name": dead_letter.error_class,
        "__connect.errors.exception.message": dead_letter.reason,
    }
    value = dead_letter.value
    if value is not None and len(value) > limits.RECORD:
        headers["opshub.value"] = f"{len(value)} bytes, in the hub only"
        value = None
    return Output("deadletters", dead_letter.key, value, [(name, text.encode()) for name, text in headers.items()])
