"""One limit for a text, in characters, and one for a record, in bytes: everything on the way takes what the guide says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.decode.envelope import Decoder
from streams.emit.change_codec import decode_change, encode_change
from streams.errors import DecodeError, EncodeError
from streams.mapping.row_errors import BadValue, FieldError
from streams.mapping.values.text import text_of
from streams.model import limits
from streams.model.change import Mapped, Position, RowChange
from streams.pipeline.ingest import Ingest
from streams.provision import topics
from streams.provision.topics import wanted_topics
from streams.stack import kafka
from streams.stack.kafka import MAX_MESSAGE_BYTES
from tests.factories import compiled, field, mapped, value

SCRIPTS = {"ascii": "x", "chinese": "中", "emoji": "😀", "quotes": '"', "bells": "\x07"}


def encoded(fields: dict[str, Any]) -> bytes:
    one = Mapped("customer", "1", "0" * 36, fields, False, None, None)
    row = RowChange("s", "t", "c", None, None, None, Position(0, 1, 1), 0, None, None)
    return Ingest({}, encode_change)._emit(row, one).value


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_text_of_a_million_characters_passes_whole_in_every_script(script: str) -> None:
    text = SCRIPTS[script] * limits.TEXT
    made = mapped(field("customer", "notes", "v"), {"id": "k", "v": text})[0].fields
    value = encoded(made)
    assert decode_change(value).fields == made and made["notes"] == text
    assert len(value) < limits.RECORD < 8_000_000 < limits.TOPIC


def test_one_character_more_is_rejected_wherever_the_text_comes_from() -> None:
    long = "中" * (limits.TEXT + 1)
    with pytest.raises(BadValue, match="more than 1,000,000 characters"):
        text_of(long)
    for rule in ("{expr: 'v + v'}", "{columns: [v, v], join: ''}", "{expr: 'v + v', steps: [nfkc]}"):
        assert len(value("customer", "notes", rule, "中" * (limits.TEXT // 2))) == limits.TEXT
        with pytest.raises(FieldError, match="more than 1,000,000 characters"):
            value("customer", "notes", rule, "中" * (limits.TEXT // 2 + 1))
    with pytest.raises(FieldError, match="more than 1,000,000 characters"):
        value(
            "customer", "notes", "{column: v, steps: [nfkc]}", "\ufdfa" * 100_000
        )  # one sign that stands for eighteen
    decoder = Decoder(compiled(field("customer", "notes", "v")), prefix="raw.test")
    event = '{"op":"c","before":null,"after":{"id":"k","v":"%s"},"source":{"lsn":1,"sequence":"[\\"1\\",\\"2\\"]","ts_us":1}}'
    assert decoder.decode("raw.test.public.t", b'{"id":"k"}', (event % long[1:]).encode()) is not None
    with pytest.raises(DecodeError, match="more than 1000000"):
        decoder.decode("raw.test.public.t", b'{"id":"k"}', (event % long).encode())


def test_a_record_of_too_many_long_texts_is_a_dead_letter_that_says_so() -> None:
    long = "中" * limits.TEXT
    with pytest.raises(EncodeError, match=r"takes 9,000,\d\d\d bytes, more than 7,500,000"):
        encoded({"notes": long, "name": long, "attributes": {"more": long}})


def test_every_topic_that_carries_records_takes_them() -> None:
    wanted = wanted_topics([])
    assert {name for name, config in wanted.items() if int(config["max.message.bytes"]) < limits.TOPIC} == set()
    assert MAX_MESSAGE_BYTES == limits.TOPIC
    assert kafka.ANY_TIME == topics.ANY_TIME
    producing = (Path(__file__).parents[2] / "streams/runtime/producing.py").read_text("utf-8")
    assert '"message.max.bytes": 8_000_000' in producing


def test_the_guide_says_the_same() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/bring-your-own-system.md").read_text("utf-8")
    assert f"a text of up to {limits.TEXT:,} characters" in guide
    assert f"{limits.RECORD:,} bytes" in guide
