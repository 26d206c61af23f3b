"""A contribution is the same whatever the order in which its changes arrive."""

from __future__ import annotations

from itertools import permutations

import msgspec

from streams.model.change import Change, ChangeOp
from streams.model.state import EntityState
from streams.resolve.contribution import merge
from streams.resolve.golden import golden, is_deleted
from streams.resolve.rules import EntityRule, Ownership


def change(major: int, *, deleted: bool = False, **fields: object) -> Change:
    return Change(
        "change", "customer", "id-1", "erp", "1", "u", 0, major, 0, major * 10, deleted=deleted, fields=dict(fields)
    )


def after(changes: list[Change]) -> tuple[object, ...]:
    entity = EntityState("id-1", "customer", contributions={}, record={})
    for one in changes:
        merge(entity, one)
    said = entity.contributions["id-1"]
    return said.fields, said.deleted, said.position


def test_newer_wins_and_older_is_ignored() -> None:
    entity = EntityState("id-1", "customer", contributions={}, record={})
    assert merge(entity, change(2, name="b")) == "newer"
    assert merge(entity, change(1, name="a")) == "older"
    assert merge(entity, change(2, name="b")) == "same"
    assert entity.contributions["id-1"].fields == {"name": "b"}


def test_absent_is_not_null() -> None:
    fields, *_ = after([change(1, name="a", notes="long"), change(2, name="b")])
    assert fields == {"name": "b", "notes": "long"}
    fields, *_ = after([change(1, name="a", notes="long"), change(2, name="b", notes=None)])
    assert fields == {"name": "b", "notes": None}


def test_a_field_left_unsaid_takes_the_latest_value_said_in_any_order() -> None:
    changes = [
        change(1, name="a", notes="x"),
        change(2, name="b", notes="y"),
        change(3, name="c"),
        change(4, name="d", deleted=True),
    ]
    results = [after(list(order)) for order in permutations(changes)]
    assert all(result == ({"name": "d", "notes": "y"}, True, (0, 4, 0)) for result in results)


def test_a_row_that_only_adds_fields_says_nothing_of_whether_the_record_is_there() -> None:
    """In every order of arrival: the row that makes the record alone brings it, deletes it and brings it back."""

    def main(at: int, op: ChangeOp = "u", **fields: object) -> Change:
        return Change("change", "product", "p", "erp", "1", op, 0, at, 0, at, deleted=op == "d", fields=dict(fields))

    def price(at: int, amount: int | None, op: ChangeOp = "part") -> Change:
        return Change("change", "product", "p", "erp", "1", op, 0, at, 0, at, fields={"list_price": amount})

    story = [
        price(1, 10, "part_read"),
        main(2, "c", sku="A", name="Bolt"),
        price(3, 20),
        main(4, "d"),
        price(5, 30),
        main(6, "c", sku="A", name="Bolt"),
    ]
    told = [(True, 10), (False, 10), (False, 20), (True, 20), (True, 30), (False, 30)]
    for length, expected in enumerate(told, 1):
        for order in permutations(story[:length]):
            product = EntityState("p", "product", contributions={}, record={})
            for change in order:
                merge(product, change)
            said = product.contributions["p"]
            assert (said.deleted, (said.fields or {}).get("list_price")) == expected, (length, order)
            assert is_deleted(product, Ownership()) == expected[0]


def test_what_only_adds_fields_neither_keeps_nor_deletes_a_record_of_another_system() -> None:
    product = EntityState("p", "product", contributions={}, record={})
    merge(product, Change("change", "product", "p", "crm", "1", "c", 0, 1, 0, 1, fields={"sku": "A"}))
    merge(product, Change("change", "product", "q", "erp", "1", "part", 0, 1, 0, 1, fields={"list_price": 5}))
    owned = Ownership({"product": EntityRule(("erp", "crm"), deletes="owner")})
    assert not is_deleted(product, owned)
    record, conflicts = golden(product, owned)
    assert (record.get("sku"), conflicts) == ("A", [])


