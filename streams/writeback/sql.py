"""Write to a Postgres database: one transaction of named statements, under a replication origin.

An origin is active in one session at a time. So a session that has it knows that no other deliverer of this origin has a
transaction on its way: what an earlier, dead one did is either committed, and found by its idempotency key, or will never be.
A deliverer that stands still loses its session (`idle_session_timeout`), and with it the origin, to the next.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from streams.hub.session import is_usable
from streams.writeback.failures import Refused, TargetBusy, TargetDown
from streams.writeback.rules import ReadBack, SqlTarget, Update
from streams.writeback.values import inward, kind_of, outward, plain
from streams.writeback.work import Hold, Job, Outcome, Settled, ahead

NUMBER = "opshub.number"
"""Column that tells which of the rows that were given one is."""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7365))"
TOGETHER = 25
"""Jobs of one transaction: more would make the first of them wait for the last."""
AHEAD = 1000
"""Statements that are sent before their answers are read."""
LOCK_MS = 2_000
"""Longest wait for a row that somebody has locked: all others of the transaction wait with it."""
IDLE_MS = 30_000
"""Silence after which the target ends a deliverer's session."""


def _nothing(_: str) -> None:
    return


class SqlAdapter:
    """One Postgres target. `fault` is called at `deliver.statements` (before the commit) and `deliver.target` (after it)."""

    def __init__(
        self, target: SqlTarget, name: str, *, fault: Callable[[str], None] = _nothing, together: int = TOGETHER
    ) -> None:
        self._target = target
        self._together = together
        self._name = name
        self._fault = fault
        self._connection: AsyncConnection[dict[str, Any]] | None = None
        self._types: dict[str, dict[str, str]] = {}
        self.origin: str | None = None
        self._used = 0.0

    async def open(self) -> bool:
        if self._connection is not None and is_usable(self._connection):
            if time.monotonic() - self._used < IDLE_MS / 2000:
                return False
            try:
                await self._connection.execute("SELECT")
                self._used = time.monotonic()
                return False
            except psycopg.Error:
                pass
        await self.close()
        target = self._target
        statement_ms = int(target.statement_timeout.total_seconds() * 1000)
        conninfo = make_conninfo(
            host=target.host, port=target.port, dbname=target.dbname, user=target.user, password=target.password,
            connect_timeout=5, application_name=f"opshub-deliver-{self._name}",
            keepalives_idle=5, keepalives_interval=2, keepalives_count=3,
            options=f"-c statement_timeout={statement_ms} -c lock_timeout={min(LOCK_MS, statement_ms)}"
            f" -c idle_session_timeout={IDLE_MS} -c idle_in_transaction_session_timeout=10000",
        )  # fmt: skip
        try:
            connection = await AsyncConnection.connect(
                conninfo, autocommit=True, row_factory=dict_row, prepare_threshold=1
            )
        except psycopg.Error as error:
            raise TargetDown(f"{target.host}:{target.port} does not answer: {str(error).strip()}") from error
        try:
            origin = await _free_origin(connection, target)
        except BaseException:
            await connection.close()
            raise
        self._connection, self.origin, self._used = connection, origin, time.monotonic()
        return len(target.origins) == 1

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def deliver(self, jobs: Sequence[Job], hold: Hold) -> AsyncGenerator[list[Settled]]:
        """Updates of rows together in one transaction; what has steps and a lock in transactions of `TOGETHER`, since each commit and each
        round trip takes its time; what has no lock, or was refused before, by itself."""
        apart = [job for job in jobs if job.doubtful or not (_updates(job) or _locks(job))]
        doubtful = {job.key for job in apart}
        together = [job for job in jobs if _updates(job) and job.key not in doubtful]
        batches = [together] if together else []
        locking = [job for job in jobs if _locks(job) and job.key not in doubtful]
        batches += [locking[at : at + self._together] for at in range(0, len(locking), self._together)]
        batches += [[job] for job in apart]
        while batches:
            batch = await hold(batches.pop(0))
            if not batch:
                continue
            settled: list[Settled]
            try:
                settled = await self._transaction(batch)
            except (Refused, TargetDown) as no:
                if len(batch) > 1 and not (isinstance(no, TargetDown) and no.blame == "target"):
                    # One of them is refused, or waits for a lock, and takes the others with it: each by itself.
                    batches = [[job] for job in batch] + batches
                    continue
                settled = [(job, no) for job in batch]
            yield settled

    async def current(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """What each rule's `now` says; nothing where it finds no row."""
        await self.open()
        assert self._connection is not None
        asked = [
            (job.rule.sql.now or "", dict(job.params) | {"key": job.key}) for job in jobs if job.rule.sql is not None
        ]
        try:
            rows = await _rows(self._connection, asked)
        except psycopg.Error as error:
            raise _translated(error, jobs, is_usable(self._connection)) from error
        self._used = time.monotonic()
        return [_plain(row) if row is not None else {} for row in rows]

    async def _transaction(self, jobs: Sequence[Job]) -> list[Settled]:
        await self.open()
        assert self._connection is not None
        connection = self._connection
        settled: list[Settled] = []
        try:
            async with connection.transaction():
                # The origin takes the commit time that the session states: without it Debezium would tell the year 2000.
                await connection.execute("SELECT pg_replication_origin_xact_setup('0/1', clock_timestamp())")
                for update, wave in _waves([job for job in jobs if _updates(job)]):
                    settled += await self._update(connection, update, wave)
                for rule_jobs in _apart([job for job in jobs if not _updates(job)]):
                    settled += await self._steps(connection, rule_jobs)
                self._fault("deliver.statements")
        except psycopg.Error as error:
            self._types.clear()
            raise _translated(error, jobs, is_usable(connection)) from error
        self._used = time.monotonic()
        self._fault("deliver.target")
        return settled

    async def _steps(self, connection: AsyncConnection[dict[str, Any]], jobs: Sequence[Job]) -> list[Settled]:
        """The steps of several jobs of one rule, of which no two lock the same: each step for all of them, in one round trip."""
        action = jobs[0].rule.sql
        assert action is not None
        params = [dict(job.params) | {"key": job.key} for job in jobs]
        outcomes: dict[int, Outcome] = {}
        if action.lock is not None:
            locks = sorted(str(one[action.lock]) for one in params)
            await _rows(connection, [(LOCK, [lock]) for lock in locks])
        if action.look_up is not None:
            for at, row in enumerate(await _rows(connection, [(action.look_up, one) for one in params])):
                if row is not None:
                    outcomes[at] = Outcome("found", _nested(_plain(row)))
        todo = [at for at in range(len(jobs)) if at not in outcomes]
        results: dict[int, dict[str, Any]] = {at: {} for at in todo}
        for step in action.steps:
            if step.each == "lines":
                await _rows(connection, [(step.sql, params[at] | line) for at in todo for line in jobs[at].lines])
                continue
            found: dict[int, dict[str, Any] | None] = dict.fromkeys(todo)
            if step.find is not None:
                rows = await _rows(connection, [(step.find, params[at]) for at in todo])
                found = dict(zip(todo, rows, strict=True))
            missing = [at for at in todo if found[at] is None]
            rows = await _rows(connection, [(step.sql, params[at]) for at in missing])
            found |= dict(zip(missing, rows, strict=True))
            for at, row in found.items():
                if row is not None:
                    results[at][step.name] = _plain(row)
                    params[at] |= {f"{step.name}.{column}": value for column, value in row.items()}
        if action.read_back is not None:
            rows = await _rows(connection, [(action.read_back.sql, params[at]) for at in todo])
            for at, row in zip(todo, rows, strict=True):
                results[at]["read_back"] = _read_back(jobs[at], action.read_back, row, params[at])
        outcomes |= {at: Outcome("done", results[at]) for at in todo}
        return [(job, outcomes[at]) for at, job in enumerate(jobs)]

    async def _update(
        self, connection: AsyncConnection[dict[str, Any]], update: Update, jobs: Sequence[Job]
    ) -> list[Settled]:
        """Rows of one table, each once: lock and read them, compare, write, compare again."""
        columns = update.columns
        table, key = _identifier(update.table), sql.Identifier(update.key)
        types = await self._types_of(connection, update)
        chosen = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(column)) for column in columns.values())
        number = sql.SQL("{} integer").format(sql.Identifier(NUMBER))
        told = sql.SQL("jsonb_to_recordset(%s::jsonb) AS v ({})")

        def given(names: Iterable[str]) -> sql.Composed:
            return told.format(
                sql.SQL(", ").join(
                    [number, *(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in names)]
                )
            )

        read = sql.SQL(
            "SELECT v.{number}, {chosen} FROM {table} t JOIN {given} ON v.{key} = t.{key} ORDER BY t.{key} FOR UPDATE OF t"
        )
        named = {"table": table, "key": key, "number": sql.Identifier(NUMBER), "chosen": chosen}
        rows = await _numbered(
            connection, read.format(given=given([update.key]), **named), [{update.key: job.subject_key} for job in jobs]
        )
        settled: list[Settled] = []
        written: list[tuple[Job, dict[str, Any]]] = []
        for at, job in enumerate(jobs):
            row = rows.get(at)
            if row is None:
                settled.append((job, Refused(f"{update.table} has no row {job.subject_key}")))
                continue
            there = _canonical(job, row, columns)
            if there == job.wanted:
                settled.append((job, Outcome("unchanged", {}, there)))
            elif there not in job.expected and not job.force:
                settled.append((job, ahead(f"{update.table} {job.subject_key}", job, there)))
            else:
                sets = {columns[field]: value for field, value in _for_columns(job).items()}
                written.append((job, {update.key: job.subject_key, **sets}))
        if not written:
            return settled
        write = sql.SQL(
            "UPDATE {table} t SET {sets} FROM {given} WHERE t.{key} = v.{key} RETURNING v.{number}, {chosen}"
        )
        setting = sql.SQL(", ").join(
            sql.SQL("{0} = v.{0}").format(sql.Identifier(column)) for column in columns.values()
        )
        rows = await _numbered(
            connection,
            write.format(sets=setting, given=given([update.key, *columns.values()]), **named),
            [row for _, row in written],
        )
        for at, (job, _) in enumerate(written):
            row = rows.get(at)
            now = _canonical(job, row, columns) if row else {}
            if now != job.wanted:
                raise Refused(f"{update.table} {job.subject_key} has {now} after the update to {job.wanted}")
            settled.append((job, Outcome("done", {}, now)))
        return settled

    async def _types_of(self, connection: AsyncConnection[dict[str, Any]], update: Update) -> dict[str, str]:
        """Column → its type. Forgotten with each error, since a table can change."""
        if update.table not in self._types:
            cursor = await connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [_identifier(update.table).as_string(connection)],
            )
            self._types[update.table] = {row["attname"]: row["type"] for row in await cursor.fetchall()}
        types = self._types[update.table]
        missing = [name for name in (update.key, *update.columns.values()) if name not in types]
        if missing:
            self._types.clear()
            raise Refused(f"{update.table} has no column {', '.join(missing)}", remedy="mend the rule's sql.update")
        return types

    def describe(self, job: Job) -> list[dict[str, Any]]:
        action = job.rule.sql
        assert action is not None
        if action.update is not None:
            sets = {action.update.columns[field]: value for field, value in _for_columns(job).items()}
            return [{"update": action.update.table, "key": job.subject_key, "set": sets}]
        params = {name: plain(value) for name, value in job.params.items()} | {"key": job.key}
        told: list[dict[str, Any]] = [{"step": step.name, "sql": step.sql.strip()} for step in action.steps]
        return [
            *told,
            {
                "params": params,
                "lines": [{name: plain(value) for name, value in line.items()} for line in job.lines],
            },
        ]


