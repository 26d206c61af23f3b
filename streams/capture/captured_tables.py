"""What Postgres sends of a table that is captured: whether it is published, under which name, with which columns.

In: one look at the catalogue. Out: `TableFacts` for each table, and from them findings: what never comes, or comes
without a column. The same look serves `opshub plan` and `doctor` before capture, and the watcher while it runs. Nothing
is changed.
"""

from __future__ import annotations

import msgspec
from psycopg.rows import dict_row

from streams.capture.binlog import UNREADABLE, table_rows
from streams.capture.connector_config import is_column_excluded
from streams.capture.finding import Finding
from streams.capture.sent_types import is_sent
from streams.capture.source_sql import SOURCE_SQL
from streams.mapping.compiled import CompiledTable
from streams.mariadb_session import MariadbSession, Source, backticked
from streams.provision.systems import System

_MOST_NAMES = 3
"""Partitions that a finding names; an archive may have hundreds."""


class Publication(msgspec.Struct, frozen=True):
    """The publication of a connector."""

    has_all_tables: bool = False
    has_all_changes: bool = True
    """Whether it sends INSERT, UPDATE, DELETE and TRUNCATE."""
    is_via_root: bool = False
    """publish_via_partition_root: rows of partitions come under the name of the root."""
    has_generated: bool | None = False
    """publish_generated_columns = stored; None before Postgres 18."""


class Column(msgspec.Struct, frozen=True):
    """One column, with its type and that of its items, where it is an array."""

    name: str
    generated: str = ""
    """s: stored, v: virtual."""
    type: str = "text"
    base: str = "text"
    kind: str = "b"
    item: str | None = None
    item_kind: str | None = None
    dimensions: int = 0
    may_read: bool = True


class Leaf(msgspec.Struct, frozen=True):
    """What holds rows: a table, or a partition of it."""

    name: str
    oid: int
    kind: str = "r"
    persistence: str = "p"
    """u: unlogged."""
    identity: str = "d"
    """Replica identity: d primary key, f full, i an index, n nothing."""
    identity_columns: list[str] = []
    """Columns of the key or index that the identity is; empty for f."""
    was_attached: bool = False


class TableFacts(msgspec.Struct, frozen=True):
    """One table that the dictionary reads."""

    name: str
    oid: int
    kind: str = "r"
    """r: table, p: partitioned, v: view, m: materialized view, f: foreign table."""
    has_row_security: bool = False
    bypasses_row_security: bool | None = False
    estimated_rows: int = 0
    may_read: bool = True
    published_as: str = "itself"
    """itself; root: only under the name of a table that it is a partition of; leaves: only its partitions; or ''."""
    row_filter: str | None = None
    published_columns: list[str] | None = None
    """None before Postgres 15, and for a table that is not published."""
    columns: list[Column] = []
    leaves: list[Leaf] = []
    children: list[str] = []
    """Tables that inherit from it, without partitions."""
    primary_key: list[str] = []


def publication_name(system: System) -> str:
    """The publication that the connector reads."""
    return str(system.config.get("publication.name", "dbz_publication"))  # Debezium's own default


def read_publication(source: Source, system: System) -> Publication | None:
    """The publication of a system; None if there is none. Raises psycopg.Error. A binlog has all tables."""
    if isinstance(source, MariadbSession):
        return Publication()
    with source.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SOURCE_SQL["publication"], {"publication": publication_name(system)}).fetchone()
    return None if row is None else msgspec.convert(row, Publication)


def read_tables(source: Source, system: System) -> dict[str, TableFacts]:
    """Table (schema.table) → its facts, for each table of the dictionary that exists. Raises psycopg.Error."""
    if isinstance(source, MariadbSession):
        listed = msgspec.convert(table_rows(source, list(system.dictionary.tables)), list[TableFacts])
        return {facts.name: facts for facts in listed}
    parameters = {"publication": publication_name(system), "tables": list(system.dictionary.tables)}
    with source.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(SOURCE_SQL["captured_tables"], parameters).fetchall()
    return {facts.name: facts for facts in msgspec.convert(rows, list[TableFacts])}


def quoted(table: str, kind: str = "postgres") -> str:
    """schema.table as the SQL of an engine has it."""
    if kind != "postgres":
        return backticked(table)
    return ".".join('"' + name.replace('"', '""') + '"' for name in table.split(".", 1))


