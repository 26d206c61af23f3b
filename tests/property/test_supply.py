"""What supplies an order line is the same in any order of arrival, with writers that die, and as a model of its own has
it: the model walks through the days, and looks on which one enough is there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.model.ids import source_id
from tests.property.stories import UNSHRUNK, folded, of_line, play, row

PIECE = 1_000_000
PROMISED = 40
LAST_DAY = 99

Supply = dict[str, Any]


class Line(NamedTuple):
    """A line of a purchase or production order: for which order (None: for our stock), how much, what arrived of it."""

    order_line: str | None
    pieces: int
    arrived: int


class Purchase(NamedTuple):
    """A purchase or production order."""

    key: str
    lines: list[Line]
    status: str
    expected: int | None
    is_production: bool
    by_receipt: bool


class Coming(NamedTuple):
    """What one line of a purchase brings an order."""

    id: str
    pieces: int
    arrived: int
    status: str
    expected: int | None


class World(NamedTuple):
    """Two orders of one line each: ordered, shipped and kept pieces; and what supplies them."""

    ordered: dict[str, int]
    shipped: dict[str, int]
    kept: dict[str, int]
    purchases: list[Purchase]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ordered = {key: draw(st.integers(1, 6)) for key in ("A", "B")}
    shipped = {key: draw(st.integers(0, count)) for key, count in ordered.items()}
    kept = {key: draw(st.integers(0, count - shipped[key])) for key, count in ordered.items()}
    purchases = []
    for number in range(draw(st.integers(0, 4))):
        is_production = draw(st.booleans())
        lines = []
        for _ in range(draw(st.integers(1, 3))):
            # A supplier may send too much; of production more than is wanted goes to nobody.
            pieces = draw(st.integers(1, 6))
            arrived = draw(st.integers(0, pieces if is_production else pieces + 1))
            lines.append(Line(draw(st.sampled_from(["A", "B", None])), pieces, arrived))
        states = ["requested", "in_progress", "finished"] if is_production else ["requested", "ordered", "received"]
        purchases.append(
            Purchase(
                f"P{number}", _in_turn(lines) if is_production else lines,
                draw(st.sampled_from([*states, "cancelled"])), draw(st.none() | st.integers(30, 60)), is_production,
                draw(st.booleans()),
            )
        )  # fmt: skip
    return World(ordered, shipped, kept, purchases)


def _in_turn(lines: list[Line]) -> list[Line]:
    """What is made goes to the lines in their order: the next gets something once the one before has all."""
    left = sum(line.arrived for line in lines)
    taken = []
    for line in lines:
        taken.append(line._replace(arrived=min(left, line.pieces)))
        left -= taken[-1].arrived
    return taken


def rows_of(world: World) -> list[Change]:
    changes = []
    for key, pieces in world.ordered.items():
        changes += [
            row("sales_order", key, 1, number=key, status="confirmed", currency="EUR", promised_date=PROMISED),
            row(
                "sales_order_line", f"{key}1", 2, ("sales_order", key), line_no=1, quantity=pieces * PIECE, unit="C62",
                shipped_quantity=world.shipped[key] * PIECE,
            ),
        ]  # fmt: skip
        if world.kept[key]:
            order = ("sales_order", key)
            kept: dict[str, Any] = {"order_line_id": of_line(f"{key}1"), "quantity": world.kept[key] * PIECE}
            changes.append(row("reservation", f"R{key}", 3, order, status="reserved", warehouse="W", **kept))
    for purchase in world.purchases:
        changes += _rows_of_purchase(purchase)
    return changes


def _rows_of_purchase(purchase: Purchase) -> list[Change]:
    key, at = purchase.key, 4
    entity = "production_order" if purchase.is_production else "purchase_order"
    header: dict[str, Any] = {"number": key, "status": purchase.status, "expected_date": purchase.expected}
    changes = []
    if purchase.is_production:
        header["finished_quantity"] = sum(line.arrived for line in purchase.lines) * PIECE
    for number, line in enumerate(purchase.lines, 1):
        # A field that a change leaves out is unchanged: so each change says all.
        fields: dict[str, Any] = {"line_no": number, "quantity": line.pieces * PIECE}
        fields["order_line_id"] = of_line(f"{line.order_line}1") if line.order_line else None
        if not purchase.is_production:
            fields["received_quantity"] = None if purchase.by_receipt else line.arrived * PIECE
            if purchase.by_receipt and line.arrived:
                of: dict[str, Any] = {"purchase_order_line_id": line_id(purchase, number)}
                changes.append(
                    row(
                        "goods_receipt_line", f"G{key}{number}", at, ("goods_receipt", f"G{key}"),
                        quantity=(line.arrived + 1) * PIECE, rejected_quantity=PIECE, **of,
                    )
                )  # fmt: skip
        changes.append(row(f"{entity}_line", f"{key}{number}", at, (entity, key), **fields))
    if purchase.by_receipt and not purchase.is_production:
        changes.append(
            row("goods_receipt", f"G{key}", at, ("purchase_order", key), number=f"G{key}", status="received")
        )
    return [row(entity, key, at, **header), *changes]


def line_id(purchase: Purchase, number: int) -> str:
    entity = "production_order_line" if purchase.is_production else "purchase_order_line"
    return source_id("erp", entity, f"{purchase.key}{number}")


def by_days(world: World, key: str) -> tuple[str, int | None] | None:
    """(status, expected day) of an order's line, by walking through the days."""
    sources = [
        Coming(line_id(purchase, number), line.pieces, line.arrived, purchase.status, purchase.expected)
        for purchase in world.purchases
        for number, line in enumerate(purchase.lines, 1)
        if line.order_line == key and purchase.status != "cancelled"
    ]
    if not sources and not world.kept[key]:
        return None
    left = world.ordered[key] - world.shipped[key]
    if not left:
        return "shipped", None
    arrived = max(0, sum(source.arrived for source in sources) - world.shipped[key])
    if max(world.kept[key], arrived) >= left:
        return "available", None
    coming = [source for source in sources if source.status not in ("received", "finished")]
    there, needed, day = min(left, world.kept[key] + arrived), [], None
    for today in [*range(LAST_DAY), None]:
        for source in sorted(coming, key=lambda source: source.id):
            if source.expected == today and there < left and source.pieces > source.arrived:
                there += source.pieces - source.arrived
                needed.append(source)
                day = today
    if there < left:
        return "short", None
    if any(source.status == "requested" for source in needed):
        return "requested", day
    return ("partly_available" if max(world.kept[key], arrived) else "on_order"), day


