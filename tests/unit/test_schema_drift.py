"""What ALTER TABLE did, from the columns before and after."""

from __future__ import annotations

import pytest

from streams.capture.schema_drift import compare_shapes
from streams.hub.source_state import Shape
from tests.factories import compiled

TABLE = compiled(
    """
system: test
tables:
  public.t:
    key: id
    to:
      - {entity: sales_order_line, parent: o, fields: {line_no: n, description: d}}
"""
).tables["public.t"]
BEFORE: Shape = {
    "1": ("id", "bigint"),
    "2": ("o", "bigint"),
    "3": ("n", "integer"),
    "4": ("d", "text"),
    "5": ("x", "text"),
}


@pytest.mark.parametrize(
    ("now", "kind", "what", "effect"),
    [
        (BEFORE | {"6": ("y", "date")}, "added", "y date was added", "not read"),
        (
            {k: v for k, v in BEFORE.items() if k != "4"},
            "dropped",
            "d text was dropped",
            "its field keeps the last value",
        ),
        ({k: v for k, v in BEFORE.items() if k != "5"}, "dropped", "x text was dropped", "nothing changes"),
        (BEFORE | {"4": ("descr", "text")}, "renamed", "d is called descr now", "its field keeps the last value"),
        (
            BEFORE | {"2": ("order_id", "bigint")},
            "renamed",
            "o is called order_id now",
            "required: the table's records become dead letters",
        ),
        (
            BEFORE | {"3": ("n", "numeric")},
            "retyped",
            "n was integer and is numeric now",
            "values that still fit are accepted",
        ),
    ],
)
def test_each_kind_of_change_has_its_effect_on_records(now: Shape, kind: str, what: str, effect: str) -> None:
    (change,) = compare_shapes(TABLE, BEFORE, now)
    assert (change.kind, change.what) == (kind, what)
    assert effect in change.effect


def test_unchanged_columns_are_no_change() -> None:
    assert compare_shapes(TABLE, BEFORE, dict(reversed(BEFORE.items()))) == []