def judge_publication(system: System, publication: Publication | None) -> list[Finding]:
    """What is wrong with the publication as a whole."""
    name = publication_name(system)
    if publication is None:
        what, remedy = f"there is no publication {name}", "run the system's roles.sql as administrator"
        return [Finding("publication-missing", system.name, what, remedy)]
    findings = []
    if publication.has_all_tables:
        what = f"{name} publishes all tables: UPDATE and DELETE fail in tables without a key"
        remedy = "publish only the tables that the dictionary reads"
        findings.append(Finding("publication-all", system.name, what, remedy))
    if not publication.has_all_changes:
        what = f"{name} does not send every kind of change (INSERT, UPDATE, DELETE, TRUNCATE)"
        remedy = f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')"
        findings.append(Finding("publication-partial", system.name, what, remedy))
    return findings


def judge_table(
    system: System, table: CompiledTable, facts: TableFacts | None, publication: Publication | None
) -> list[Finding]:
    """What is wrong with one table; `facts` is None when it does not exist."""
    where = f"{system.name}: {table.name}"
    if facts is None:
        what = "the dictionary reads it, and it does not exist"
        return [Finding("table-missing", where, what, "create it again, or correct dictionary.yaml", "input")]
    if facts.kind not in ("r", "p"):
        kind = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}[facts.kind]
        remedy = "map the tables that it is made of" if facts.kind != "f" else "capture the database that holds it"
        return [Finding("table-kind", where, f"it is {kind}: no changes of it are sent", remedy, "input")]
    findings = judge_rights(table, facts, where, system.dictionary.kind)
    if system.dictionary.kind != "postgres":
        return findings + _unreadable(facts, where) + _columns(system, table, facts, publication, where)
    # Without the publication nothing is published, which is a finding of its own.
    if publication is not None:
        findings += _published(system, table, facts, publication, where)
    findings += _replica_identity(table, facts, where)
    if facts.children:
        findings.append(
            Finding(
                "table-inherited",
                where,
                f"{_names(facts.children)} inherit from it: a snapshot of it has their rows, and their changes come "
                "under their own names",
                "map the tables that inherit, each with a `namespace`, and leave this one out",
                "input",
            )
        )
    return findings + _columns(system, table, facts, publication, where)


def _unreadable(facts: TableFacts, where: str) -> list[Finding]:
    """Columns that keep Debezium from reading a table at all, whether the dictionary reads them or not."""
    columns = [f"{column.name} {column.type}" for column in facts.columns if column.type in UNREADABLE]
    if not columns:
        return []
    what = f"Debezium cannot read its definition: {_names(columns)}. The connector of the whole system would fail"
    return [Finding("table-kind", where, what, "make it a varchar, or leave the table out of the dictionary", "input")]


def judge_rights(table: CompiledTable, facts: TableFacts, where: str, kind: str = "postgres") -> list[Finding]:
    """What the role of this session cannot see of a table."""
    findings = []
    if not facts.may_read:
        unreadable = [column.name for column in facts.columns if not column.may_read]
        some = len(unreadable) < len(facts.columns)
        what = f"may not read {', '.join(unreadable)}" if some and unreadable else "may not read it"
        remedy = f"GRANT SELECT ON {quoted(table.name, kind)} TO the role"
        if kind == "postgres":
            remedy += " (and USAGE on its schema)"
        findings.append(Finding("table-right", where, f"the capturing role {what}", remedy))
    if facts.has_row_security and not facts.bypasses_row_security:
        what = "row-level security may hide rows from the capturing role: a snapshot would lack them without an error"
        findings.append(Finding("row-security", where, what, "ALTER ROLE … BYPASSRLS"))
    return findings


def _published(
    system: System, table: CompiledTable, facts: TableFacts, publication: Publication, where: str
) -> list[Finding]:
    name, sql_name = publication_name(system), quoted(table.name)
    via_root = f"ALTER PUBLICATION {name} SET (publish_via_partition_root = true)"
    unlogged = [leaf.name for leaf in facts.leaves if leaf.persistence == "u"]
    foreign = [leaf.name for leaf in facts.leaves if leaf.kind == "f"]
    if unlogged:
        what = f"{_names(unlogged)} is unlogged: Postgres sends no changes of it"
        return [
            Finding("table-unlogged", where, what, f"ALTER TABLE … SET LOGGED, then ALTER PUBLICATION {name} ADD TABLE")
        ]
    if foreign:
        what = f"its partitions {_names(foreign)} are foreign tables: Postgres sends no changes of them"
        return [Finding("table-kind", where, what, "capture the database that holds them", "input")]
    if facts.published_as == "root":
        what = f"{name} publishes its rows under the name of the table that it is a partition of"
        return [Finding("table-unpublished", where, what, "read that table in dictionary.yaml", "input")]
    if facts.published_as == "leaves" or (facts.kind == "p" and facts.published_as and not publication.is_via_root):
        what = f"{name} publishes its partitions under their own names: no change would come under this one"
        return [Finding("table-unpublished", where, what, via_root)]
    if facts.published_as == "":
        remedy = f"ALTER PUBLICATION {name} ADD TABLE {sql_name}"
        if facts.kind == "p" and not publication.is_via_root:
            remedy = f"{remedy}; {via_root}"
        return [Finding("table-unpublished", where, f"{name} does not publish it", remedy)]
    if facts.row_filter is not None:
        what = f"{name} sends only rows with {facts.row_filter}: others would come by a snapshot and never change"
        remedy = f"publish {sql_name} without WHERE; `when` in dictionary.yaml chooses rows"
        return [Finding("row-filter", where, what, remedy)]
    return []


