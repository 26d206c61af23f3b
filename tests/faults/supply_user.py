"""What buyers, planners and service people do all day in the ERP: purchases, receipts, production, reservations,
movements, returns, repairs, pieces and contracts.

They bring what is rare elsewhere: a purchase for several orders and for our stock, partial receipts and too much, a
production order that is split or scrapped, returns without an order, of another piece, or of more than was shipped.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.faults.clerk import Act
from tests.faults.erp_user import LATELY

Step = Callable[[Act], None]

BY_CHANCE = "ORDER BY md5(id::text || %s) LIMIT 1"


class SupplyUser:
    """Acts by chance, on what it finds in the database."""

    def __init__(self, rng: random.Random, *, deletes: bool = True) -> None:
        self._rng = rng
        self.won: dict[str, float] = {}
        self.surely: set[str] = set()
        self._suppliers: list[int] = []
        self._items: list[int] = []
        acts: list[tuple[Step, float]] = [
            (self.supplier, 2), (self.change_supplier, 1), (self.buy, 12), (self.move_date, 10), (self.confirm, 6), (self.cancel, 1),
            (self.receive, 12), (self.take_back_receipt, 1), (self.supplier_bill, 3), (self.produce, 8), (self.make, 12), (self.reserve, 8),
            (self.pick, 5), (self.materials, 1), (self.move_stock, 4), (self.give_back, 6), (self.forward_return, 8), (self.repair, 4),
            (self.piece, 4), (self.contract, 2), (self.drop_reservation, 2), (self.drop_purchase_line, 2),
        ]  # fmt: skip
        self._acts = [step for step, _ in acts]
        gone = () if deletes else (self.drop_reservation, self.drop_purchase_line)
        self._weights = [0 if step in gone else weight for step, weight in acts]

    def act(self, act: Act) -> None:
        if not self._items:
            self._items = [row[0] for row in act.all("SELECT id FROM erp.item WHERE item_no LIKE 'F-%%' ORDER BY item_no")]  # fmt: skip
        step = self._rng.choices(self._acts, self._weights)[0]
        (step if self._suppliers else self.supplier)(act)

    def _day(self) -> int:
        """A day, yyyymmdd; now and then none."""
        return self._rng.choice([0, *(20260100 + self._rng.randint(1, 28) for _ in range(6))])

    def _add(self, act: Act, table: str, **values: object) -> int:
        columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        (key,) = act.one(f"INSERT INTO erp.{table} ({columns}) VALUES ({marks}) RETURNING id", *values.values())
        act.touch(f"erp.{table}", key)
        return int(key)

    def _change(self, act: Act, table: str, key: int, **values: object) -> None:
        changes = ", ".join(f"{name} = %s" for name in values)
        act.connection.execute(f"UPDATE erp.{table} SET {changes} WHERE id = %s".encode(), [*values.values(), key])
        act.touch(f"erp.{table}", key)

    def _any(self, act: Act, table: str, condition: str, columns: str = "id") -> Any:
        """A row of the newest two hundred, by chance."""
        newest = f"(SELECT * FROM erp.{table} ORDER BY id DESC LIMIT 200) t"
        return act.one(f"SELECT {columns} FROM {newest} WHERE {condition} {BY_CHANCE}", str(act.number))

    def _order_lines(self, act: Act, most: int) -> list[Any]:
        """Lines of confirmed orders of late: (line, order, item, quantity)."""
        return act.all(
            f"SELECT l.id, l.so_id, l.item_id, l.qty::int FROM {LATELY} h JOIN erp.so_line l ON l.so_id = h.id"
            " WHERE h.stat BETWEEN 20 AND 50 ORDER BY md5(l.id::text || %s) LIMIT %s", str(act.number), most,
        )  # fmt: skip

    # -- buying

    def supplier(self, act: Act) -> None:
        """Now and then one that is a customer, too."""
        customer = (
            act.one(f"SELECT id FROM erp.cust {BY_CHANCE}", str(act.number)) if self._rng.random() < 0.3 else None
        )
        key = self._add(
            act, "supp", name1=f"Lieferant {act.number}", memo="m", cust_id=customer[0] if customer else None
        )
        act.after.append(lambda: self._suppliers.append(key))

    def change_supplier(self, act: Act) -> None:
        key = self._rng.choice(self._suppliers)
        self._change(act, "supp", key, lead_days=act.number % 90, memo=f"memo {act.number}")

    def buy(self, act: Act) -> None:
        """For up to three orders, and sometimes for our stock."""
        lines = self._order_lines(act, self._rng.randint(1, 3))
        key = self._add(
            act, "po_head", supp_id=self._rng.choice(self._suppliers), stat=self._rng.choice([5, 10, 20, 20, 30]), net=act.number,
            exp_date=self._day(), prom_date=self._day(),
        )  # fmt: skip
        wanted = [(line, item, quantity) for line, _, item, quantity in lines]
        if not wanted or self._rng.random() < 0.3:
            wanted.append((None, self._rng.choice(self._items), 50))
        for number, (line, item, quantity) in enumerate(wanted):
            amount = quantity if self._rng.random() < 0.7 else max(1, quantity // 2)
            self._add(
                act, "po_line", po_id=key, pos=10 * (number + 1), so_line_id=line, item_id=item, qty=amount, price=3, net=3 * amount,
                exp_date=self._day() if self._rng.random() < 0.2 else None,
            )  # fmt: skip

    def move_date(self, act: Act) -> None:
        row = self._any(act, "po_head", "stat IN (20, 30, 40)")
        if row is not None:
            self._change(act, "po_head", row[0], exp_date=self._day())

    def confirm(self, act: Act) -> None:
        row = self._any(act, "po_head", "stat < 30")
        if row is not None:
            self._change(act, "po_head", row[0], stat=self._rng.choice([20, 30]), prom_date=self._day())

    def cancel(self, act: Act) -> None:
        row = self._any(act, "po_head", "stat < 40")
        if row is not None:
            self._change(act, "po_head", row[0], stat=90)

    def receive(self, act: Act) -> None:
        """A part, all, or too much of a purchase; some of it is refused."""
        row = self._any(act, "po_head", "stat IN (20, 30, 40)")
        lines = act.all("SELECT id, item_id, qty::int FROM erp.po_line WHERE po_id = %s ORDER BY pos", row[0]) if row else []  # fmt: skip
        if row is None or not lines:
            return
        receipt = self._add(act, "gr_head", po_id=row[0], stat=self._rng.choice("RRRRP"), whs="BER")
        for number, (line, item, quantity) in enumerate(lines):
            came = self._rng.choice([quantity, max(1, quantity // 2), quantity + 2])
            refused = self._rng.choice([None, None, None, 1])
            self._add(
                act,
                "gr_line",
                gr_id=receipt,
                pos=10 * (number + 1),
                po_line_id=line,
                item_id=item,
                qty=came,
                rej_qty=refused,
            )
        self._change(act, "po_head", row[0], stat=self._rng.choice([40, 50, 50]))

    def take_back_receipt(self, act: Act) -> None:
        row = self._any(act, "gr_head", "stat IN ('P', 'R')")
        if row is not None:
            self._change(act, "gr_head", row[0], stat=self._rng.choice("RBX"))

    def supplier_bill(self, act: Act) -> None:
        row = self._any(act, "po_head", "stat IN (40, 50)", "id, supp_id")
        if row is not None:
            self._add(act, "sinv", po_id=row[0], supp_id=row[1], net=act.number, open_amt=act.number, match="O")
            self._change(act, "po_head", row[0], stat=80)

    def drop_purchase_line(self, act: Act) -> None:
        row = self._any(act, "po_line", "NOT EXISTS (SELECT FROM erp.gr_line g WHERE g.po_line_id = t.id)")
        if row is not None:
            act.connection.execute("DELETE FROM erp.po_line WHERE id = %s", [row[0]])
            act.touch("erp.po_line", row[0], is_row=False)

    # -- making, keeping

    def produce(self, act: Act) -> None:
        """For one order line, sometimes by two orders; or for two lines at once."""
        lines = self._order_lines(act, self._rng.choice([1, 1, 2]))
        if not lines:
            return
        item = lines[0][2]
        lines = [line for line in lines if line[2] == item]
        orders = 2 if len(lines) == 1 and lines[0][3] > 1 and self._rng.random() < 0.3 else 1
        for _ in range(orders):
            amounts = [max(1, quantity // orders) for *_, quantity in lines]
            key = self._add(act, "pr_head", item_id=item, stat=self._rng.choice([5, 10, 20]), qty=sum(amounts), exp_date=self._day(), op_cnt=4)  # fmt: skip
            for number, (line, amount) in enumerate(zip(lines, amounts, strict=True)):
                self._add(
                    act, "pr_line", pr_id=key, pos=10 * (number + 1), so_line_id=line[0], item_id=item, qty=amount
                )

    def make(self, act: Act) -> None:
        """Started, a part finished, a part failed, another date, or over."""
        row = self._any(act, "pr_head", "stat IN (5, 10, 20, 30)", "id, qty::int, coalesce(fin_qty, 0)::int")
        if row is None:
            return
        key, quantity, finished = row
        done = self._rng.randint(finished, quantity)
        if self._rng.random() < 0.4:
            self._change(act, "pr_head", key, stat=self._rng.choice([20, 30]), exp_date=self._day(), op_no=1)
        elif self._rng.random() < 0.8:
            self._change(act, "pr_head", key, stat=30, fin_qty=done, op_no=2)
        else:
            self._change(
                act, "pr_head", key, stat=self._rng.choice([50, 50, 80, 90]), fin_qty=done, scr_qty=quantity - done
            )

    def reserve(self, act: Act) -> None:
        for line, order, item, quantity in self._order_lines(act, 1):
            self._add(act, "rsv", so_id=order, so_line_id=line, item_id=item, whs="BER", qty=self._rng.randint(1, quantity), stat="R")  # fmt: skip

    def pick(self, act: Act) -> None:
        row = self._any(act, "rsv", "stat <> 'X'")
        if row is not None:
            self._change(act, "rsv", row[0], stat=self._rng.choice("KKX"))

    def drop_reservation(self, act: Act) -> None:
        row = self._any(act, "rsv", "true")
        if row is not None:
            act.connection.execute("DELETE FROM erp.rsv WHERE id = %s", [row[0]])
            act.touch("erp.rsv", row[0], is_row=False)

    def materials(self, act: Act) -> None:
        item, part = self._rng.sample(self._items, 2)
        key = self._add(act, "bom_head", item_id=item, vers=str(act.number))
        self._add(act, "bom_line", bom_id=key, pos=10, item_id=part, qty=2)

    def move_stock(self, act: Act) -> None:
        self._add(act, "mov", item_id=self._rng.choice(self._items), kind=self._rng.choice("UI"), qty=1, from_whs="BER", to_whs="HAM", ref_no=f"m {act.number}")  # fmt: skip

    # -- service

    def give_back(self, act: Act) -> None:
        """Of an order of late, more than was shipped, too; now and then without an order, or of a piece nobody knows."""
        lines = self._order_lines(act, 1)
        if not lines:
            return
        line, order, item, quantity = lines[0]
        named = self._rng.random() < 0.8
        (customer,) = act.one("SELECT cust_id FROM erp.so_head WHERE id = %s", order)
        key = self._add(act, "ret_head", so_id=order if named else None, cust_id=customer, wish=self._rng.choice("ER"), net=act.number)  # fmt: skip
        self._add(
            act, "ret_line", ret_id=key, pos=10, so_line_id=line if named else None, item_id=item, qty=self._rng.randint(1, quantity + 1),
            serno=self._rng.choice([None, f"S-{act.number}"]),
        )  # fmt: skip

    def forward_return(self, act: Act) -> None:
        row = self._any(act, "ret_head", "stat IN (10, 20, 30, 40)", "id, stat")
        if row is None:
            return
        key, was = row
        status = self._rng.choice([was + 10, was + 10, was + 10, 70, 90]) if was < 40 else self._rng.choice([60, 80])
        self._change(act, "ret_head", key, stat=status)
        if status == 30:
            for (line,) in act.all("SELECT id FROM erp.ret_line WHERE ret_id = %s", key):
                self._change(act, "ret_line", line, cond="used")

    def repair(self, act: Act) -> None:
        row = self._any(act, "rep", "stat < 80", "id, stat") if self._rng.random() < 0.5 else None
        if row is not None:
            self._change(act, "rep", row[0], stat=self._rng.choice([status for status in (20, 30, 40, 50, 80) if status > row[1]]))  # fmt: skip
            return
        customer = act.one(f"SELECT id FROM erp.cust {BY_CHANCE}", str(act.number))
        if customer is not None:
            self._add(act, "rep", cust_id=customer[0], item_id=self._rng.choice(self._items), serno=f"S-{act.number}")

    def piece(self, act: Act) -> None:
        """A piece of a delivery, with its number; or what became of one."""
        row = self._any(act, "inst", "stat <> 'X'") if self._rng.random() < 0.3 else None
        if row is not None:
            return self._change(act, "inst", row[0], stat=self._rng.choice("URBX"), wty_date=self._day())
        sent = act.one(
            "SELECT h.so_id, h.id, o.cust_id, d.item_id FROM (SELECT * FROM erp.dlv_head ORDER BY id DESC LIMIT 200) h JOIN erp.dlv_line d ON d.dlv_id = h.id"
            " JOIN erp.so_head o ON o.id = h.so_id WHERE h.stat IN ('S', 'D') ORDER BY md5(d.id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
        if sent is not None:
            self._add(act, "inst", so_id=sent[0], dlv_id=sent[1], cust_id=sent[2], item_id=sent[3], serno=f"S-{act.number}", wty_date=self._day())  # fmt: skip

    def contract(self, act: Act) -> None:
        row = self._any(act, "ctr", "stat = 'A'") if self._rng.random() < 0.3 else None
        if row is not None:
            return self._change(act, "ctr", row[0], stat=self._rng.choice("ZK"), net=act.number)
        customer = act.one(f"SELECT id FROM erp.cust {BY_CHANCE}", str(act.number))
        if customer is not None:
            self._add(act, "ctr", cust_id=customer[0], kind="W", net=act.number, beg_date=20250101, end_date=20270101)
