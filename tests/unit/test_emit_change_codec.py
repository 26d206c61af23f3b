"""A change comes back as it was; what is no change, or cannot be one, is an error with a reason."""

from __future__ import annotations

import msgspec
import pytest

from streams.emit.change_codec import VERSION, decode_change, encode_change
from streams.errors import DecodeError, EncodeError
from streams.model.change import Change

ID = "0d6f1b7e-5c31-5b0a-9f0e-3d7f6a2f9b11"


def packed(*values: object) -> bytes:
    return VERSION + msgspec.msgpack.encode(values)


def test_a_change_comes_back_as_it_was() -> None:
    change = Change(
        "change",
        "invoice",
        ID,
        "erp",
        "7|a",
        "d",
        1,
        2**40,
        99,
        1_767_225_600_000_001,
        "7:8",
        parent=ID,
        fields={"a": None},
    )
    assert decode_change(encode_change(change)) == change


def test_a_change_that_cannot_be_written_is_refused() -> None:
    for wrong in (
        Change("vanish", "invoice", ID),  # type: ignore[arg-type]
        Change("change", "invoice", ID, op="x"),  # type: ignore[arg-type]
        Change("change", "invoice", ID, major=2**63),
        Change("change", "invoice", ID, minor=-(2**63) - 1),
        Change("change", "invoice", ID, key="\ud800"),
        Change("change", "invoice", ID, fields={"a": object()}),
        Change("change", "invoice", ID, fields={"a": 2**64}),
    ):
        with pytest.raises(EncodeError, match="invoice"):
            encode_change(wrong)


@pytest.mark.parametrize("cut", [0, 1, 5, 6, 20, 60, 70, -1])
def test_a_value_that_was_cut_off_is_refused(cut: int) -> None:
    value = encode_change(Change("change", "invoice", ID, "erp", "7", fields={"number": "R-1"}))
    with pytest.raises(DecodeError):
        decode_change(value[:cut])


def test_bytes_behind_the_end_are_refused() -> None:
    value = encode_change(Change("change", "invoice", ID))
    for wrong in (value + b"x", b"\x00" + value[1:], b'{"op": "c"}'):
        with pytest.raises(DecodeError):
            decode_change(wrong)


def test_values_of_another_type_are_refused() -> None:
    for wrong in (
        packed("vanish", "invoice", ID),
        packed("change", "invoice", 7),
        packed("change", "invoice"),
        packed("change", "invoice", ID, "erp", "7", "x"),
        packed("change", "invoice", ID, "erp", "7", "c", 1, 2**63),
        packed("change", "invoice", ID, "erp", "7", "c", 1, 1, 1, 1, None, None, None, None, None, False, 0, "fields"),
    ):
        with pytest.raises(DecodeError, match="not a change in MessagePack"):
            decode_change(wrong)


def test_a_change_of_an_older_version_has_defaults_for_newer_fields() -> None:
    assert decode_change(packed("link", "customer", ID)) == Change("link", "customer", ID)


def test_fields_that_a_newer_version_appended_are_passed_over() -> None:
    change = Change("change", "invoice", ID, "erp", "7", fields={"number": "R-1"})
    assert decode_change(packed(*msgspec.structs.astuple(change), "new")) == change


def test_an_unknown_version_is_named() -> None:
    value = encode_change(Change("change", "invoice", ID))
    with pytest.raises(DecodeError, match="a change of version 2, and this opshub reads 1") as caught:
        decode_change(b"\x02" + value[1:])
    assert "update this worker" in caught.value.remedy


def test_an_empty_value_is_refused() -> None:
    with pytest.raises(DecodeError, match="empty"):
        decode_change(b"")
