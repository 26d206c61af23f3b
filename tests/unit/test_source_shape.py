"""What ALTER TABLE did, told from the columns before and after."""

from __future__ import annotations

import pytest

from streams.capture.schema_drift import Shape, changes
from tests.unit.rows import compiled

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
        ({k: v for k, v in BEFORE.items() if k != "4"}, "dropped", "d text was dropped", "its field keeps what it has"),
        ({k: v for k, v in BEFORE.items() if k != "5"}, "dropped", "x text was dropped", "nothing changes"),
        (BEFORE | {"4": ("descr", "text")}, "renamed", "d is called descr now", "its field keeps what it has"),
        (
            BEFORE | {"2": ("order_id", "bigint")},
            "renamed",
            "o is called order_id now",
            "needed: the table's records wait",
        ),
        (
            BEFORE | {"3": ("n", "numeric")},
            "retyped",
            "n was integer and is numeric now",
            "values that fit its field pass",
        ),
    ],
)
def test_each_kind_of_change_says_what_becomes_of_records(now: Shape, kind: str, what: str, effect: str) -> None:
    (note,) = changes(TABLE, BEFORE, now)
    assert (note.kind, note.what) == (kind, what)
    assert effect in note.effect


def test_nothing_is_said_where_nothing_changed() -> None:
    assert changes(TABLE, BEFORE, dict(reversed(BEFORE.items()))) == []
