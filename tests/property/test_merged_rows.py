"""Records that their own system merged, one after the other or in chains: in every order of arrival, any batch and after
crashes there is one record for each row that is left, and what refers to a row that was merged lives with the row that
it was merged into. Merges that a system takes back are not promised (docs/guides/values-from-other-tables.md).
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from tests.factories import changed
from tests.property.stories import UNSHRUNK, folded, play

KEYS = "abcd"


def id_of(key: str) -> str:
    return source_id("erp", "customer", key)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Change], dict[str, str | None]]:
    """Changes of rows, each with a contact; row → the row that it is merged into in the end."""
    into: dict[str, str | None] = dict.fromkeys(KEYS)
    changes = [changed("erp", "customer", key, at, name=key) for at, key in enumerate(KEYS, 1)]
    changes += [
        changed("erp", "contact", f"p{key}", at, parent=id_of(key), last_name=key, customer_id=id_of(key))
        for at, key in enumerate(KEYS, 11)
    ]
    for at, row in enumerate(draw(st.permutations(KEYS[1:])), 21):
        # A row is merged into one that comes before it: a system has no circles.
        target = draw(st.sampled_from([None, *KEYS[: KEYS.index(row)]]))
        if target is not None:
            into[row] = target
            op = draw(st.sampled_from(["merged", "merged_read"]))
            changes.append(
                changed("erp", "customer", row, at, op=op, name=row, deleted=True, same_as=id_of(target))  # type: ignore[arg-type]
            )
    return changes, into


def winner(into: dict[str, str | None], row: str) -> str:
    target = into[row]
    return row if target is None else winner(into, target)


@settings(phases=UNSHRUNK, deadline=None, max_examples=100)
@given(histories(), st.data())
def test_merged_rows_are_one_record_in_every_order(
    history: tuple[list[Change], dict[str, str | None]], data: st.DataObject
) -> None:
    changes, into = history
    by_row: dict[str, list[Change]] = {}
    for change in changes:
        by_row.setdefault(change.key, []).append(change)
    # Kafka keeps the order of one row; rows come in any order.
    order: list[Change] = []
    waiting = [list(rows) for rows in by_row.values()]
    while waiting:
        rows = data.draw(st.sampled_from(waiting))
        order.append(rows.pop(0))
        waiting = [rows for rows in waiting if rows]
    pipeline = play(order, data, crashes=2)
    records = {id for entity, id in folded(pipeline) if entity == "customer"}
    assert records == {id_of(key) for key in KEYS if into[key] is None}
    for key in KEYS:
        contact = pipeline.hub.entities[source_id("erp", "contact", f"p{key}")]
        assert contact.aggregate_id == id_of(winner(into, key)), key
