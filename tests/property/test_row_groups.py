"""Sums and first rows of a table, against a model that knows nothing of changes: whatever order the changes come in,
once or more often, what a lookup takes is what the rows say that are there at the end.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import change, compiled, mapped

TEXT = """
system: test
tables:
  public.move: {key: id, before: full, to: []}
  public.t:
    key: id
    to:
      - entity: inventory_level
        with:
          came: {column: id, lookup: {table: public.move, by: product, where: {kind: {const: in}}, take: sum, column: qty}}
          left: {column: id, lookup: {table: public.move, by: product, where: {kind: {const: out}}, take: sum, column: qty}}
        fields: {warehouse: {const: main}, on_hand: {expr: came - left}}
        attributes:
          moves: {column: id, lookup: {table: public.move, by: product, take: count, column: id}}
          first: {column: id, lookup: {table: public.move, by: product, take: first, order: [day, id], column: id}}
          most: {column: id, lookup: {table: public.move, by: product, take: max, column: day}}
"""


class Row(NamedTuple):
    product: int | None
    kind: str
    qty: int | None
    day: int | None


ROWS = st.builds(
    Row,
    st.none() | st.integers(1, 3),
    st.sampled_from(["in", "out", "draft"]),
    st.none() | st.integers(-999, 999),
    st.none() | st.integers(1, 4),
)
# A row's history: what it was, one after the other; None: deleted.
HISTORIES = st.dictionaries(st.integers(1, 12), st.lists(st.none() | ROWS, min_size=1, max_size=4), max_size=6)


def expected(rows: dict[int, Row], product: int) -> tuple[Decimal, dict[str, str | None]]:
    """The same from the rows that are there, written by hand."""
    mine = {id: row for id, row in rows.items() if row.product == product}
    on_hand = sum(row.qty or 0 for row in mine.values() if row.kind == "in")
    on_hand -= sum(row.qty or 0 for row in mine.values() if row.kind == "out")
    first = min(mine, key=lambda id: (mine[id].day is None, mine[id].day or 0, id), default=None)
    most = max((row.day for row in mine.values() if row.day is not None), default=None)
    texts = {"moves": str(len(mine)), "first": first and str(first), "most": most and str(most)}
    return Decimal(on_hand), texts


@given(HISTORIES, st.randoms(use_true_random=False), st.booleans())
def test_what_is_taken_does_not_depend_on_order_and_repeats(
    histories: dict[int, list[Row | None]],
    random,
    asks_between: bool,  # type: ignore[no-untyped-def]
) -> None:
    known = compiled(TEXT)
    changes = []
    for id, history in histories.items():
        for at, row in enumerate(history, 1):
            values = None if row is None else {"id": id, **row._asdict()}
            made = change(
                known, values, op="u" if values else "d", table="public.move", key={"id": id}, position=(0, at, id)
            )
            changes += [made] * random.choice((1, 1, 2))
    random.shuffle(changes)
    for made in changes:
        known.update_lookups(made)
        if asks_between:  # what was taken before must not be kept
            mapped(known, {"id": random.randint(1, 3)})
    there = {id: history[-1] for id, history in histories.items() if history[-1] is not None}
    for product in (1, 2, 3):
        on_hand, texts = expected(there, product)
        fields = mapped(known, {"id": product})[0].fields
        assert fields["on_hand"] == on_hand * 10**6
        assert fields["attributes"] == texts
