"""One document for several orders: each flow has its share, and the shares add up to the document, in any order of
arrival, with writers that die, and with orders that move between flows (axelor-open-suite#3654, idempiere#1504).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.change import Change
from streams.testing import MemoryPipeline
from tests.factories import changed
from tests.property.stories import UNSHRUNK, folded, of_line, play, row

Flow = dict[str, Any]


def flows_by_order(pipeline: Any) -> dict[str, Flow]:
    """Number of the first order → its flow."""
    return {
        record["order_number"]: record for (entity, _), record in folded(pipeline).items() if entity == "order_flow"
    }


def amounts(flow: Flow) -> tuple[Any, ...]:
    return tuple(flow[name] for name in ("ordered_amount", "invoiced_amount", "paid_amount", "invoice_count"))


def order(key: str, at: int, opportunity: str | None = None, net: int = 100_0000) -> list[Change]:
    parent = ("opportunity", opportunity) if opportunity else None
    return [
        row("sales_order", key, at, parent, number=key, status="confirmed", net_amount=net, currency="EUR", created_at=at),
        row("sales_order_line", f"{key}1", at, ("sales_order", key), line_no=1, quantity=1_000000, net_amount=net),
    ]  # fmt: skip


def invoice(key: str, at: int, header: str | None, lines: dict[str, str | None], **fields: Any) -> list[Change]:
    """An invoice of 100 and 19 of tax for each line; `lines`: its line → the order line."""
    parent = ("sales_order", header) if header else None
    money = {
        "net_amount": 100_0000 * len(lines),
        "tax_amount": 19_0000 * len(lines),
        "gross_amount": 119_0000 * len(lines),
    }
    header_row = row(
        "invoice",
        key,
        at,
        parent,
        **{"number": key, "kind": "invoice", "status": "open", "currency": "EUR"} | money | fields,
    )
    rows = [
        row("invoice_line", line, at, ("invoice", key), line_no=number, quantity=1_000000, net_amount=100_0000,
            **({"order_line_id": of_line(order_line)} if order_line else {}))
        for number, (line, order_line) in enumerate(lines.items(), 1)
    ]  # fmt: skip
    return [header_row, *rows]


def in_order_of_each_row(changes: list[Change]) -> list[Change]:
    """Rows may overtake each other, the changes of one row may not: so Kafka delivers them."""
    waiting: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda change: change.major):
        waiting.setdefault(change.id, []).append(change)
    return [waiting[change.id].pop(0) for change in changes]


TWO = [*order("A", 1), *order("B", 2)]
ONE_INVOICE = invoice("I", 3, "A", {"I1": "A1", "I2": "B1"})
PAYMENT = row("payment", "P", 4, ("invoice", "I"), status="cleared", amount=238_0000, currency="EUR", paid_at=9)


def test_each_order_has_its_share_of_an_invoice_and_its_payment() -> None:
    flows = flows_by_order(play([*TWO, *ONE_INVOICE, PAYMENT], None))
    assert amounts(flows["A"]) == amounts(flows["B"]) == (100_0000, 119_0000, 119_0000, 1)
    assert [event["what"] for event in flows["B"]["timeline"]] == [event["what"] for event in flows["A"]["timeline"]]


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_the_share_is_the_same_in_any_order_of_arrival(data: st.DataObject) -> None:
    changes = [*TWO, *ONE_INVOICE, PAYMENT]
    pipeline = play(data.draw(st.permutations(changes)), data, crashes=data.draw(st.integers(0, 3)))
    assert folded(pipeline) == folded(play(changes, None))


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_an_invoice_without_an_order_in_its_header_is_in_the_flows_of_its_lines(data: st.DataObject) -> None:
    """Odoo and Tryton name the order in the lines only. The line of freight is divided."""
    changes = [*TWO, *invoice("I", 3, None, {"I1": "A1", "I2": "B1", "I3": None})]
    pipeline = play(data.draw(st.permutations(changes)), data)
    flows = flows_by_order(pipeline)
    assert [flows[key]["invoiced_amount"] for key in "AB"] == [178_5000, 178_5000]


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_cancelled_invoice_is_cancelled_in_every_flow(data: st.DataObject) -> None:
    cancelled = invoice("I", 5, "A", {"I1": "A1", "I2": "B1"}, status="cancelled")[:1]
    flows = flows_by_order(play(data.draw(st.permutations([*TWO, *ONE_INVOICE, *cancelled])), data))
    assert [flows[key]["invoiced_amount"] for key in "AB"] == [0, 0]


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_deleted_invoice_or_line_leaves_every_flow(data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(["invoice", "line"]))
    changes = [*TWO, *ONE_INVOICE]
    if gone == "invoice":
        changes.append(row("invoice", "I", 5, deleted=True))
    else:
        changes += [row("invoice_line", "I2", 5, deleted=True), invoice("I", 6, "A", {"I1": "A1"})[0]]
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data, crashes=2))
    assert flows["B"]["invoiced_amount"] == 0
    assert flows["A"]["invoiced_amount"] == (0 if gone == "invoice" else 119_0000)


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_line_that_moves_to_another_invoice_takes_its_share_along(data: st.DataObject) -> None:
    changes = [
        *TWO, *order("C", 3), *ONE_INVOICE, *invoice("J", 4, "C", {"J1": "C1"}),
        row("invoice_line", "I2", 6, ("invoice", "J"), line_no=2, quantity=1_000000, net_amount=100_0000, order_line_id=of_line("B1")),
        invoice("I", 6, "A", {"I1": "A1"})[0], invoice("J", 6, "C", {"J1": "C1", "I2": "B1"})[0],
    ]  # fmt: skip
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data))
    assert [flows[key]["invoiced_amount"] for key in "ABC"] == [119_0000] * 3


@settings(max_examples=40, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_orders_that_join_one_flow_and_leave_it_again(data: st.DataObject) -> None:
    """An opportunity is linked late: two aggregates become one. Later the second order goes to another opportunity."""
    deals = [row("opportunity", key, 1, number=key, stage="won") for key in ("O", "Q")]
    changes = [
        *deals, *TWO, *ONE_INVOICE, PAYMENT,
        order("A", 5, "O")[0], order("B", 6, "O")[0], order("B", 7, "Q")[0],
    ]  # fmt: skip
    pipeline = play(
        in_order_of_each_row(data.draw(st.permutations(changes))), data, crashes=data.draw(st.integers(0, 2))
    )
    flows = flows_by_order(pipeline)
    assert amounts(flows["A"]) == amounts(flows["B"]) == (100_0000, 119_0000, 119_0000, 1)
    expected = play(changes, None)
    assert flows == flows_by_order(expected)


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_an_order_line_that_moves_to_another_order_takes_its_share_along(data: st.DataObject) -> None:
    moved = row("sales_order_line", "B1", 6, ("sales_order", "C"), line_no=2, quantity=1_000000, net_amount=100_0000)
    changes = [*TWO, *order("C", 3), *ONE_INVOICE, moved]
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data))
    assert [flows[key]["invoiced_amount"] for key in "ABC"] == [119_0000, 0, 119_0000]


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_delivery_of_two_orders_ships_both(data: st.DataObject) -> None:
    header = data.draw(st.sampled_from(["A", "B", None]))
    changes = [
        *TWO,
        row("shipment", "H", 3, ("sales_order", header) if header else None, status="delivered", shipped_at=7, delivered_at=8),
        *(row("shipment_line", f"H{key}", 4, ("shipment", "H"), order_line_id=of_line(f"{key}1"), quantity=1_000000) for key in "AB"),
    ]  # fmt: skip
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data))
    assert [flows[key]["shipment_status"] for key in "AB"] == ["delivered", "delivered"]


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_an_invoice_that_moves_to_the_other_order_leaves_a_share_behind(data: st.DataObject) -> None:
    """Two links of one record in one batch, and a writer that dies: what the first link moved must follow the second."""
    moved = invoice("I", 8, "B", {"I1": "A1", "I2": "B1"})[0]
    changes = in_order_of_each_row(data.draw(st.permutations([*TWO, *ONE_INVOICE, moved, PAYMENT])))
    flows = flows_by_order(play(changes, data, crashes=data.draw(st.integers(0, 3))))
    assert amounts(flows["A"]) == amounts(flows["B"]) == (100_0000, 119_0000, 119_0000, 1)


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_an_order_that_two_systems_know_has_its_share(data: st.DataObject) -> None:
    crm = changed("crm", "sales_order", "b", 1, number="B", created_at=2)
    erp = changed(
        "erp",
        "sales_order",
        "B",
        2,
        same_as=crm.id,
        number="B",
        status="confirmed",
        net_amount=100_0000,
        currency="EUR",
        created_at=2,
    )
    changes = [*order("A", 1), crm, erp, order("B", 2)[1], *ONE_INVOICE, PAYMENT]
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data, crashes=data.draw(st.integers(0, 3))))
    assert amounts(flows["A"]) == amounts(flows["B"]) == (100_0000, 119_0000, 119_0000, 1)


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(st.data())
def test_a_credit_note_without_an_order_credits_the_orders_of_its_lines(data: st.DataObject) -> None:
    changes = [*TWO, *ONE_INVOICE, *invoice("C", 6, None, {"C1": "A1", "C2": "B1"}, kind="credit_note")]
    flows = flows_by_order(play(data.draw(st.permutations(changes)), data))
    assert [flows[key]["payment_status"] for key in "AB"] == ["credited", "credited"]


def test_a_monthly_invoice_of_many_orders_is_in_each_of_their_flows() -> None:
    keys = [f"K{number}" for number in range(12)]
    orders = [change for at, key in enumerate(keys, 1) for change in order(key, at)]
    lines: dict[str, str | None] = {f"M{key}": f"{key}1" for key in keys}
    paid = row(
        "payment", "MP", 101, ("invoice", "M"), status="cleared", amount=12 * 119_0000, currency="EUR", paid_at=9
    )
    pipeline = MemoryPipeline()
    for change in [*orders, *invoice("M", 100, None, lines), paid]:
        pipeline.send_change(change)
    pipeline.run()
    flows = flows_by_order(pipeline)
    assert [amounts(flows[key]) for key in keys] == [(100_0000, 119_0000, 119_0000, 1)] * 12


class Document(NamedTuple):
    """An invoice of the random test: its order, and the order line, net amount (cents) and number of each line."""

    header: str | None
    lines: list[tuple[str, int]]
    extra: int


LINES = [f"{order_key}{number}" for order_key in "ABCD" for number in (1, 2)]

documents = st.lists(
    st.builds(
        Document,
        st.sampled_from(["A", "B", "C", "D", None]),
        st.lists(st.tuples(st.sampled_from(LINES), st.integers(1, 99_999)), min_size=1, max_size=5),
        st.integers(0, 9_999),
    ),
    min_size=1,
    max_size=4,
)


def written(number: int, version: int, document: Document) -> list[Change]:
    key, at = f"N{number}", 100 * (version + 1)
    net = sum(cents for _, cents in document.lines) + document.extra
    parent = ("sales_order", document.header) if document.header else None
    tax = net * 19 // 100
    fields = {
        "net_amount": net * 100,
        "tax_amount": tax * 100,
        "gross_amount": (net + tax) * 100,
        "freight_amount": document.extra * 100,
    }
    rows = [row("invoice", key, at, parent, number=key, status="open", kind="invoice", currency="EUR", **fields)]
    rows += [
        row("invoice_line", f"{key}/{position}", at + position, ("invoice", key), line_no=position, quantity=1_000000,
            net_amount=cents * 100, order_line_id=of_line(order_line))
        for position, (order_line, cents) in enumerate(document.lines, 1)
    ]  # fmt: skip
    rows += [
        row("invoice_line", f"{key}/{position}", at + position, deleted=True)
        for position in range(len(document.lines) + 1, 6)
    ]
    return rows


@settings(max_examples=30, deadline=None, phases=UNSHRUNK)
@given(documents, st.data())
def test_shares_add_up_to_random_documents(drawn: list[Document], data: st.DataObject) -> None:
    """An independent model: each flow is invoiced the lines of its orders, and what the headers add is in some flow."""
    joined = data.draw(st.booleans())
    changes = [row("opportunity", "O", 1, number="O", stage="won")] if joined else []
    for at, key in enumerate("ABCD", 10):
        parent = ("opportunity", "O") if joined and key in "AB" else None
        changes.append(
            row("sales_order", key, at, parent, number=key, status="confirmed", currency="EUR", created_at=at)
        )
        changes += [row("sales_order_line", f"{key}{n}", at, ("sales_order", key), line_no=n, quantity=1_000000, net_amount=1) for n in (1, 2)]  # fmt: skip
    final: list[Document] = []
    for number, document in enumerate(drawn):
        changes += written(number, 0, document)
        if data.draw(st.booleans()):
            document = data.draw(documents)[0]._replace(header=document.header)
            changes += written(number, 1, document)
        final.append(document)
    pipeline = play(data.draw(st.permutations(changes)), data, crashes=data.draw(st.integers(0, 3)))
    flows = flows_by_order(pipeline)
    flow_of_order = {"A": "A", "B": "A" if joined else "B", "C": "C", "D": "D"}
    lines: dict[str, int] = dict.fromkeys(flows, 0)
    gross = 0
    count = dict.fromkeys(flows, 0)
    for document in final:
        net = sum(cents for _, cents in document.lines) + document.extra
        gross += (net + net * 19 // 100) * 100
        for flow in {flow_of_order[order_line[0]] for order_line, _ in document.lines}:
            count[flow] += 1
        for order_line, cents in document.lines:
            lines[flow_of_order[order_line[0]]] += cents * 100
    assert sum(flow["invoiced_amount"] for flow in flows.values()) == gross
    for key, flow in flows.items():
        assert flow["invoice_count"] == count[key]
        # The header adds its freight and 19 % of tax, in proportion.
        extra = sum(document.extra for document in final) * 119 + 100 * len(final)
        assert lines[key] <= flow["invoiced_amount"] <= lines[key] * 1.19 + extra + 100
    assert not any(entity in ("share", "shares_sent") for entity, _ in pipeline.records)
