"""What sales, warehouse and accounting do all day in the ERP: customers, orders, partial shipments, invoices, payments,
credit notes, returns.

Orders that write-back made are shipped, invoiced and paid as any other; their heads and lines are left as they came.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.faults.clerk import Act

Step = Callable[[Act], None]

LATELY = "(SELECT * FROM erp.so_head ORDER BY id DESC LIMIT 300)"
OPEN_LINES = """SELECT l.id, l.item_id, l.qty::int - coalesce((SELECT sum(p.qty)::int FROM erp.dlv_line p JOIN erp.dlv_head d ON d.id = p.dlv_id
    WHERE p.so_line_id = l.id AND d.stat NOT IN ('R', 'X')), 0) AS left FROM erp.so_line l WHERE l.so_id = %s ORDER BY l.pos"""


class ErpUser:
    """Acts by chance, on what it finds in the database."""

    def __init__(self, rng: random.Random, *, deletes: bool = True) -> None:
        self._rng = rng
        self._deletes = deletes
        self.won: dict[str, float] = {}
        self.surely: set[str] = set()
        self._customers: list[int] = []
        self._items: list[int] = []
        acts: list[tuple[Step, float]] = [
            (self.customer, 8), (self.change_customer, 3), (self.order, 16), (self.bare_head, 4), (self.drop_order, 4), (self.change_line, 8),
            (self.cancel, 2), (self.memo, 4), (self.ship, 16), (self.forward, 10), (self.bill, 11), (self.pay, 10), (self.settle, 2),
            (self.credit, 2), (self.drop_payment, 1), (self.stock, 4), (self.price, 1),
        ]  # fmt: skip
        self._acts = [step for step, _ in acts]
        gone = () if deletes else (self.drop_order, self.drop_payment)
        self._weights = [0 if step in gone else weight for step, weight in acts]

    def act(self, act: Act) -> None:
        if not self._items:
            self._items = [row[0] for row in act.all("SELECT id FROM erp.item WHERE item_no LIKE 'F-%%' ORDER BY item_no")]  # fmt: skip
        step = self._rng.choices(self._acts, self._weights)[0]
        (step if self._customers else self.customer)(act)

    # -- sales

    def customer(self, act: Act) -> None:
        (key,) = act.one(
            "INSERT INTO erp.cust (name1, memo, ctry, cred_lim) VALUES (%s, 'm', 'DE', 5000) RETURNING id", f"Kunde {act.number}"
        )  # fmt: skip
        act.touch("erp.cust", key)
        act.after.append(lambda: self._customers.append(key))

    def change_customer(self, act: Act) -> None:
        key = self._rng.choice(self._customers)
        terms = self._rng.choice(["14N", "30N", "60N"])
        act.connection.execute("UPDATE erp.cust SET cred_lim = %s, pay_terms = %s WHERE id = %s", [act.number, terms, key])  # fmt: skip
        act.touch("erp.cust", key)

    def order(self, act: Act) -> None:
        status, currency = self._rng.choice([10, 20, 20, 20]), self._rng.choice(["EUR", "EUR", "EUR", "USD"])
        (key,) = act.one(
            "INSERT INTO erp.so_head (cust_id, stat, curr, memo) VALUES (%s, %s, %s, %s) RETURNING id",
            self._rng.choice(self._customers), status, currency, f"memo {act.number}",
        )  # fmt: skip
        act.touch("erp.so_head", key)
        for n in range(self._rng.choice([1, 2, 2, 4])):
            self._line(act, key, 10 * (n + 1))

    def _line(self, act: Act, order: int, pos: int) -> None:
        (key,) = act.one(
            "INSERT INTO erp.so_line (so_id, pos, item_id, qty, price) VALUES (%s, %s, %s, %s, %s) RETURNING id",
            order, pos, self._rng.choice(self._items), self._rng.randint(1, 20), self._rng.choice([1.25, 9.99, 100]),
        )  # fmt: skip
        act.touch("erp.so_line", key)

    def bare_head(self, act: Act) -> None:
        (key,) = act.one(
            "INSERT INTO erp.so_head (cust_id, memo) VALUES (%s, %s) RETURNING id", self._rng.choice(self._customers), f"memo {act.number}"
        )  # fmt: skip
        act.touch("erp.so_head", key)

    def drop_order(self, act: Act) -> None:
        key = self._untouched(act)
        if key is not None:
            lines = act.all("SELECT id FROM erp.so_line WHERE so_id = %s", key)
            act.connection.execute("DELETE FROM erp.so_head WHERE id = %s", [key])
            act.touch("erp.so_line", *(row[0] for row in lines), is_row=False)
            act.touch("erp.so_head", key, is_row=False)

    def cancel(self, act: Act) -> None:
        key = self._untouched(act)
        if key is not None:
            act.connection.execute("UPDATE erp.so_head SET stat = 90 WHERE id = %s", [key])
            act.touch("erp.so_head", key)

    def change_line(self, act: Act) -> None:
        key = self._untouched(act)
        lines = act.all("SELECT id FROM erp.so_line WHERE so_id = %s ORDER BY pos", key) if key is not None else []
        if key is None:
            return
        what = self._rng.random()
        if what < 0.5 and lines:
            line = self._rng.choice(lines)[0]
            act.connection.execute("UPDATE erp.so_line SET qty = %s, disc = %s WHERE id = %s", [self._rng.randint(1, 20), self._rng.choice([None, 5]), line])  # fmt: skip
            act.touch("erp.so_line", line)
        elif what < 0.7 and lines and self._deletes:
            act.connection.execute("DELETE FROM erp.so_line WHERE id = %s", [lines[-1][0]])
            act.touch("erp.so_line", lines[-1][0], is_row=False)
        else:
            self._line(act, key, 10 * (len(lines) + 1))
        act.touch("erp.so_head", key)

    def memo(self, act: Act) -> None:
        row = act.one(f"SELECT id FROM {LATELY} h ORDER BY md5(id::text || %s) LIMIT 1", str(act.number))
        if row is not None:
            act.connection.execute("UPDATE erp.so_head SET memo = %s WHERE id = %s", [f"memo {act.number}", row[0]])
            act.touch("erp.so_head", row[0])

    def _untouched(self, act: Act) -> int | None:
        """An order of ours of which nothing hangs yet."""
        row = act.one(
            f"SELECT id FROM {LATELY} h WHERE ext_ref IS NULL AND crm_opp IS NULL AND stat IN (10, 20) AND memo LIKE 'memo %%'"
            " AND NOT EXISTS (SELECT FROM erp.dlv_head d WHERE d.so_id = h.id) AND NOT EXISTS (SELECT FROM erp.inv_head i WHERE i.so_id = h.id)"
            " ORDER BY md5(id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
        return None if row is None else int(row[0])

    # -- warehouse

    def ship(self, act: Act) -> None:
        """All that is left of an order, or a part of it; planned, or gone at once."""
        row = act.one(f"SELECT id FROM {LATELY} h WHERE stat BETWEEN 20 AND 40 ORDER BY md5(id::text || %s) LIMIT 1", str(act.number))  # fmt: skip
        left = [] if row is None else [one for one in act.all(OPEN_LINES, row[0]) if one[2] > 0]
        if row is None or not left:
            return
        sent = self._rng.random() < 0.6
        (key,) = act.one(
            "INSERT INTO erp.dlv_head (so_id, stat, carr, shp_ts) VALUES (%s, %s, 'DHL', CASE WHEN %s THEN localtimestamp END) RETURNING id",
            row[0], "S" if sent else "P", sent,
        )  # fmt: skip
        act.touch("erp.dlv_head", key)
        partly = self._rng.random() < 0.5
        for line, item, quantity in left[: 1 if partly else None]:
            part = max(1, quantity // 2) if partly else quantity
            (one,) = act.one(
                "INSERT INTO erp.dlv_line (dlv_id, so_line_id, item_id, qty, lot) VALUES (%s, %s, %s, %s, %s) RETURNING id",
                key, line, item, part, f"L{act.number}",
            )  # fmt: skip
            act.touch("erp.dlv_line", one)
        act.connection.execute("UPDATE erp.so_head SET stat = 40 WHERE id = %s", [row[0]])
        act.touch("erp.so_head", row[0])

    def forward(self, act: Act) -> None:
        """What was planned leaves, what left arrives; now and then one is cancelled or comes back."""
        row = act.one(
            "SELECT id, stat FROM (SELECT * FROM erp.dlv_head ORDER BY id DESC LIMIT 200) d WHERE stat IN ('P', 'S')"
            " ORDER BY md5(id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
        if row is None:
            return
        key, was = row
        strange = self._rng.random() < 0.08
        status = ("X" if strange else "S") if was == "P" else ("R" if strange else "D")
        column = {"S": ", shp_ts = localtimestamp", "D": ", dlv_ts = localtimestamp"}.get(status, "")
        act.connection.execute(f"UPDATE erp.dlv_head SET stat = %s{column} WHERE id = %s".encode(), [status, key])
        act.touch("erp.dlv_head", key)

    def stock(self, act: Act) -> None:
        key = self._rng.choice(self._items)
        act.connection.execute("UPDATE erp.stock SET qty = qty + 1, rsv = coalesce(rsv, 0) + 0.5 WHERE item_id = %s AND whs = 'BER'", [key])  # fmt: skip
        act.touch("erp.stock", f"{key}|BER")

    def price(self, act: Act) -> None:
        key = self._rng.choice(self._items)
        act.connection.execute("UPDATE erp.item SET price = %s, wgt = %s WHERE id = %s", [act.number / 8, act.number / 4, key])  # fmt: skip
        act.touch("erp.item", key)

    # -- accounting

    def bill(self, act: Act) -> None:
        """An order that has no invoice, or only half of it is invoiced."""
        row = act.one(
            f"SELECT id, cust_id, curr, net, gross - net FROM {LATELY} h WHERE stat BETWEEN 20 AND 60 AND net > 0"
            " AND (SELECT count(*) FROM erp.inv_head i WHERE i.so_id = h.id AND i.kind = 'RE') < 2 ORDER BY md5(id::text || %s) LIMIT 1",
            str(act.number),
        )  # fmt: skip
        if row is not None:
            self._invoice(act, "RE", row[:3], round(row[3] / 2, 2), round(row[4] / 2, 2))

    def credit(self, act: Act) -> None:
        row = act.one(
            "SELECT so_id, cust_id, curr, net, tax FROM (SELECT * FROM erp.inv_head ORDER BY id DESC LIMIT 200) i WHERE kind = 'RE'"
            " ORDER BY md5(id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
        if row is not None:
            self._invoice(act, "GS", row[:3], round(row[3] / 5, 2), round(row[4] / 5, 2))

    def _invoice(self, act: Act, kind: str, head: Any, net: Any, tax: Any) -> None:
        (key,) = act.one(
            "INSERT INTO erp.inv_head (kind, so_id, cust_id, curr, net, tax, gross, inv_date, due_date) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, 20250102, 20250201) RETURNING id", kind, *head, net, tax, net + tax,
        )  # fmt: skip
        act.touch("erp.inv_head", key)
        (line,) = act.one(
            "INSERT INTO erp.inv_line (inv_id, pos, descr, qty, price, net) VALUES (%s, 10, %s, 1, %s, %s) RETURNING id",
            key, f"{kind} {act.number}", net, net,
        )  # fmt: skip
        act.touch("erp.inv_line", line)

    def pay(self, act: Act) -> None:
        """All that is open, or a part of it; some of it is only announced."""
        row = act.one(
            "SELECT id, cust_id, curr, open_amt FROM (SELECT * FROM erp.inv_head ORDER BY id DESC LIMIT 200) i WHERE kind = 'RE'"
            " AND stat IN ('10', '20') AND open_amt > 0 ORDER BY md5(id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
        if row is None:
            return
        amount = row[3] if self._rng.random() < 0.6 else round(row[3] / 3, 2)
        (key,) = act.one(
            "INSERT INTO erp.pay (inv_id, cust_id, curr, amt, stat, paid_ts, ref) VALUES (%s, %s, %s, %s, %s, localtimestamp, %s) RETURNING id",
            *row[:3], amount, self._rng.choice("CCCCP"), f"statement {act.number}",
        )  # fmt: skip
        act.touch("erp.pay", key)
        act.touch("erp.inv_head", row[0])

    def settle(self, act: Act) -> None:
        """A payment that was announced comes, one that came is taken back."""
        row = self._payment(act)
        if row is not None:
            act.connection.execute("UPDATE erp.pay SET stat = %s WHERE id = %s", ["C" if row[1] == "P" else "R", row[0]])  # fmt: skip
            act.touch("erp.pay", row[0])
            act.touch("erp.inv_head", row[2])

    def drop_payment(self, act: Act) -> None:
        row = self._payment(act)
        if row is not None:
            act.connection.execute("DELETE FROM erp.pay WHERE id = %s", [row[0]])
            act.touch("erp.pay", row[0], is_row=False)

    def _payment(self, act: Act) -> Any:
        return act.one(
            "SELECT id, stat, inv_id FROM (SELECT * FROM erp.pay ORDER BY id DESC LIMIT 200) p WHERE stat <> 'R'"
            " ORDER BY stat = 'P' DESC, md5(id::text || %s) LIMIT 1", str(act.number),
        )  # fmt: skip
