"""Statements of the simulated company: each that is sent was prepared."""

from __future__ import annotations

import pytest

from streams.simulator.statements import CRM_INSERTS, CRM_STATEMENTS, ERP_INSERTS, ERP_STATEMENTS, MOST_ROWS, inserts


@pytest.mark.parametrize(
    ("tables", "statements"), [(CRM_INSERTS, CRM_STATEMENTS), (ERP_INSERTS, ERP_STATEMENTS)], ids=["crm", "erp"]
)
def test_any_number_of_rows_has_its_statements(tables: dict[str, tuple[str, ...]], statements: dict[str, str]) -> None:
    for table, columns in tables.items():
        sent = inserts(table, [[None] * len(columns)] * (MOST_ROWS + 1))
        assert {name for name, _ in sent} <= statements.keys(), table
        assert sum(len(values) for _, values in sent) == (MOST_ROWS + 1) * len(columns)