def supplies(pipeline: Any) -> dict[str, Supply]:
    """Number of the order → the record `supply` of its line."""
    return {record["order_number"]: record for (entity, _), record in folded(pipeline).items() if entity == "supply"}


@settings(max_examples=150, deadline=None, phases=UNSHRUNK)
@given(worlds(), st.data())
def test_supply_is_as_the_model_has_it_in_any_order_of_arrival(world: World, data: st.DataObject) -> None:
    changes = data.draw(st.permutations(rows_of(world)))
    found = supplies(play(changes, data, crashes=data.draw(st.integers(0, 3))))
    for key in world.ordered:
        expected = by_days(world, key)
        record = found.get(key)
        assert (record is None) == (expected is None)
        if record is None or expected is None:
            continue
        status, day = expected
        assert (record["status"], record["expected_date"]) == (status, day)
        assert record["late_days"] == (day - PROMISED if day is not None and day > PROMISED else None)


@settings(max_examples=60, deadline=None, phases=UNSHRUNK)
@given(worlds(), worlds(), st.data())
def test_what_came_last_counts_whatever_was_before(before: World, after: World, data: st.DataObject) -> None:
    """The documents of one day are changed into those of another, each row by a later change, or by its being deleted."""
    first, second = rows_of(before), rows_of(after)
    kept = {change.id for change in second}
    later = [_at(change, change.major + 100) for change in second]
    gone = [_at(change, change.major + 100, deleted=True) for change in first if change.id not in kept]
    rows = [*first, *later, *gone]
    pipeline = play(_in_order_of_each_row(data.draw(st.permutations(rows))), data, crashes=1)
    expected = {key: by_days(after, key) for key in after.ordered}
    found = {key: (record["status"], record["expected_date"]) for key, record in supplies(pipeline).items()}
    assert found == {key: value for key, value in expected.items() if value is not None}


def _at(change: Change, major: int, *, deleted: bool = False) -> Change:
    from msgspec.structs import replace

    return replace(change, major=major, deleted=deleted, op="d" if deleted else "u")


def _in_order_of_each_row(changes: list[Change]) -> list[Change]:
    waiting: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda change: change.major):
        waiting.setdefault(change.id, []).append(change)
    return [waiting[change.id].pop(0) for change in changes]
