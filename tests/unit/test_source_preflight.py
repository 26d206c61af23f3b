"""What catalogue facts of a source mean for capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from streams.capture.captured_tables import Column, Leaf, Publication, TableFacts, judge_publication, judge_table
from streams.monitor.source_preflight import DatabaseFacts, judge_database
from tests.factories import compiled

CRM: Any = SimpleNamespace(
    name="crm",
    dictionary=SimpleNamespace(kind="postgres"),
    config={"publication.name": "opshub", "signal.data.collection": "public.signal"},
)
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
FULL = compiled(
    """
system: test
tables:
  public.t:
    key: id
    before: full
    to:
      - {entity: sales_order_line, parent: o, fields: {line_no: n}}
"""
).tables["public.t"]
DATABASE = DatabaseFacts("logical", "capture", True, 3, False, "10GB", True, True)
LEAF = Leaf("public.t", 7, identity_columns=["id"])
FACTS = TableFacts(
    "public.t",
    7,
    columns=[Column(name) for name in ("id", "o", "n", "not_read")],
    published_columns=["id", "o", "n", "not_read"],
    leaves=[LEAF],
    primary_key=["id"],
)
PUBLICATION = Publication()


def column(**facts: Any) -> list[Column]:
    """The table's columns, where `n` is another one."""
    return [Column("id"), Column("o"), Column("n", **facts), Column("not_read", generated="s")]


def leaf(**facts: Any) -> list[Leaf]:
    return [msgspec.structs.replace(LEAF, **facts)]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"wal_level": "replica"}, ["wal-level"]),
        ({"may_replicate": False}, ["role-replication"]),
        ({"free_slots": 0}, ["slots-used"]),
        ({"free_slots": 0, "has_slot": True}, []),
        ({"wal_limit": "-1"}, ["wal-unbounded"]),
        ({"publishes_signals": False}, ["signals-unpublished"]),
        ({"publishes_heartbeats": False}, ["heartbeats-unpublished"]),
        ({"publishes_heartbeats": None}, []),
    ],
)
def test_facts_of_a_database_give_findings(change: dict[str, Any], codes: list[str]) -> None:
    findings = judge_database(CRM, msgspec.structs.replace(DATABASE, **change))
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("publication", "codes"),
    [
        (PUBLICATION, []),
        (None, ["publication-missing"]),
        (Publication(has_all_tables=True), ["publication-all"]),
        (Publication(has_all_changes=False), ["publication-partial"]),
    ],
)
def test_a_publication_that_sends_too_much_or_too_little_is_a_finding(
    publication: Publication | None, codes: list[str]
) -> None:
    findings = judge_publication(CRM, publication)
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