def _replica_identity(table: CompiledTable, facts: TableFacts, where: str) -> list[Finding]:
    """What decides is the identity of what holds the rows: of each partition, not of the root."""
    none = [leaf.name for leaf in facts.leaves if leaf.identity != "f" and not leaf.identity_columns]
    not_full = [leaf.name for leaf in facts.leaves if leaf.identity != "f"]
    # With an index as identity a delete has the columns of that index, and neither those of the key nor of the message.
    needed = {*table.key_columns, *facts.primary_key}
    other = [leaf.name for leaf in facts.leaves if leaf.identity == "i" and not needed <= set(leaf.identity_columns)]
    parts = f"its partitions {_names(none or not_full or other)}: " if facts.kind == "p" else ""
    full = "; ".join(
        f"ALTER TABLE {quoted(name)} REPLICA IDENTITY FULL"
        for name in ((none or not_full or other)[:_MOST_NAMES] if facts.kind == "p" else [table.name])
    )
    if none:
        what = f"{parts}it has no replica identity: once it is published, UPDATE and DELETE fail in the application"
        return [Finding("replica-identity", where, what, f"add a primary key that is not deferrable, or {full}")]
    if table.before_full and not_full:
        what = f"{parts}the dictionary reads what a row was before a change, and Postgres does not send it"
        return [Finding("replica-identity-full", where, what, full)]
    if other and not table.before_full:
        lacks = ", ".join(sorted(needed))
        what = f"{parts}its replica identity is an index without {lacks}: a delete would not say which row"
        remedy = f"ALTER TABLE {quoted(table.name)} REPLICA IDENTITY DEFAULT, or FULL"
        return [Finding("replica-identity", where, what, remedy)]
    return []


def _columns(
    system: System, table: CompiledTable, facts: TableFacts, publication: Publication | None, where: str
) -> list[Finding]:
    findings = []
    names = {column.name for column in facts.columns}
    missing = [name for name in table.columns if name not in names and name not in table.optional]
    # pg_attribute can be read without a right on the table; without one the missing right is the finding.
    if facts.may_read and missing:
        what = f"the dictionary reads columns that it does not have: {', '.join(missing)}"
        findings.append(Finding("column-missing", where, what, "correct dictionary.yaml", "input"))
    for column in facts.columns:
        unsent = unsent_column(facts, column, publication) if column.name in table.columns else None
        if unsent is not None and not is_column_excluded(system, table.name, column.name):
            why, remedy = unsent
            what = f"the dictionary reads {column.name}, and no change brings it: {why}"
            findings.append(Finding("column-unsent", where, what, remedy, "input"))
    return findings


def unsent_column(facts: TableFacts, column: Column, publication: Publication | None) -> tuple[str, str] | None:
    """Why changes come without this column, and the remedy; None if they have it.

    A snapshot reads some of these columns: an old value would then stay beside new ones for ever.
    """
    expr = "compute it: `expr:` of the columns that it is made of"
    if column.generated == "v":
        return "it is a generated column, and virtual", expr
    published = facts.published_columns
    if column.generated and (published is None or column.name not in published):
        if publication is None or publication.has_generated is None:
            return "it is a generated column", expr
        return "it is a generated column", f"{expr}; or ALTER PUBLICATION … SET (publish_generated_columns = stored)"
    if published is not None and column.name not in published:
        return "the publication has a list of columns without it", "publish the table without a list of columns"
    if not is_sent(column.base, column.kind, column.item, column.item_kind):
        return f"Debezium does not read its type, {column.type}", "map another column, or let a trigger keep it as text"
    if column.dimensions > 1:
        why = f"Debezium reads arrays of one dimension only, and it is declared with {column.dimensions}"
        return why, "map another column, or let a trigger keep it as json"
    return None


def _names(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
