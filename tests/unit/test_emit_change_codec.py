"""What is no change, or can not be one, is an error with a reason."""

from __future__ import annotations

import pytest

from streams.emit.change_codec import change_decoder, change_encoder
from streams.errors import ConfigError, DecodeError, EncodeError
from streams.model.change import Change

IDS = {"changes.order_flow-value": 3}
ID = "0d6f1b7e-5c31-5b0a-9f0e-3d7f6a2f9b11"


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
    assert change_decoder()(change_encoder(IDS)(change)) == change


def test_a_change_that_can_not_be_written() -> None:
    encode = change_encoder(IDS)
    for wrong in (
        Change("vanish", "invoice", ID),  # type: ignore[arg-type]
        Change("change", "invoice", ID, op="x"),  # type: ignore[arg-type]
        Change("change", "invoice", ID, major=2**63),
        Change("change", "invoice", ID, key="\ud800"),
        Change("change", "invoice", ID, fields={"a": object()}),
    ):
        with pytest.raises(EncodeError, match="invoice"):
            encode(wrong)


@pytest.mark.parametrize("cut", [0, 1, 5, 6, 20, 60, 70, -1])
def test_what_was_cut_off_is_no_change(cut: int) -> None:
    value = change_encoder(IDS)(Change("change", "invoice", ID, "erp", "7", fields={"number": "R-1"}))
    with pytest.raises(DecodeError):
        change_decoder()(value[:cut])


def test_what_goes_on_behind_its_end_is_no_change() -> None:
    value = change_encoder(IDS)(Change("change", "invoice", ID))
    for wrong in (value + b"x", b"\x01" + value[1:], b'{"op": "c"}'):
        with pytest.raises(DecodeError):
            change_decoder()(wrong)


def test_without_a_schema_id_there_is_no_encoder() -> None:
    with pytest.raises(ConfigError, match="no id for changes"):
        change_encoder({})
