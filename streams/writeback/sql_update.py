"""Give rows of a target the values of rules: lock and read all rows, compare, write, compare what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from psycopg import AsyncConnection, sql

from streams.writeback.failures import Refused
from streams.writeback.jobs import Job, JobAnswer, Unchanged, Written, fields_text, target_changed
from streams.writeback.mariadb_target import MariadbTarget
from streams.writeback.mariadb_update import MariadbStatements
from streams.writeback.rules import Update
from streams.writeback.sql_rows import TargetConnection, TargetRow, settle_constraints
from streams.writeback.values import Fields, inward, kind_of, outward, plain

NUMBER = "opshub.number"
"""Column with the number of the given row that a row belongs to. With a dot in its name it is no column of the target.
"""

ColumnTypes = dict[str, dict[str, str]]
"""Table → column → its type."""


def update_of(job: Job) -> Update | None:
    """The update of the job's rule, if it has one."""
    return job.rule.sql.update if job.rule.sql is not None else None


def group_updates(jobs: Sequence[Job]) -> Iterator[tuple[Update, list[Job]]]:
    """Groups of jobs of one update in which no row comes twice. Jobs of one row come one after the other, in their
    order.
    """
    left = list(jobs)
    while left:
        rows: set[tuple[str, str | None]] = set()
        later: list[Job] = []
        groups: dict[int, tuple[Update, list[Job]]] = {}
        for job in left:
            update = update_of(job)
            assert update is not None
            row = (update.table, job.subject_key)
            if row in rows:
                later.append(job)
            else:
                rows.add(row)
                groups.setdefault(id(update), (update, []))[1].append(job)
        yield from groups.values()
        left = later


async def update_rows(
    connection: TargetConnection, update: Update, jobs: Sequence[Job], types: ColumnTypes
) -> list[JobAnswer]:
    """The answers of jobs that each update another row of one table. `types` is a cache that this function fills."""
    statements: _Statements | MariadbStatements
    if isinstance(connection, MariadbTarget):
        statements = MariadbStatements(connection, update)
    else:
        statements = _Statements(connection, update, await _types_of(connection, update, types))
    rows = await statements.read([{update.key: job.subject_key} for job in jobs])
    answers: list[JobAnswer] = []
    to_write: list[tuple[Job, TargetRow]] = []
    for number, job in enumerate(jobs):
        row = rows.get(number)
        if row is None:
            answers.append(JobAnswer(job, Refused(f"{update.table} has no row {job.subject_key}")))
            continue
        current = _canonical_fields(job, row, update.columns)
        if current == job.wanted:
            answers.append(JobAnswer(job, Unchanged(current)))
        elif current not in job.expected and not job.overwrite:
            answers.append(JobAnswer(job, target_changed(f"{update.table} {job.subject_key}", job, current)))
        else:
            values = {update.columns[field]: value for field, value in column_values(job).items()}
            to_write.append((job, {update.key: job.subject_key, **values}))
    if not to_write:
        return answers
    await statements.write([row for _, row in to_write])
    # Read again: a trigger that runs after the update, or at the commit, changes what RETURNING does not show.
    await settle_constraints(connection)
    rows = await statements.read([{update.key: row[update.key]} for _, row in to_write])
    for number, (job, _) in enumerate(to_write):
        row = rows.get(number)
        current = _canonical_fields(job, row, update.columns) if row else {}
        if current != job.wanted:
            # A trigger or a type of the target changed the values: nobody asked for these.
            raise Refused(
                f"{update.table} {job.subject_key} has {fields_text(job, current)} after the update to "
                f"{fields_text(job, job.wanted)}",
                remedy="a trigger or a type of the target changes what is written: see its definition",
            )
        answers.append(JobAnswer(job, Written({}, current)))
    return answers


class _Statements:
    """The two statements over all rows of an update; both return columns of the table, and `NUMBER`."""

    def __init__(self, connection: AsyncConnection[TargetRow], update: Update, types: Mapping[str, str]) -> None:
        self._connection = connection
        columns = list(update.columns.values())
        table, key = table_identifier(update.table), sql.Identifier(update.key)
        chosen = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in columns)
        names = {"table": table, "key": key, "number": sql.Identifier(NUMBER), "chosen": chosen}
        # Rows are locked in the order of their keys, so that two deliverers cannot wait for each other.
        self._read = sql.SQL(
            "SELECT v.{number}, {chosen} FROM {table} t JOIN {given} ON v.{key} = t.{key}"
            " ORDER BY t.{key} FOR UPDATE OF t"
        ).format(given=_given_rows([update.key], types), **names)
        sets = sql.SQL(", ").join(sql.SQL("{0} = v.{0}").format(sql.Identifier(column)) for column in columns)
        self._write = sql.SQL(
            "UPDATE {table} t SET {sets} FROM {given} WHERE t.{key} = v.{key} RETURNING v.{number}, {chosen}"
        ).format(sets=sets, given=_given_rows([update.key, *columns], types), **names)

    async def read(self, given: Sequence[TargetRow]) -> dict[int, TargetRow]:
        """Number of a given row → the row of the target with its key."""
        return await _numbered_rows(self._connection, self._read, given)

    async def write(self, given: Sequence[TargetRow]) -> None:
        await _numbered_rows(self._connection, self._write, given)


def _given_rows(columns: Iterable[str], types: Mapping[str, str]) -> sql.Composed:
    """The rows that are passed as JSON, as a table `v` with the types of the target's columns."""
    number = sql.SQL("{} integer").format(sql.Identifier(NUMBER))
    typed = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in columns]
    return sql.SQL("jsonb_to_recordset(%s::jsonb) AS v ({})").format(sql.SQL(", ").join([number, *typed]))


async def _types_of(connection: AsyncConnection[TargetRow], update: Update, types: ColumnTypes) -> Mapping[str, str]:
    if update.table not in types:
        cursor = await connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table_identifier(update.table).as_string(connection)],
        )
        types[update.table] = {row["attname"]: row["type"] for row in await cursor.fetchall()}
    of_table = types[update.table]
    missing = [name for name in (update.key, *update.columns.values()) if name not in of_table]
    if missing:
        types.clear()
        raise Refused(f"{update.table} has no column {', '.join(missing)}", remedy="correct the rule's sql.update")
    return of_table


async def _numbered_rows(
    connection: AsyncConnection[TargetRow], statement: sql.Composed, given: Sequence[TargetRow]
) -> dict[int, TargetRow]:
    """Number of a given row → the row that the statement returns for it."""
    numbered = [{NUMBER: number, **row} for number, row in enumerate(given)]
    cursor = await connection.execute(statement, [msgspec.json.encode(numbered).decode()])
    return {row[NUMBER]: row for row in await cursor.fetchall()}


def table_identifier(name: str) -> sql.Identifier:
    """`schema.table` or `table`, quoted."""
    return sql.Identifier(*name.split(".", 1))


def _canonical_fields(job: Job, row: TargetRow, columns: Mapping[str, str]) -> Fields:
    entity = job.rule.subject_entity
    return {field: inward(kind_of(entity, field), row[column]) for field, column in columns.items()}


def column_values(job: Job) -> Fields:
    """Canonical field → its wanted value, in the form that JSON and the column take."""
    entity = job.rule.subject_entity
    return {field: plain(outward(kind_of(entity, field), value)) for field, value in job.wanted.items()}