async def _free_origin(connection: AsyncConnection[dict[str, Any]], target: SqlTarget) -> str:
    """The origin that the session writes under from now on."""
    for origin in target.origins:
        try:
            await connection.execute("SELECT pg_replication_origin_session_setup(%s)", [origin])
        except (psycopg.errors.ObjectInUse, psycopg.errors.ObjectNotInPrerequisiteState):
            continue
        except psycopg.Error as error:
            raise TargetDown(f"origin {origin}: {str(error).strip()}") from error
        return origin
    raise TargetBusy(f"another deliverer writes under {', '.join(target.origins)}")


async def _rows(
    connection: AsyncConnection[dict[str, Any]], asked: Sequence[tuple[str, Any]]
) -> list[dict[str, Any] | None]:
    """The first row of each of these statements, or None; they go out before the first answer is awaited, so many at a time."""
    found: list[dict[str, Any] | None] = []
    for at in range(0, len(asked), AHEAD):
        async with connection.pipeline():
            cursors = [await connection.execute(statement.encode(), told) for statement, told in asked[at : at + AHEAD]]
        found += [await cursor.fetchone() if cursor.description else None for cursor in cursors]
    return found


def _read_back(job: Job, of: ReadBack, row: dict[str, Any] | None, params: dict[str, Any]) -> dict[str, Any]:
    """What was written, as it is there. Raises Refused where it is not what was sent."""
    if row is None:
        raise Refused(f"{job.key}: what was written is not there")
    missing = [name for name in of.compare if name not in row]
    if missing:
        raise Refused(
            f"{job.key}: read_back returns no column {', '.join(missing)}", remedy="mend sql.read_back of the rule"
        )
    wrong = {name: (row[name], params.get(name)) for name in of.compare if not _equal(row[name], params.get(name))}
    if wrong:
        raise Refused(
            f"{job.key}: " + "; ".join(f"{name} is {is_!r}, should be {be!r}" for name, (is_, be) in wrong.items())
        )
    return _plain(row)


