"""A contribution is the same whatever the order in which its changes arrive."""

from __future__ import annotations

from itertools import permutations

from streams.model.change import Change
from streams.model.state import EntityState
from streams.resolve.contribution import merge


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