# Threads: airbyte#45338 and dbz#2020 (generated columns), airbyte#13442 and pg_partman#502 (partitions).
@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"may_read": False}, ["table-right"]),
        ({"published_as": ""}, ["table-unpublished"]),
        ({"published_as": "leaves"}, ["table-unpublished"]),
        ({"published_as": "root"}, ["table-unpublished"]),
        ({"kind": "v"}, ["table-kind"]),
        ({"kind": "m"}, ["table-kind"]),
        ({"kind": "f"}, ["table-kind"]),
        ({"leaves": leaf(persistence="u")}, ["table-unlogged"]),
        ({"leaves": leaf(kind="f")}, ["table-kind"]),
        ({"leaves": leaf(identity_columns=[])}, ["replica-identity"]),
        ({"leaves": leaf(identity="n", identity_columns=[])}, ["replica-identity"]),
        ({"leaves": leaf(identity="f", identity_columns=[])}, []),
        ({"leaves": leaf(identity="i", identity_columns=["code"])}, ["replica-identity"]),
        ({"leaves": leaf(identity="i", identity_columns=["id", "code"])}, []),
        ({"leaves": [*leaf(), *leaf(name="public.t_2", identity_columns=[])]}, ["replica-identity"]),
        ({"row_filter": "(n > 1)"}, ["row-filter"]),
        ({"children": ["public.u"]}, ["table-inherited"]),
        ({"has_row_security": True}, ["row-security"]),
        ({"has_row_security": True, "bypasses_row_security": True}, []),
        ({"columns": [Column("id"), Column("o")]}, ["column-missing"]),
        ({"columns": [], "may_read": False}, ["table-right"]),
        ({"columns": column(generated="s"), "published_columns": ["id", "o"]}, ["column-unsent"]),
        ({"columns": column(generated="s")}, []),  # the publication has it: Postgres 18
        ({"columns": column(generated="v")}, ["column-unsent"]),
        ({"columns": column(generated="s"), "published_columns": None}, ["column-unsent"]),
        ({"published_columns": ["id", "o"]}, ["column-unsent"]),
        ({"published_columns": ["id", "o", "n"]}, []),
        ({"columns": column(type="addr", base="addr", kind="c")}, ["column-unsent"]),
        ({"columns": column(type="mood", base="mood", kind="e")}, []),
        ({"columns": column(type="int4multirange", base="int4multirange", kind="m")}, ["column-unsent"]),
        ({"columns": column(type="money[]", base="_money", item="money", item_kind="b")}, ["column-unsent"]),
        ({"columns": column(type="posint[]", base="_posint", item="posint", item_kind="d")}, ["column-unsent"]),
        ({"columns": column(type="text[]", base="_text", item="text", item_kind="b")}, []),
        ({"columns": column(type="mood[]", base="_mood", item="mood", item_kind="e")}, []),
        (
            {"columns": column(type="integer[]", base="_int4", item="int4", item_kind="b", dimensions=2)},
            ["column-unsent"],
        ),
        ({"columns": column(type="int2vector", base="int2vector", item="int2", item_kind="b")}, ["column-unsent"]),
    ],
)
def test_facts_of_a_table_give_findings(change: dict[str, Any], codes: list[str]) -> None:
    findings = judge_table(CRM, TABLE, msgspec.structs.replace(FACTS, **change), PUBLICATION)
    assert [finding.code for finding in findings] == codes
    assert all(finding.what and finding.remedy for finding in findings)


def test_old_rows_need_the_full_replica_identity_of_each_partition() -> None:
    partitions = [*leaf(name="public.t_1", identity="f"), *leaf(name="public.t_2")]
    root = msgspec.structs.replace(FACTS, kind="p", leaves=partitions)
    (finding,) = judge_table(CRM, FULL, root, Publication(is_via_root=True))
    assert finding.code == "replica-identity-full"
    assert finding.remedy == 'ALTER TABLE "public"."t_2" REPLICA IDENTITY FULL'
    assert (
        judge_table(CRM, FULL, msgspec.structs.replace(root, leaves=leaf(identity="f")), Publication(is_via_root=True))
        == []
    )


def test_a_partitioned_table_is_published_through_its_root() -> None:
    root = msgspec.structs.replace(FACTS, kind="p", leaves=leaf(name="public.t_1"), published_as="leaves")
    (finding,) = judge_table(CRM, TABLE, root, PUBLICATION)
    assert finding.remedy == "ALTER PUBLICATION opshub SET (publish_via_partition_root = true)"
    (finding,) = judge_table(CRM, TABLE, msgspec.structs.replace(root, published_as=""), PUBLICATION)
    assert "ADD TABLE" in finding.remedy and "publish_via_partition_root" in finding.remedy


def test_the_remedy_for_a_generated_column_is_one_that_the_server_has() -> None:
    facts = msgspec.structs.replace(FACTS, columns=column(generated="s"), published_columns=["id", "o"])
    remedies = [judge_table(CRM, TABLE, facts, Publication(has_generated=has))[0].remedy for has in (None, False)]
    assert all("expr" in remedy for remedy in remedies)
    assert ["publish_generated_columns" in remedy for remedy in remedies] == [False, True]


def test_a_table_that_does_not_exist_is_a_mistake_in_the_dictionary() -> None:
    (finding,) = judge_table(CRM, TABLE, None, PUBLICATION)
    assert (finding.code, finding.side) == ("table-missing", "input")
