"""Logs as JSON: a record's coordinates are fields, its values are nowhere."""

from __future__ import annotations

import json
import logging

import pytest

from streams.errors import MappingError
from streams.model.dead_letter import DeadLetter, describe_error
from streams.runtime.logs import JsonLines, log_dead_letters

logger = logging.getLogger("test.logs")


def dead_letter(offset: int, reason: str, topic: str = "raw.crm.public.account") -> DeadLetter:
    error = describe_error(MappingError(reason))
    return DeadLetter(topic, 0, offset, b"{}", b"{}", error.stage, error.error_class, error.reason)


def test_dead_letters_are_one_line_for_each_cause_without_values(caplog: pytest.LogCaptureFixture) -> None:
    found = [dead_letter(7, "anna@example.com is no country"), dead_letter(9, "bert@example.com is no country")]
    with caplog.at_level(logging.WARNING):
        log_dead_letters(logger, [*found, dead_letter(3, "no currency", "raw.erp.public.inv_head")])
    lines = [json.loads(JsonLines("w1").format(record)) for record in caplog.records]
    assert [(line["topic"], line["offset"], line["records"], line["error_class"]) for line in lines] == [
        ("raw.crm.public.account", 7, 2, "MappingError"),
        ("raw.erp.public.inv_head", 3, 1, "MappingError"),
    ]
    assert {line["worker"] for line in lines} == {"w1"}
    assert "example.com" not in json.dumps(lines)


def test_parked_records_are_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    parked = DeadLetter("raw.crm.public.account", 0, 8, b"{}", b"{}", "mapping", "MappingError", "waits", "parked")
    log_dead_letters(logger, [parked])
    assert caplog.records == []


def test_an_error_is_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it %s", ("failed",), (type(error), error, None))
    line = json.loads(JsonLines("console").format(record))
    assert (line["level"], line["message"], line["worker"]) == ("error", "it failed", "console")
    assert "ValueError: broken" in line["error"]
