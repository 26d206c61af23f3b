"""Canonical records that do not fit are refused with record and field; those that fit become Avro."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from streams.emit.encode import encoder, generated_source
from streams.emit.wire import output_maker
from streams.errors import EncodeError
from streams.model import BY_TOPIC, SalesOrder
from streams.model.entities import ENTITIES, avro_schema

ID = "0d6f1b7e-5c31-5b0a-9f0e-3d7f6a2f9b11"


def order(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "version": 1, "sources": [{"system": "erp", "key": "7"}], **fields}


def read(entity: str, body: bytes) -> dict[str, Any]:
    found = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(avro_schema(entity)), None)
    assert isinstance(found, dict)
    return found


def test_a_record_is_read_back_by_a_consumer() -> None:
    body = encoder("sales_order")(
        order(
            gross_amount=119_0000,
            order_date=20_454,
            confirmed_at=1_767_225_600_000_001,
            attributes={"region": "北京"},
            lines=[{"id": ID, "quantity": -12_500000, "unit": "C62"}],
        )
    )
    record = SalesOrder.from_avro(read("sales_order", body))
    assert record.id == uuid.UUID(ID)
    assert record.gross_amount == Decimal("119.0000")
    assert record.order_date == date(2026, 1, 1)
    assert record.confirmed_at == datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert record.attributes == {"region": "北京"}
    assert record.lines[0].quantity == Decimal("-12.500000")
    assert record.status is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gross_amount": 10**18}, "gross_amount has more than 18 digits"),
        ({"gross_amount": -(10**18)}, "gross_amount has more than 18 digits"),
        ({"gross_amount": 1.5}, "gross_amount is to be an integer unscaled by 4 digits, and is float 1.5"),
        ({"gross_amount": True}, "gross_amount is to be an integer"),
        ({"number": 7}, "number is to be a text, and is int 7"),
        ({"number": "\ud800"}, "number has half a character"),
        ({"status": 7}, "status is to be a text"),
        ({"order_date": 2_932_897}, "order_date is a date outside the years 1 to 9999: 2932897"),
        ({"order_date": -719_163}, "order_date is a date outside the years 1 to 9999"),
        ({"confirmed_at": 253_402_300_800_000_000}, "confirmed_at is a timestamp outside the years 1 to 9999"),
        ({"confirmed_at": -62_135_596_800_000_001}, "confirmed_at is a timestamp outside the years 1 to 9999"),
        ({"confirmed_at": "now"}, "confirmed_at is to be an integer"),
        ({"customer_id": "7"}, "customer_id is no id of 36 characters"),
        ({"attributes": {"a": 1}}, "attributes['a'] is to be a text"),
        ({"attributes": ["a"]}, "attributes is to be a map"),
        ({"lines": [{"id": ID}, {"id": ID, "quantity": "2"}]}, "lines[1].quantity is to be an integer"),
        ({"lines": [{}]}, "lines[0].id is missing"),
        ({"lines": [7]}, "lines[0] is to be a SalesOrderLine"),
        ({"lines": None}, "lines is missing"),
        ({"version": None}, "version is missing"),
        ({"sources": "erp"}, "sources is to be a list"),
        ({"sources": [{"system": "erp", "key": None}]}, "sources[0].key is missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encoder("sales_order")(order(**fields))
    assert str(caught.value).startswith(f"sales_order {ID}: ")
    assert words in str(caught.value)


def test_other_kinds_are_checked_too() -> None:
    base = {"id": ID, "version": 1, "sources": [], "name": "Ada"}
    for fields in ({"tags": "vip"}, {"tags": [1]}, {"credit_blocked": 1}, {"credit_blocked": "yes"}, {"name": None}):
        with pytest.raises(EncodeError, match=f"customer {ID}: {next(iter(fields))}"):
            encoder("customer")({**base, **fields})
    with pytest.raises(EncodeError, match="name is missing"):
        encoder("customer")({"id": ID, "version": 1, "sources": []})
    with pytest.raises(EncodeError, match="tax_rate has more than 9 digits"):
        encoder("product")({"id": ID, "version": 1, "sources": [], "sku": "A", "tax_rate": 10**9})


def test_a_refused_value_is_refused_again_after_an_equal_one_was_written() -> None:
    write = encoder("product")
    base = {"id": ID, "version": 1, "sources": [], "sku": "A"}
    write({**base, "tax_rate": 1})
    for lookalike in (True, 1.0):
        with pytest.raises(EncodeError):
            write({**base, "tax_rate": lookalike})


def test_the_smallest_record_of_every_entity() -> None:
    required = {"name": "Ada", "sku": "A", "warehouse": "MAIN", "stage": "ordered"}
    for name, entity in ENTITIES.items():
        if entity.topic is not None:
            body = encoder(name)({"id": ID, "version": 0, "sources": [], **required})
            record = BY_TOPIC[entity.topic].from_avro(read(name, body))
            assert record == BY_TOPIC[entity.topic].from_avro(
                {"id": uuid.UUID(ID), "version": 0, "sources": [], **required}
            )


def test_the_generated_code_can_be_read() -> None:
    assert "# gross_amount" in generated_source("sales_order")


def test_the_wire_form_of_a_record_and_of_a_tombstone() -> None:
    ids = {f"{entity.topic}-value": 258 for entity in ENTITIES.values() if entity.topic}
    message = output_maker(ids)
    topic, key, value, headers = message("sales_order", ID, 7, order())
    assert (topic, key, headers) == ("canonical.sales_order", ID.encode(), None)
    assert value is not None
    assert value[:5] == b"\x00\x00\x00\x01\x02"
    assert value[5:] == encoder("sales_order")(order())
    assert message("sales_order", ID, 8, None) == ("canonical.sales_order", ID.encode(), None, [("version", b"8")])
