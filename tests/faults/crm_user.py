"""What a sales person does all day: accounts, people, deals with items that are won or lost, complaints."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.faults.clerk import Act, uuid_of

WIDE = "wide " * 800
"""Past TOAST's threshold: left out of events that do not touch it."""

Step = Callable[[Act], None]


class CrmUser:
    """Acts by chance. Rows of one statement share an LSN; there are COPY, primary-key updates, wide values, nulls and
    deletes.
    """

    def __init__(self, rng: random.Random, *, deletes: bool = True) -> None:
        self._rng = rng
        self._deletes = deletes
        self.won: dict[str, float] = {}
        self.surely: set[str] = set()
        self._accounts: list[str] = []
        self._estimates: list[str] = []
        """Opportunities without items, that stay open."""
        self._deals: list[str] = []
        """Open opportunities with items."""
        self._cases: list[str] = []
        self._goods: list[tuple[str, str]] = []
        acts: list[tuple[Step, float]] = [
            (self.accounts, 10), (self.estimate, 6), (self.deal, 16), (self.change_item, 8), (self.win, 6), (self.lose, 2),
            (self.people, 10), (self.move_person, 7), (self.drop_person, 5), (self.change_account, 12), (self.change_estimate, 9),
            (self.drop_estimate, 3), (self.complaint, 4), (self.change_good, 2),
        ]  # fmt: skip
        self._acts = [step for step, _ in acts]
        gone = () if deletes else (self.move_person, self.drop_person, self.drop_estimate)
        self._weights = [0 if step in gone else weight for step, weight in acts]

    def act(self, act: Act) -> None:
        if not self._goods:
            self._goods = act.all("SELECT id::text, sku FROM product WHERE sku LIKE 'F-%%' ORDER BY sku")
        step = self._rng.choices(self._acts, self._weights)[0]
        (step if self._accounts else self.accounts)(act)

    def accounts(self, act: Act) -> None:
        rows = act.all(
            "INSERT INTO account (name, notes, industry, billing_country) SELECT 'Firm ' || %s || '-' || n, %s, 'Retail', 'Germany' "
            "FROM generate_series(1, %s) n RETURNING id::text", act.number, WIDE + str(act.number), self._rng.choice([1, 1, 5])
        )  # fmt: skip
        keys = [row[0] for row in rows]
        act.touch("public.account", *keys)
        act.after.append(lambda: self._accounts.extend(keys))

    def change_account(self, act: Act) -> None:
        key = self._rng.choice(self._accounts)
        industry = self._rng.choice(["Energy", "Logistics", None])
        act.connection.execute("UPDATE account SET tags = %s, industry = %s WHERE id = %s", [[f"tag{act.number}"], industry, key])  # fmt: skip
        act.touch("public.account", key)

    def estimate(self, act: Act) -> None:
        (key,) = act.one(
            "INSERT INTO opportunity (name, account_id, stage, amount, description) VALUES (%s, %s, 'Prospecting', %s, %s) RETURNING id::text",
            f"Estimate {act.number}", self._rng.choice(self._accounts), act.number, WIDE + str(act.number),
        )  # fmt: skip
        act.touch("public.opportunity", key)
        act.after.append(lambda: self._estimates.append(key))

    def change_estimate(self, act: Act) -> None:
        if not self._estimates:
            return self.estimate(act)
        key = self._rng.choice(self._estimates[-30:])
        act.connection.execute(
            "UPDATE opportunity SET amount = %s, probability = %s WHERE id = %s", [act.number, act.number % 100, key]
        )
        act.touch("public.opportunity", key)

    def drop_estimate(self, act: Act) -> None:
        """Into the recycle bin, or gone for good."""
        if not self._estimates:
            return
        key = self._rng.choice(self._estimates)
        if self._rng.random() < 0.5:
            act.connection.execute("DELETE FROM opportunity WHERE id = %s", [key])
            act.touch("public.opportunity", key, is_row=False)
        else:
            act.connection.execute("UPDATE opportunity SET is_deleted = true WHERE id = %s", [key])
            act.touch("public.opportunity", key)
        act.after.append(lambda: self._estimates.remove(key))

    def deal(self, act: Act) -> None:
        """The header is worth what its items are: else nobody orders it."""
        (key,) = act.one(
            "INSERT INTO opportunity (name, account_id, stage, owner_name) VALUES (%s, %s, 'Proposal/Quote', 'Ada Byron') RETURNING id::text",
            f"Deal {act.number}", self._rng.choice(self._accounts),
        )  # fmt: skip
        act.touch("public.opportunity", key)
        for line in range(self._rng.choice([1, 1, 2, 3])):
            good, sku = self._rng.choice(self._goods)
            (item,) = act.one(
                "INSERT INTO opportunity_item (opportunity_id, product_id, line_no, description, quantity, unit_price, net_amount) "
                "VALUES (%s, %s, %s, %s, %s, 12.50, %s * 12.50) RETURNING id::text", key, good, line + 1, sku, *[self._rng.randint(1, 9)] * 2,
            )  # fmt: skip
            act.touch("public.opportunity_item", item)
        _sum_up(act, key)
        act.after.append(lambda: self._deals.append(key))

    def change_item(self, act: Act) -> None:
        """Another quantity, one item more, or one less, and the header with it."""
        if not self._deals:
            return self.deal(act)
        key = self._rng.choice(self._deals[-30:])
        items = act.all("SELECT id::text FROM opportunity_item WHERE opportunity_id = %s ORDER BY line_no", key)
        what, quantity = self._rng.random(), self._rng.randint(1, 9)
        if what < 0.6 and items:
            item = self._rng.choice(items)[0]
            act.connection.execute("UPDATE opportunity_item SET quantity = %s, net_amount = %s * unit_price WHERE id = %s", [quantity, quantity, item])  # fmt: skip
            act.touch("public.opportunity_item", item)
        elif what < 0.8 or len(items) < 2 or not self._deletes:
            good, sku = self._rng.choice(self._goods)
            (item,) = act.one(
                "INSERT INTO opportunity_item (opportunity_id, product_id, line_no, description, quantity, unit_price, net_amount) "
                "SELECT %s, %s, coalesce(max(line_no), 0) + 1, %s, %s, 9.99, %s * 9.99 FROM opportunity_item WHERE opportunity_id = %s RETURNING id::text",
                key, good, sku, quantity, quantity, key,
            )  # fmt: skip
            act.touch("public.opportunity_item", item)
        else:
            act.connection.execute("DELETE FROM opportunity_item WHERE id = %s", [items[-1][0]])
            act.touch("public.opportunity_item", items[-1][0], is_row=False)
        _sum_up(act, key)

    def win(self, act: Act) -> None:
        if not self._deals:
            return self.deal(act)
        key = self._rng.choice(self._deals)
        self.won[key] = time.monotonic()
        act.connection.execute(
            "UPDATE opportunity SET stage = 'Closed Won', probability = 100, won_at = now() WHERE id = %s", [key]
        )
        act.touch("public.opportunity", key)
        act.after += [lambda: self._deals.remove(key), lambda: self.surely.add(key)]

    def lose(self, act: Act) -> None:
        if not self._deals:
            return
        key = self._rng.choice([key for key in self._deals if key not in self.won] or self._estimates or [""])
        if not key:
            return
        act.connection.execute(
            "UPDATE opportunity SET stage = 'Closed Lost', probability = 0, lost_reason = 'Price' WHERE id = %s", [key]
        )
        act.touch("public.opportunity", key)
        act.after.append(lambda: _take(key, self._deals, self._estimates))

    def people(self, act: Act) -> None:
        key = self._rng.choice(self._accounts)
        with (
            act.connection.cursor() as cursor,
            cursor.copy("COPY contact (id, account_id, last_name, title) FROM STDIN") as copy,
        ):
            for n in range(3):
                contact = uuid_of(self._rng)
                copy.write_row((contact, key, f"Person {act.number}-{n}", f"Role {act.number}"))
                act.touch("public.contact", contact)

    def move_person(self, act: Act) -> None:
        """The old row's id leaves, another comes: two events in one transaction."""
        row = self._person(act)
        if row is not None:
            new = uuid_of(self._rng)
            act.connection.execute("UPDATE contact SET id = %s WHERE id = %s", [new, row[0]])
            act.touch("public.contact", row[0], is_row=False)
            act.touch("public.contact", new)

    def drop_person(self, act: Act) -> None:
        row = self._person(act)
        if row is not None:
            act.connection.execute("DELETE FROM contact WHERE id = %s", [row[0]])
            act.touch("public.contact", row[0], is_row=False)

    def _person(self, act: Act) -> tuple[str] | None:
        found: tuple[str] | None = act.one("SELECT id::text FROM contact WHERE id >= %s ORDER BY id LIMIT 1", uuid_of(self._rng))  # fmt: skip
        return found

    def complaint(self, act: Act) -> None:
        if self._cases and self._rng.random() < 0.5:
            key = self._rng.choice(self._cases)
            act.connection.execute("UPDATE service_case SET status = 'Closed', closed_at = now() WHERE id = %s", [key])
        else:
            # Of the kinds for which no rule enters anything in the ERP: what the rules do is checked elsewhere.
            order = act.one("SELECT account_id::text, erp_order_no FROM opportunity WHERE erp_order_no IS NOT NULL ORDER BY md5(id::text || %s) LIMIT 1", str(act.number))  # fmt: skip
            account, number = order or (self._rng.choice(self._accounts), None)
            (key,) = act.one(
                "INSERT INTO service_case (account_id, product_id, subject, kind, erp_order_no, serial_number, contacts) "
                "VALUES (%s, %s, %s, %s, %s, %s, 1) RETURNING id::text",
                account, self._rng.choice(self._goods)[0], f"Case {act.number}", self._rng.choice(["Question", "Complaint", "Repair"]),
                number if self._rng.random() < 0.8 else f"SO-{act.number}", self._rng.choice([None, None, f"S-{act.number // 2}"]),
            )  # fmt: skip
            act.after.append(lambda: self._cases.append(key))
        act.touch("public.service_case", key)

    def change_good(self, act: Act) -> None:
        key = self._rng.choice(self._goods)[0]
        act.connection.execute("UPDATE product SET description = %s WHERE id = %s", [f"as of {act.number}", key])
        act.touch("public.product", key)


def _sum_up(act: Act, key: str) -> None:
    act.connection.execute(
        "UPDATE opportunity SET amount = (SELECT sum(net_amount) FROM opportunity_item WHERE opportunity_id = %s) WHERE id = %s",
        [key, key],
    )
    act.touch("public.opportunity", key)


def _take(key: str, *lists: list[str]) -> None:
    for one in lists:
        if key in one:
            one.remove(key)
