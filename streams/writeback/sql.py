"""Write to a database: one transaction of named statements, under a replication origin. How MariaDB and MySQL stand in
for an origin: `mariadb_target.py`.

An origin is active in one session at a time. So a session that has the origin knows that no other deliverer has a
transaction on its way: what an earlier, dead deliverer did is either committed, and found by its idempotency key,
or will never be committed. A deliverer that stalls loses its session (`idle_session_timeout`), and with it the
origin, to the next one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from streams.hub.intents import Request
from streams.hub.session import is_usable
from streams.writeback.failures import NotReady, Refused, TargetBusy, TargetDown
from streams.writeback.jobs import Job, JobAnswer, StillLeased
from streams.writeback.mariadb_target import MariadbTarget
from streams.writeback.rules import SqlTarget
from streams.writeback.sql_rows import TargetConnection, first_rows, plain_row
from streams.writeback.sql_steps import group_by_lock, run_steps
from streams.writeback.sql_update import ColumnTypes, column_values, group_updates, update_of, update_rows
from streams.writeback.values import Fields, plain

JOBS_PER_TRANSACTION = 25
"""Jobs with steps in one transaction (docs/decisions.md, 46). With more, the first would wait long for the last."""
LOCK_TIMEOUT_MS = 2_000
"""Longest wait for a row that somebody has locked: all other jobs of the transaction wait with it."""
MOST_WARNINGS = 5
"""Notices of a transaction that a message shows."""
IDLE_SESSION_MS = 30_000
"""Silence after which the target ends a deliverer's session: then the origin of a stalled deliverer is free."""


def _no_fault(point: str) -> None:
    return


