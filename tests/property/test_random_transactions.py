"""Whatever transactions the applications run, the hub and the topics end up saying what the databases say.

The databases are the oracle: `verify` reads them again, row by row. Each example is a list of transactions; they pile up in the same databases.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streams.stack.native import NativeStack
from tests.conftest import Pipeline, stack_settings

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=40
)
NAME = TEXT.filter(lambda text: any(letter.isalnum() for letter in text))
"""One that is left of when it is cleansed: a record that must have a name is rejected without."""
MONEY = st.decimals(min_value=0, max_value=99_999, places=2)

STATEMENTS: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "new account": ("CRM", "INSERT INTO account (name, notes) VALUES (%s, repeat(%s, 3000))", (NAME, TEXT)),
    "rename account": ("CRM", "UPDATE account SET name = %s WHERE id = (SELECT id FROM account ORDER BY md5(id::text || %s) LIMIT 1)", (NAME, TEXT)),
    "soft delete account": ("CRM", "UPDATE account SET is_deleted = NOT is_deleted WHERE id = (SELECT id FROM account ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT,)),
    "new contact": ("CRM", "INSERT INTO contact (account_id, last_name) SELECT id, %s FROM account ORDER BY md5(id::text || %s) LIMIT 1", (TEXT, TEXT)),
    "move contact": ("CRM", "UPDATE contact SET account_id = (SELECT id FROM account ORDER BY md5(id::text || %s) LIMIT 1) WHERE id = (SELECT id FROM contact ORDER BY id LIMIT 1)", (TEXT,)),
    "delete contact": ("CRM", "DELETE FROM contact WHERE id = (SELECT id FROM contact ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT,)),
    "new opportunity": ("CRM", "INSERT INTO opportunity (account_id, name, amount) SELECT id, %s, %s FROM account ORDER BY id LIMIT 1", (TEXT, MONEY)),
    "win opportunities": ("CRM", "UPDATE opportunity SET stage = 'Closed Won', won_at = now() WHERE md5(id::text || %s) < '8'", (TEXT,)),
    "new customer": ("ERP", "INSERT INTO erp.cust (name1, cred_lim) VALUES (%s, %s)", (NAME, MONEY)),
    "new orders": ("ERP", "INSERT INTO erp.so_head (cust_id, memo) SELECT id, %s FROM erp.cust ORDER BY md5(id::text || %s) LIMIT 3", (TEXT, TEXT)),
    "new lines": ("ERP", "INSERT INTO erp.so_line (so_id, pos, item_id, qty, price) SELECT id, 10, 1, 2, %s FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 4", (MONEY, TEXT)),
    "delete lines": ("ERP", "DELETE FROM erp.so_line WHERE id IN (SELECT id FROM erp.so_line ORDER BY md5(id::text || %s) LIMIT 2)", (TEXT,)),
    "delete order": ("ERP", "DELETE FROM erp.so_head WHERE id = (SELECT id FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT,)),
    "invoice": ("ERP", "INSERT INTO erp.inv_head (so_id, cust_id, net, tax, gross) SELECT id, cust_id, 100, 19, 119 FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 2", (TEXT,)),
    "invoice with freight": ("ERP", "INSERT INTO erp.inv_head (so_id, cust_id, freight, disc_amt, net, tax, gross) SELECT id, cust_id, 15, 5, 110, 19, 129 FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 1", (TEXT,)),
    "invoice lines": ("ERP", "INSERT INTO erp.inv_line (inv_id, pos, item_id, descr, qty, price, net) SELECT id, 10, 1, %s, 2, %s, 100 FROM erp.inv_head ORDER BY md5(id::text || %s) LIMIT 3", (TEXT, MONEY, TEXT)),
    "delete invoice lines": ("ERP", "DELETE FROM erp.inv_line WHERE id IN (SELECT id FROM erp.inv_line ORDER BY md5(id::text || %s) LIMIT 2)", (TEXT,)),
    "move invoice lines": ("ERP", "UPDATE erp.inv_line SET inv_id = (SELECT id FROM erp.inv_head ORDER BY md5(id::text || %s) LIMIT 1) WHERE id = (SELECT id FROM erp.inv_line ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT, TEXT)),
    "ship elsewhere": ("ERP", "UPDATE erp.so_head SET shp_street = %s, inco = 'DAP' WHERE id = (SELECT id FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT, TEXT)),
    "pay": ("ERP", "INSERT INTO erp.pay (inv_id, cust_id, amt, paid_ts) SELECT id, cust_id, 50, now() FROM erp.inv_head ORDER BY md5(id::text || %s) LIMIT 2", (TEXT,)),
    "move lines": ("ERP", "UPDATE erp.so_line SET so_id = (SELECT id FROM erp.so_head ORDER BY md5(id::text || %s) LIMIT 1) WHERE id = (SELECT id FROM erp.so_line ORDER BY md5(id::text || %s) LIMIT 1)", (TEXT, TEXT)),
}  # fmt: skip


@st.composite
def statement(draw: st.DrawFn) -> tuple[str, str, list[Any]]:
    system, sql, values = STATEMENTS[draw(st.sampled_from(sorted(STATEMENTS)))]
    return system, sql, [draw(value) for value in values]


transactions = st.lists(st.lists(statement(), min_size=1, max_size=4), min_size=5, max_size=25)


@pytest.fixture(scope="module")
def running() -> Any:
    """A stack of its own: the comparison is of all that the databases, hub and topics hold, other tests' rows included."""
    folder = Path(tempfile.mkdtemp(prefix="opshub-random-"))
    stack = NativeStack(stack_settings(folder), end_with_parent=True)
    try:
        stack.up()
        pipeline = Pipeline(stack, stack.settings)
        with pipeline.connect("CRM") as crm, pipeline.connect("ERP") as erp:
            crm.execute("INSERT INTO account (name) VALUES ('First Ltd')")
            erp.execute("INSERT INTO erp.cust (name1, cred_lim) VALUES ('First Ltd', 1000)")
        pipeline.start_worker("property")
        yield pipeline
        pipeline.stop_workers()
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(1800)
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example takes seconds, and leaves its rows behind
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
@given(work=transactions)
def test_the_hub_says_what_the_databases_say(running: Any, work: list[list[tuple[str, str, list[Any]]]]) -> None:
    with running.connect("CRM") as crm, running.connect("ERP") as erp:
        for transaction in work:
            with crm.transaction(), erp.transaction():
                for system, sql, values in transaction:
                    (crm if system == "CRM" else erp).execute(sql, values)
    running.drain(600)
    verdict = running.verify()
    assert verdict.holds, verdict.examples
    assert verdict.source_rows > 0


@pytest.mark.timeout(1800)
def test_a_rejected_row_is_not_gone(running: Any) -> None:
    """A name of blanks is rejected; what the hub knew of the account before is neither lost nor wrong."""
    with running.connect("CRM") as crm:
        crm.execute("INSERT INTO account (name) VALUES ('Short Lived')")
        running.drain(600)
        crm.execute("UPDATE account SET name = E'\\u0085' WHERE name = 'Short Lived'")
    running.drain(600)
    verdict = running.verify()
    assert (verdict.holds, verdict.rejected) == (True, 1), verdict.examples
