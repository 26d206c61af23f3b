"""Detects that changes of one table are not captured: it was made again under its name, left the publication, lost a
partition.

In: the facts of each table now (`captured_tables.py`) and what the hub remembers of the last check. Out: findings
`table-changed` while a table is not as capture needs it, and `table-incomplete` once changes of it were missed, until
it is read again. Pure but for `check_tables`.

Postgres publishes a table by its oid. After `ALTER TABLE item RENAME TO item_old; CREATE TABLE item …` it goes on
sending the old one, and of the new one nothing ever comes, while slot and heartbeat are fine.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import psycopg

from streams.capture.captured_tables import Publication, TableFacts, judge_publication, judge_table
from streams.capture.finding import Finding
from streams.hub.source_state import TableRecord, load_tables, save_table
from streams.provision.systems import System

_MISSES_NOTHING = frozenset({"table-right", "row-security", "column-missing", "replica-identity"})
"""Findings with which changes go on coming: rights count for snapshots only, without a replica identity the
application's UPDATE and DELETE fail, and a dropped column is for `schema_drift.py` to report.
"""


def check_tables(
    hub: psycopg.Connection[object],
    system: System,
    facts: dict[str, TableFacts],
    publication: Publication | None,
    has_rows: Callable[[str], bool],
) -> list[Finding]:
    """Findings about the tables of a system; remembers them in the hub. `has_rows`: whether a table holds any."""
    known = load_tables(hub, system.name)
    of_all = [finding for finding in judge_publication(system, publication) if finding.code != "publication-all"]
    findings = [msgspec.structs.replace(finding, code="table-changed") for finding in of_all]
    for name, table in system.dictionary.tables.items():
        wrong = [finding for finding in judge_table(system, table, facts.get(name), publication) if finding.severe]
        misses = of_all + [finding for finding in wrong if finding.code not in _MISSES_NOTHING]
        record = compare_table(known.get(name), facts.get(name), misses, is_new=bool(known), has_rows=has_rows)
        if record != known.get(name):
            save_table(hub, system.name, name, record)
        findings += table_findings(system, name, wrong, record)
    return findings


def compare_table(
    before: TableRecord | None,
    now: TableFacts | None,
    wrong: list[Finding],
    *,
    is_new: bool,
    has_rows: Callable[[str], bool] = lambda table: True,
) -> TableRecord:
    """What to remember of a table. `wrong`: findings with which changes do not come. `is_new`: other tables of the
    system were seen before, so one without a record was added after the connector's snapshot.
    """
    gap = None
    if before is None:
        gap = "the dictionary reads it only now: a snapshot does not bring the rows that it has" if is_new else None
    elif before.gap is not None:
        gap = before.gap
    elif now is None:
        gap = "it was dropped or renamed"
    elif before.oid != now.oid:
        gap = "it is another table than the one that was captured: dropped and made again, or swapped by a rename"
    else:
        gap = _partitions(before, now, has_rows)
    if gap is None and wrong:
        gap = f"changes of it did not come: {wrong[0].what}"
    return TableRecord(0, {}, gap) if now is None else record_of(now, gap)


def record_of(table: TableFacts, gap: str | None = None) -> TableRecord:
    """A table as the hub remembers it; without a gap from here on, unless one is given."""
    return TableRecord(table.oid, {str(leaf.oid): leaf.name for leaf in table.leaves}, gap)


def _partitions(before: TableRecord, now: TableFacts, has_rows: Callable[[str], bool]) -> str | None:
    """Rows that came or went with a whole partition: neither ATTACH, DETACH nor DROP of one sends changes of rows."""
    if now.kind != "p":
        return None
    kept = {str(leaf.oid) for leaf in now.leaves}
    gone = [name for oid, name in before.leaves.items() if oid not in kept]
    if gone:
        return f"its partition {gone[0]} was detached or dropped, and the rows in it were not sent as deleted"
    for leaf in now.leaves:
        if str(leaf.oid) not in before.leaves and leaf.was_attached and has_rows(leaf.name):
            return f"the partition {leaf.name} was attached, and the rows in it were not sent as new"
    return None


def table_findings(system: System, name: str, wrong: list[Finding], record: TableRecord) -> list[Finding]:
    """What to alert about a table."""
    where, resync = f"{system.name}: {name}", f"`opshub resync {system.name} --table {name}`"
    if wrong:
        what = "; ".join(finding.what for finding in wrong)
        remedy = "; ".join(finding.remedy for finding in wrong)
        return [Finding("table-changed", where, what, f"{remedy}; then {resync}" if record.gap else remedy)]
    if record.gap is None:
        return []
    remedy = f"{resync}: it reads all rows, and deletes what the table does not have any more"
    return [Finding("table-incomplete", where, record.gap, remedy)]