class SqlAdapter:
    """One target by SQL. `fault` is called at `deliver.statements` (before the commit) and `deliver.target` (after
    it).
    """

    def __init__(
        self,
        target: SqlTarget,
        name: str,
        *,
        fault: Callable[[str], None] = _no_fault,
        jobs_per_transaction: int = JOBS_PER_TRANSACTION,
    ) -> None:
        self._target = target
        self._jobs_per_transaction = jobs_per_transaction
        self._name = name
        self._fault = fault
        self._connection: TargetConnection | None = None
        self._types: ColumnTypes = {}
        self._warnings: list[str] = []
        """Notices and warnings of the transaction."""
        self.origin: str | None = None
        self._used = 0.0

    async def open(self) -> bool:
        if self._connection is not None and _is_ready(self._connection):
            # Within half of the idle timeout the target cannot have ended the session for its silence: no need to ask.
            if time.monotonic() - self._used < IDLE_SESSION_MS / 2000:
                return False
            try:
                await self._connection.execute("SELECT 1")
                self._used = time.monotonic()
                return False
            except psycopg.Error:
                pass  # It is gone: connect again.
        await self.close()
        connection = await self._connect()
        try:
            origin = await _take_free_origin(connection, self._target)
        except BaseException:
            await connection.close()
            raise
        if not isinstance(connection, MariadbTarget):
            connection.add_notice_handler(self._keep_warning)
        self._connection, self.origin, self._used = connection, origin, time.monotonic()
        # With several origins another deliverer may have transactions on their way under another one.
        return len(self._target.origins) == 1

    async def _connect(self) -> TargetConnection:
        target = self._target
        if target.engine != "postgres":
            return await self._connect_mariadb()
        statement_ms = int(target.statement_timeout.total_seconds() * 1000)
        conninfo = make_conninfo(
            host=target.host, port=target.port, dbname=target.dbname, user=target.user, password=target.password,
            connect_timeout=5, application_name=f"opshub-deliver-{self._name}",
            keepalives_idle=5, keepalives_interval=2, keepalives_count=3,
            options=f"-c statement_timeout={statement_ms} -c lock_timeout={min(LOCK_TIMEOUT_MS, statement_ms)}"
            f" -c idle_session_timeout={IDLE_SESSION_MS} -c idle_in_transaction_session_timeout=10000",
        )  # fmt: skip
        try:
            return await AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row, prepare_threshold=1)
        except psycopg.Error as error:
            # Nothing was sent: the blame is the target's, and no intent is in doubt.
            raise TargetDown(f"{target.host}:{target.port} does not answer: {str(error).strip()}") from error

    async def _connect_mariadb(self) -> TargetConnection:
        target = self._target
        try:
            return await MariadbTarget.open(target, lock_ms=LOCK_TIMEOUT_MS, idle_ms=IDLE_SESSION_MS)
        except psycopg.Error as error:
            raise TargetDown(f"{target.host}:{target.port} does not answer: {str(error).strip()}") from error

    def _keep_warning(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if len(self._warnings) < MOST_WARNINGS:
            self._warnings.append((diagnostic.message_primary or "")[:200])

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def deliver(self, jobs: Sequence[Job], still_leased: StillLeased) -> AsyncGenerator[list[JobAnswer]]:
        """Updates of rows go in one transaction; jobs with steps and a lock in transactions of
        `JOBS_PER_TRANSACTION`, because each commit and each round trip takes its time. A job without a lock, or one
        that failed before, goes individually.
        """
        batches = self._batches(jobs)
        while batches:
            batch = await still_leased(batches.pop(0))
            if not batch:
                continue
            answers: list[JobAnswer]
            try:
                answers = await self._transaction(batch)
            except (Refused, NotReady, TargetDown) as problem:
                if len(batch) > 1 and not (isinstance(problem, TargetDown) and problem.blame == "target"):
                    # One of them is refused, or waits for a lock, and takes the others with it: each individually.
                    batches = [[job] for job in batch] + batches
                    continue
                answers = [JobAnswer(job, problem) for job in batch]
            yield answers

    def _batches(self, jobs: Sequence[Job]) -> list[list[Job]]:
        # A job that failed before would roll back the others once more.
        individual = [job for job in jobs if job.failed_before or not (update_of(job) or _has_lock(job))]
        individual_keys = {job.key for job in individual}
        updates = [job for job in jobs if update_of(job) and job.key not in individual_keys]
        locking = [job for job in jobs if _has_lock(job) and job.key not in individual_keys]
        size = self._jobs_per_transaction
        batches = [updates] if updates else []
        batches += [locking[start : start + size] for start in range(0, len(locking), size)]
        return batches + [[job] for job in individual]

    async def read_current(self, jobs: Sequence[Job]) -> list[Fields]:
        """What each rule's `now` finds; an empty dict where it finds no row."""
        await self.open()
        assert self._connection is not None
        statements = [
            (job.rule.sql.now or "", dict(job.params) | {"key": job.key}) for job in jobs if job.rule.sql is not None
        ]
        try:
            rows = await first_rows(self._connection, statements)
        except psycopg.Error as error:
            raise translate(error, jobs, is_alive=_is_ready(self._connection)) from error
        self._used = time.monotonic()
        return [plain_row(row) if row is not None else {} for row in rows]

    async def _transaction(self, jobs: Sequence[Job]) -> list[JobAnswer]:
        await self.open()
        assert self._connection is not None
        connection = self._connection
        answers: list[JobAnswer] = []
        self._warnings.clear()
        try:
            async with connection.transaction():
                # The origin takes the commit time that the session sets. Without it Debezium reports the year 2000.
                if not isinstance(connection, MariadbTarget):
                    await connection.execute("SELECT pg_replication_origin_xact_setup('0/1', clock_timestamp())")
                for update, group in group_updates([job for job in jobs if update_of(job)]):
                    answers += await update_rows(connection, update, group, self._types)
                for group in group_by_lock([job for job in jobs if not update_of(job)]):
                    answers += await run_steps(connection, group)
                self._fault("deliver.statements")
        except psycopg.Error as error:
            # A table can have changed: its types are read again.
            self._types.clear()
            raise translate(error, jobs, is_alive=_is_ready(connection)) from error
        except Refused as refused:
            # Functions of a target often say why in a warning only.
            if self._warnings:
                raise Refused(
                    f"{refused}; the target warns: {'; '.join(self._warnings)}",
                    remedy=refused.remedy, in_doubt=refused.in_doubt,
                ) from refused  # fmt: skip
            raise
        self._used = time.monotonic()
        self._fault("deliver.target")
        return answers

    def describe(self, job: Job) -> Request:
        action = job.rule.sql
        assert action is not None
        if action.update is not None:
            values = {action.update.columns[field]: value for field, value in column_values(job).items()}
            return [{"update": action.update.table, "key": job.subject_key, "set": values}]
        steps: Request = [{"step": step.name, "sql": step.sql.strip()} for step in action.steps]
        params = {name: plain(value) for name, value in job.params.items()} | {"key": job.key}
        lines = [{name: plain(value) for name, value in line.items()} for line in job.lines]
        return [*steps, {"params": params, "lines": lines}]


def _is_ready(connection: TargetConnection) -> bool:
    """Whether a session is open and ready for the next statement."""
    return connection.is_usable if isinstance(connection, MariadbTarget) else is_usable(connection)


def _has_lock(job: Job) -> bool:
    return job.rule.sql is not None and job.rule.sql.lock is not None


async def _take_free_origin(connection: TargetConnection, target: SqlTarget) -> str:
    """The origin under which this session writes from now on. Raises TargetBusy when all of them are taken."""
    for origin in target.origins:
        try:
            if isinstance(connection, MariadbTarget):
                if await connection.take(origin, target.dbname):
                    return origin
                continue
            await connection.execute("SELECT pg_replication_origin_session_setup(%s)", [origin])
        except (psycopg.errors.ObjectInUse, psycopg.errors.ObjectNotInPrerequisiteState):
            continue
        except psycopg.Error as error:
            raise TargetDown(f"origin {origin}: {str(error).strip()}") from error
        return origin
    raise TargetBusy(f"another deliverer writes under {', '.join(target.origins)}")


def translate(error: psycopg.Error, jobs: Sequence[Job], *, is_alive: bool) -> Refused | TargetDown:
    """The failure for an error of the target, by its SQLSTATE.

    Classes 08, 25, 53, 55, 57 and a broken connection: no answer to this job. So is 40 (a deadlock) when one job
    alone meets it; with several jobs it is refused first, and each is tried individually. Everything else is a
    refusal. An error without a SQLSTATE on a connection that is whole was never sent: the rule is at fault.
    """
    state = error.sqlstate or ""
    shown_state = f" ({state})" if state else ""
    if not is_alive or state[:2] in ("08", "25", "53", "55", "57") or (state[:2] == "40" and len(jobs) == 1):
        return TargetDown(f"no answer: {str(error).strip()}{shown_state}", blame="unclear")
    message = error.diag.message_primary or str(error).strip()
    return Refused(
        f"{jobs[0].key}: {message}{shown_state}",
        remedy="compare writeback.yaml with the target's tables and the role's rights",
    )
