"""What catalogue facts of a source mean for capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from streams.monitor.source_preflight import DatabaseFacts, TableFacts, judge_database, judge_table
from tests.factories import compiled

CRM: Any = SimpleNamespace(name="crm", config={"publication.name": "opshub", "signal.data.collection": "public.signal"})
TABLE = compiled(
    """
system: test
tables:
  public.t:
    key: id
    to:
      - {entity: sales_order_line, parent: o, fields: {line_no: n}}
"""
).tables["public.t"]
DATABASE = DatabaseFacts("logical", "capture", True, 3, False, "10GB", False, True)
FACTS = TableFacts("d", False, 100, True, True, True, False, ["id", "o", "n"])


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"wal_level": "replica"}, ["wal-level"]),
        ({"may_replicate": False}, ["role-replication"]),
        ({"free_slots": 0}, ["slots-used"]),
        ({"free_slots": 0, "has_slot": True}, []),
        ({"wal_limit": "-1"}, ["wal-unbounded"]),
        ({"publishes_all": None}, ["publication-missing"]),
        ({"publishes_all": True}, ["publication-all"]),
        ({"publishes_signals": False}, ["signals-unpublished"]),
    ],
)
def test_facts_of_a_database_give_findings(change: dict[str, Any], codes: list[str]) -> None:
    findings = judge_database(CRM, msgspec.structs.replace(DATABASE, **change))
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"may_read": False}, ["table-right"]),
        ({"is_published": False}, ["table-unpublished"]),
        ({"has_key": False}, ["replica-identity"]),
        ({"replica_identity": "n"}, ["replica-identity"]),
        ({"replica_identity": "f", "has_key": False}, []),
        ({"has_row_security": True}, ["row-security"]),
        ({"has_row_security": True, "bypasses_row_security": True}, []),
        ({"columns": ["id", "o"]}, ["column-missing"]),
        ({"columns": [], "may_read": False}, ["table-right"]),
    ],
)
def test_facts_of_a_table_give_findings(change: dict[str, Any], codes: list[str]) -> None:
    findings = judge_table(CRM, TABLE, msgspec.structs.replace(FACTS, **change))
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


def test_a_table_that_does_not_exist_is_a_mistake_in_the_dictionary() -> None:
    (finding,) = judge_table(CRM, TABLE, None)
    assert (finding.code, finding.side) == ("table-missing", "input")
