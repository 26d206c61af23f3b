"""The simulated company buys and makes what it has not in stock: by the rows that it writes, as an ERP would see them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from streams.simulator.documents import Order
from streams.simulator.statements import ERP_INSERTS, ERP_STATEMENTS
from streams.simulator.stream import next_transactions
from streams.simulator.supply_statements import SUPPLY_INSERTS
from streams.simulator.world import Transaction
from tests.unit.test_simulator import a_world


class Ledger:
    """The rows of the ERP, made from the statements alone."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, dict[str, Any]]] = defaultdict(dict)
        self.facts: list[dict[str, Any]] = []

    def take(self, made: list[Transaction]) -> None:
        for transaction in made:
            self.facts += transaction.facts
            for name, values in transaction.statements:
                if name.startswith("insert_"):
                    self._insert(name, values)
                elif name == "line_change":
                    self.rows["so_line"][values[0]]["qty"] = values[1]
                elif name == "so_stat":
                    self.rows["so_head"][values[0]]["stat"] = values[1]
                elif name in ("po_stat", "pr_stat"):
                    self.rows[name[:2] + "_head"][values[0]]["stat"] = values[1]
                elif name in ("po_date", "pr_date"):
                    self.rows[name[:2] + "_head"][values[0]]["exp_date"] = values[1]
                elif name in ("pr_part", "pr_finish"):
                    self.rows["pr_head"][values[0]]["fin_qty"] = values[1]
                elif name == "ret_credit":
                    self.rows["ret_head"][values[0]].setdefault("notes", []).append(values[1])
                elif name == "dlv_stat" and values[1] == "R":
                    self.rows["dlv_head"][values[0]]["stat"] = "R"

    def _insert(self, name: str, values: Any) -> None:
        table = name.removeprefix("insert_").rpartition("_")[0]
        columns = ERP_INSERTS.get(table)
        for start in range(0, len(values), len(columns or values)) if columns else ():
            row = dict(zip(columns or (), values[start:], strict=False))
            self.rows[table][row["id"]] = row

    def sums(self, table: str, by: str, of: str = "qty", without: frozenset[Any] = frozenset()) -> Counter[Any]:
        total: Counter[Any] = Counter()
        for row in self.rows[table].values():
            if row.get("dlv_id") not in without:
                total[row[by]] += round((row[of] or 0) * 1000)
        return total


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """What a company wrote that worked for a while."""
    world, ledger = a_world(11), Ledger()
    for _ in range(30_000):
        ledger.take(next_transactions(world))
    return ledger


def test_nothing_leaves_that_was_not_kept_bought_or_made(ledger: Ledger) -> None:
    rows = ledger.rows
    back = frozenset(key for key, row in rows["dlv_head"].items() if row["stat"] == "R")
    sent = ledger.sums("dlv_line", "so_line_id", without=back)
    came: Counter[Any] = ledger.sums("rsv", "so_line_id")
    for row in rows["gr_line"].values():
        of = rows["po_line"][row["po_line_id"]]
        came[of["so_line_id"]] += round((row["qty"] - (row["rej_qty"] or 0)) * 1000)
    for key, head in rows["pr_head"].items():
        left = round((head["fin_qty"] or 0) * 1000)
        for line in sorted((x for x in rows["pr_line"].values() if x["pr_id"] == key), key=lambda x: x["pos"]):
            came[line["so_line_id"]] += min(left, round(line["qty"] * 1000))
            left -= min(left, round(line["qty"] * 1000))
    dropped = {row["so_line_id"] for row in rows["po_line"].values() if rows["po_head"][row["po_id"]]["kind"] == "D"}
    work = {key for key, row in rows["so_line"].items() if row["descr"].startswith("Maintenance")}
    checked = [line for line in sent if line not in dropped | work]
    assert len(checked) > 1_000
    assert [line for line in checked if sent[line] > came[line]] == []
    assert all(sent[line] <= round(rows["so_line"][line]["qty"] * 1000) for line in sent)


def test_most_lines_come_from_stock_and_some_of_each_other_way(ledger: Ledger) -> None:
    rows = ledger.rows
    bought = {row["so_line_id"] for row in rows["po_line"].values() if row["so_line_id"] is not None}
    made = {row["so_line_id"] for row in rows["pr_line"].values()}
    kept = {row["so_line_id"] for row in rows["rsv"].values()}
    total = len(bought | made | kept)
    assert 0.55 < len(kept) / total < 0.8
    assert 0.08 < len(made) / total < 0.25
    assert 0.1 < len(bought - kept) / total < 0.3
    per_order = Counter(row["po_id"] for row in rows["po_line"].values() if row["so_line_id"] is not None)
    orders = defaultdict(set)
    for row in rows["po_line"].values():
        if row["so_line_id"] is not None:
            orders[row["po_id"]].add(rows["so_line"][row["so_line_id"]]["so_id"])
    assert max(per_order.values()) > 2 and any(len(of) > 1 for of in orders.values()), "several orders in one purchase"
    assert any(row["so_line_id"] is None for row in rows["po_line"].values()), "some is for stock"
    assert any(row["rej_qty"] for row in rows["gr_line"].values())
    assert Counter(row["po_id"] for row in rows["gr_head"].values()).most_common(1)[0][1] > 1, "partial receipts"


def test_a_late_supplier_says_a_day_after_the_promised_one(ledger: Ledger) -> None:
    late = [fact for fact in ledger.facts if fact["fact"] == "late_supplier"]
    assert len({fact["supplier"] for fact in late}) > 2
    for fact in late:
        purchase = ledger.rows["po_head"][fact["purchase"]]
        assert purchase["supp_id"] == fact["supplier"]
        assert purchase["exp_date"] > purchase["req_date"], "later than the first of its orders was promised"
    assert any(fact["fact"] == "shortage" for fact in ledger.facts)


def test_a_return_is_credited_once_at_what_was_paid(ledger: Ledger) -> None:
    rows = ledger.rows
    lines = {row["ret_id"]: row for row in rows["ret_line"].values()}
    sold = Counter(row["so_line_id"] for row in lines.values())
    assert sold and max(sold.values()) == 1, "no line comes back twice"
    shipped = ledger.sums("dlv_line", "so_line_id")
    assert all(round(row["qty"] * 1000) <= shipped[row["so_line_id"]] for row in lines.values())
    credited = [row for row in rows["ret_head"].values() if "notes" in row]
    assert len(credited) > 5
    for back in credited:
        (note,) = back["notes"]
        (line,) = [row for row in rows["inv_line"].values() if row["inv_id"] == note]
        assert (rows["inv_head"][note]["kind"], rows["inv_head"][note]["so_id"]) == ("GS", back["so_id"])
        assert (line["so_line_id"], line["qty"]) == (lines[back["id"]]["so_line_id"], lines[back["id"]]["qty"])
        assert line["net"] == back["net"]


def test_every_insert_has_its_columns_and_statement() -> None:
    for table, columns in SUPPLY_INSERTS.items():
        assert columns[0] == "id"
        assert f"insert_{table}_1" in ERP_STATEMENTS
    assert Order(1, 2, "EUR", []).waits == []
