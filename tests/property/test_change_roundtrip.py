"""Any change comes back as it was, in the form of today and in the former Avro form; bytes that are none are DecodeErrors."""

from __future__ import annotations

import io

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.emit.change_codec import VERSION, decode_change, encode_change
from streams.errors import DecodeError
from streams.model.change import Change
from streams.model.entities import ENTITIES, avro_schema

AVRO = fastavro.parse_schema(avro_schema("change"))

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["EUR", "confirmed", "x" * 2000, "", "\x00"]
)
ids = st.uuids().map(str)
longs = st.integers(-(2**63), 2**63 - 1)
times = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


def optional(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


changes = st.builds(
    Change,
    kind=st.sampled_from(["change", "link", "give", "refresh"]),
    entity=st.sampled_from(sorted(ENTITIES)) | texts,
    id=ids | texts,
    system=st.sampled_from(["demo-crm", "demo-erp"]) | texts,
    key=texts,
    op=st.sampled_from(["c", "u", "d", "r", "t", "part", "part_read"]),
    epoch=st.integers(0, 5) | longs,
    major=st.integers(0, 2**50) | longs,
    minor=st.integers(0, 2**50) | longs,
    source_us=times | longs,
    tx=optional(texts),
    origin=optional(texts),
    parent=optional(ids | texts),
    same_as=optional(ids | texts),
    target=optional(ids | texts),
    deleted=st.booleans(),
    hops=st.integers(0, 20) | st.integers(0, 2**31 - 1),
    fields=st.dictionaries(
        texts,
        st.none() | texts | st.booleans() | longs | st.lists(texts, max_size=2) | st.dictionaries(texts, texts),
        max_size=4,
    ),
)


@settings(max_examples=500, deadline=None)
@given(changes)
def test_a_change_comes_back_as_it_was(change: Change) -> None:
    assert decode_change(encode_change(change)) == change


@settings(max_examples=300, deadline=None)
@given(changes)
def test_a_change_in_the_former_avro_form_comes_back_as_it_was(change: Change) -> None:
    record = msgspec.structs.asdict(change) | {"fields": msgspec.json.encode(change.fields)}
    buffer = io.BytesIO(b"\x00\x00\x00\x01\x02")
    buffer.seek(5)
    fastavro.schemaless_writer(buffer, AVRO, record)
    assert decode_change(buffer.getvalue()) == change
    for cut in (buffer.getvalue()[:-1], buffer.getvalue() + b"x"):
        with pytest.raises(DecodeError):
            decode_change(cut)


@settings(max_examples=300, deadline=None)
@given(changes, st.data())
def test_a_change_that_was_cut_off_is_refused(change: Change, data: st.DataObject) -> None:
    value = encode_change(change)
    with pytest.raises(DecodeError):
        decode_change(value[: data.draw(st.integers(0, len(value) - 1))])
    with pytest.raises(DecodeError):
        decode_change(value + b"x")


@settings(max_examples=600, deadline=None)
@given(st.binary(max_size=120), changes, st.integers(0, 200))
def test_bytes_that_are_no_change_raise_nothing_but_decode_errors(noise: bytes, change: Change, at: int) -> None:
    value = encode_change(change)
    for wrong in (noise, VERSION + noise, b"\x00" + noise, value[:at] + noise + value[at + len(noise) :]):
        try:
            decode_change(wrong)
        except DecodeError:
            continue