def read(table: str, op: ChangeOp, **fields: object) -> Change:
    """A row as a first snapshot reads it: all are at one position."""
    return Change("change", "customer", "id-1", "crm", "1", op, 0, 0, 0, len(table), fields=dict(fields))


def test_a_snapshot_of_several_tables_makes_one_record_in_any_order() -> None:
    rows = [
        read("account", "r", name="Bolt", phone=None),
        read("own_fields", "part_read", tax_id="DE1"),
        read("email_a", "part_read", email="a@bolt.example"),
        read("email_bb", "part_read", email="b@bolt.example"),
    ]
    for order in permutations([*rows, rows[1], rows[0]]):
        entity = EntityState("id-1", "customer", contributions={}, record={})
        for one in order:
            merge(entity, one)
        assert [merge(entity, one) for one in rows] == ["same"] * 4
        said = entity.contributions["id-1"]
        assert said.fields == {"name": "Bolt", "phone": None, "tax_id": "DE1", "email": "b@bolt.example"}, order
        assert not said.deleted and not said.main_row_missing and said.older is None


def test_a_later_snapshot_of_several_tables_corrects_all_of_them() -> None:
    first = [read("account", "r", name="Bolt"), read("own_fields", "part_read", tax_id="DE1")]
    again = [msgspec.structs.replace(one, major=7, fields={name: "new" for name in one.fields}) for one in first]
    for order in permutations([*first, *again]):
        fields, deleted, position = after(list(order))
        assert (fields, deleted, position) == ({"name": "new", "tax_id": "new"}, False, (0, 7, 0)), order


def test_a_row_whose_primary_key_changed_keeps_its_record() -> None:
    """Debezium tells it as a delete and a create at one position; the record's own key is another column."""
    story = [change(1, name="a"), change(2, deleted=True), change(2, name="b")]
    for order in permutations(story):
        assert after(list(order)) == ({"name": "b"}, False, (0, 2, 0)), order


def test_entries_of_attributes_are_merged_one_by_one_in_any_order() -> None:
    """Tryton and artie-labs/transfer#100: the entries of one row replaced those of another, or a change was dropped."""
    story = [
        change(1, name="a", attributes={"vip": "A", "terms": "long"}),
        change(2, attributes={"route": "N", "depot": "X"}),
        change(3, name="b", attributes={"vip": "B"}),
        change(4, attributes={"route": None, "depot": "Y"}),
        change(5, name="c", attributes={"vip": None}),
    ]
    known = [
        {"vip": "A", "terms": "long"},
        {"vip": "A", "terms": "long", "route": "N", "depot": "X"},
        {"vip": "B", "terms": "long", "route": "N", "depot": "X"},
        {"vip": "B", "terms": "long", "depot": "Y"},
        {"terms": "long", "depot": "Y"},
    ]
    for length, expected in enumerate(known, 1):
        for order in permutations(story[:length]):
            fields, *_ = after(list(order))
            assert isinstance(fields, dict) and fields["attributes"] == expected, (length, order)


def test_an_entry_that_is_null_is_not_brought_back_by_an_older_change() -> None:
    entity = EntityState("id-1", "customer", contributions={}, record={})
    assert merge(entity, change(2, attributes={"vip": None, "x": "1"})) == "newer"
    assert merge(entity, change(2, attributes={"vip": None, "x": "1"})) == "same"
    assert merge(entity, change(1, attributes={"vip": "A", "x": "0"})) == "older"
    assert merge(entity, change(1, attributes={"y": "0"})) == "newer"
    assert merge(entity, change(2, attributes={"vip": None, "x": "1"})) == "same"
    assert entity.contributions["id-1"].fields == {"attributes": {"x": "1", "y": "0"}}


def test_rows_of_one_snapshot_unite_their_entries() -> None:
    one, other = change(3, name="a", attributes={"vip": "A"}), change(3, attributes={"route": "N", "depot": None})
    additional = msgspec.structs.replace(other, op="part_read")
    for order in ([one, additional], [additional, one]):
        fields, *_ = after(order)
        assert fields == {"name": "a", "attributes": {"vip": "A", "route": "N"}}
