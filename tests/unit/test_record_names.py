"""Records are named as people know them, and amounts say their currency and their tax."""

from __future__ import annotations

import pytest

from streams.cli.flow_list import time_since
from streams.hub.record_names import RecordName, is_id, money


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            RecordName("i", "sales_order", "SO-1042", customer="Acme GmbH", amount=1190_0000, currency="EUR"),
            "sales order SO-1042 of Acme GmbH, 1,190.00 EUR gross",
        ),
        (
            RecordName("i", "sales_order", "SO-1", net_amount=100_0000, currency="EUR"),
            "sales order SO-1, 100.00 EUR net",
        ),
        (RecordName("i", "customer", name="Acme GmbH"), "customer Acme GmbH"),
        (RecordName("i", "payment", "P-7", amount=5_0000), "payment P-7, 5.00"),
        (
            RecordName("i", "sales_order_line", line_no="3", document="sales_order", document_number="SO-1"),
            "line 3 of sales order SO-1",
        ),
        (RecordName("i", "customer", source="demo-erp:1042"), "customer demo-erp:1042"),
        (RecordName("i", "customer"), "customer i"),
    ],
)
def test_a_record_has_the_name_that_people_know(name: RecordName, text: str) -> None:
    assert name.text == text


def test_an_unknown_amount_is_called_so() -> None:
    assert money(None, "EUR") == "unknown"
    assert money(-1_5000) == "-1.50"


def test_only_ids_are_looked_up() -> None:
    assert is_id("0b9f1f2e-4a2b-4c3d-9e8f-1a2b3c4d5e6f")
    assert not any(map(is_id, ("SO-1", None, 7, "x" * 36)))


def test_a_duration_has_one_unit() -> None:
    assert [time_since(s) for s in (5, 60, 7200, 90_000)] == ["less than a minute", "1 minute", "2 hours", "1 day"]
