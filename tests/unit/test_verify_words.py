"""`verify` compares values, not bytes, and names the record, the field and both values (seen live with Tryton 8.2, L3)."""

from __future__ import annotations

from typing import Any

import pytest

from streams.emit.encode import encoder
from streams.emit.read import TopicReader
from streams.model.ids import source_id
from streams.model.state import AggregateState, Contribution, EntityState
from streams.resolve.rules import Ownership
from streams.verify.compare_hub import expected_records
from streams.verify.compare_sources import _nearest
from streams.verify.compare_topics import _Expected, _Readers
from streams.verify.comparison import Comparison
from streams.verify.read_topics import CanonicalRecord
from streams.verify.words import canonical_differences, field_differences, in_words, record_name, value_text

ID = source_id("erp", "sales_order", "1")
LINE = source_id("erp", "sales_order_line", "1")


def order(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "version": 3, "updated_at": 5, "sources": [], "number": "SO-1", "lines": [], **fields}


def compared(topic: dict[str, Any], hub: dict[str, Any] | None) -> str | None:
    """What `verify` says of these two: the topic's record under an id that the registry gave to our own schema."""
    encode = encoder("sales_order")
    reader = TopicReader("http://registry.invalid", "canonical.sales_order")
    reader._written[7] = reader._read  # type: ignore[assignment]
    readers = _Readers("http://registry.invalid")
    readers._readers["canonical.sales_order"] = reader
    last = CanonicalRecord("canonical.sales_order", ID, 3, b"\0\0\0\0\7" + encode(topic))
    return readers.difference(last, _Expected(3, None if hub is None else encode(hub)))


def test_a_map_has_no_order() -> None:
    in_topic = order(attributes={"vip": "B", "terms": "net"})
    in_hub = order(attributes={"terms": "net", "vip": "B"})
    encode = encoder("sales_order")
    assert encode(in_topic) != encode(in_hub)
    assert compared(in_topic, in_hub) is None


def test_absent_is_null() -> None:
    assert compared(order(currency=None), order()) is None


def test_the_message_names_record_field_and_values() -> None:
    wrong = compared(
        order(net_amount=100_0000, attributes={"a": "1"}), order(net_amount=110_5000, attributes={"a": "2"})
    )
    assert wrong is not None
    assert wrong.startswith(f'canonical.sales_order: sales_order "SO-1" ({ID}): ')
    assert "net_amount is 100 in the topic, 110.5 in the hub" in wrong
    assert 'attributes.a is "1" in the topic, "2" in the hub' in wrong


def test_lines_are_compared_by_their_ids() -> None:
    line = {"id": LINE, "line_no": 2, "quantity": 1_000000}
    wrong = compared(order(lines=[line]), order(lines=[{**line, "quantity": 2_500000}]))
    assert wrong is not None and "lines[2].quantity is 1 in the topic, 2.5 in the hub" in wrong
    missing = compared(order(lines=[line]), order())
    assert missing is not None and "lines[2] is" in missing and "nothing in the hub" in missing


def test_a_record_that_is_live_on_one_side_only() -> None:
    wrong = compared(order(), None)
    assert wrong is not None and "live in the topic (version 3), deleted in the hub" in wrong


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ({"net_amount": 1_0000}, {"net_amount": 2_0000}, ["net_amount is 1 in a, 2 in b"]),
        ({"created_at": 0}, {}, ['created_at is "1970-01-01T00:00:00Z" in a, nothing in b']),
        ({"requested_on": None}, {}, []),
        ({"attributes": {"x": "1", "y": "2"}}, {"attributes": {"y": "2", "x": "1"}}, []),
        ({"attributes": {"x": "1"}}, {"attributes": {"y": "2"}}, ['attributes.x is "1" in a, nothing in b', 'attributes.y is nothing in a, "2" in b']),
    ],
)  # fmt: skip
def test_values_of_the_pipeline(ours: dict[str, Any], theirs: dict[str, Any], words: list[str]) -> None:
    assert [in_words(one, "a", "b") for one in canonical_differences("sales_order", ours, theirs)] == words


def test_rows_that_make_one_record_are_united_by_key() -> None:
    values = {"attributes": [{"a": "1"}, {"b": "2"}, {"a": "3"}], "name": ["x", "y"]}
    assert _nearest(values, {"attributes": {"a": "3", "b": "2"}, "name": "y"}) == {
        "attributes": {"a": "3", "b": "2"},
        "name": "y",
    }
    assert _nearest(values, {"attributes": {"b": "9"}}) == {"attributes": {"a": "1", "b": "2"}, "name": "x"}


def test_a_stored_record_without_a_null_field_is_no_difference() -> None:
    contribution = Contribution("erp", "1", 0, 1, 0, 5, False, {"number": "SO-1", "currency": None, "net_amount": 1})
    member = EntityState(
        ID, "sales_order", version=1, record={"number": "SO-1", "net_amount": 1}, contributions={ID: contribution}
    )
    state = AggregateState(ID, "order_flow", members={ID: member}, sources={})
    comparison = Comparison()
    expected_records({ID: state}, {}, Ownership(), comparison)
    assert comparison.differing == 0, comparison.examples
    member.record = {"number": "SO-2", "net_amount": 1}
    expected_records({ID: state}, {}, Ownership(), comparison)
    assert comparison.examples == [
        f'differing: sales_order "SO-1" ({ID}): number is "SO-1" in what its contributions give, "SO-2" in the hub'
    ]


def test_names_and_values() -> None:
    assert record_name("invoice", "x", {"number": None}) == "invoice x"
    assert value_text(None) == "nothing"
    assert list(field_differences({"a": 1}, {"a": 1})) == []