def _updates(job: Job) -> bool:
    return job.rule.sql is not None and job.rule.sql.update is not None


def _locks(job: Job) -> bool:
    return job.rule.sql is not None and job.rule.sql.lock is not None


def _apart(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Jobs of one rule of which no two lock the same: the second must find what the first one added."""
    left = list(jobs)
    while left:
        rule, locked = left[0].rule, set[str]()
        now: list[Job] = []
        later: list[Job] = []
        for job in left:
            lock = str(job.params[job.rule.sql.lock]) if job.rule.sql is not None and job.rule.sql.lock else None
            if job.rule is rule and (not now or lock is not None) and lock not in locked:
                now.append(job)
                locked.add(lock or "")
            else:
                later.append(job)
        yield now
        left = later


def _waves(jobs: Sequence[Job]) -> Iterator[tuple[Update, list[Job]]]:
    """Jobs of one update that name no row twice. Those of one row come one after the other, in their order."""
    left = list(jobs)
    while left:
        rows: set[tuple[str, str | None]] = set()
        later: list[Job] = []
        waves: dict[int, tuple[Update, list[Job]]] = {}
        for job in left:
            assert job.rule.sql is not None and job.rule.sql.update is not None
            update = job.rule.sql.update
            row = (update.table, job.subject_key)
            if row in rows:
                later.append(job)
            else:
                rows.add(row)
                waves.setdefault(id(update), (update, []))[1].append(job)
        yield from waves.values()
        left = later


async def _numbered(
    connection: AsyncConnection[dict[str, Any]], statement: sql.Composed, rows: list[dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """What the statement returns for each of the rows, by its number."""
    told = [{NUMBER: number, **row} for number, row in enumerate(rows)]
    cursor = await connection.execute(statement, [msgspec.json.encode(told).decode()])
    return {row[NUMBER]: row for row in await cursor.fetchall()}


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split(".", 1))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {column: plain(value) for column, value in row.items()}


def _canonical(job: Job, row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """The columns of an update in the form of canonical records."""
    return {field: inward(kind_of(job.rule.subject_entity, field), row[column]) for field, column in columns.items()}


def _for_columns(job: Job) -> dict[str, Any]:
    """What is wanted, as the columns have it."""
    return {
        field: plain(outward(kind_of(job.rule.subject_entity, field), value)) for field, value in job.wanted.items()
    }


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """Columns named `step.column` under their step, as if the step had returned them."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        step, _, column = name.rpartition(".")
        told.setdefault(step or "found", {})[column] = value
    return told


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, Decimal | int | float) and isinstance(right, Decimal | int | float):
        return Decimal(str(left)) == Decimal(str(right))
    return bool(
        (left.strip() if isinstance(left, str) else left) == (right.strip() if isinstance(right, str) else right)
    )


def _translated(error: psycopg.Error, jobs: Sequence[Job], alive: bool) -> Exception:
    """Classes 08, 25, 53, 55, 57 and a broken connection: no answer to this one, and so it is when one job alone meets a deadlock (40).
    What is left it refuses; what has no SQLSTATE on a connection that is whole was never sent: the rule is at fault.
    """
    state = error.sqlstate or ""
    if not alive or state[:2] in ("08", "25", "53", "55", "57") or (state[:2] == "40" and len(jobs) == 1):
        return TargetDown(f"no answer: {str(error).strip()}" + (f" ({state})" if state else ""), blame="unclear")
    said = error.diag.message_primary or str(error).strip()
    return Refused(
        f"{jobs[0].key}: {said}" + (f" ({state})" if state else ""),
        remedy="compare writeback.yaml with the target's tables and the role's rights",
    )
