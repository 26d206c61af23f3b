"""Run the steps of a rule in a transaction of the target: lock, look up, then each step for all jobs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.writeback.failures import Refused
from streams.writeback.jobs import AlreadyDone, Answer, Job, JobAnswer, Parameters, Written
from streams.writeback.mariadb_target import Effect
from streams.writeback.read_back import Compared, check_read_back
from streams.writeback.rules import ReadBack, SqlAction, Step
from streams.writeback.sql_rows import (
    TargetConnection,
    TargetRow,
    first_rows,
    lock_keys,
    plain_row,
    run_statements,
    settle_constraints,
)
from streams.writeback.values import shown


async def run_steps(connection: TargetConnection, jobs: Sequence[Job]) -> list[JobAnswer]:
    """The answers of jobs of one rule; no two of them may lock the same (`group_by_lock`)."""
    action = jobs[0].rule.sql
    assert action is not None
    params: list[Parameters] = [dict(job.params) | {"key": job.key} for job in jobs]
    if action.lock is not None:
        # Sorted: two deliverers that lock in the same order cannot wait for each other.
        await lock_keys(connection, sorted(str(values[action.lock]) for values in params))
    answers: dict[int, Answer] = {}
    if action.look_up is not None:
        # In the transaction that would insert, under the lock: what is not there now cannot come in between.
        for index, row in enumerate(await first_rows(connection, [(action.look_up, values) for values in params])):
            if row is not None:
                answers[index] = AlreadyDone(_nest_columns(plain_row(row)))
    to_do = [index for index in range(len(jobs)) if index not in answers]
    results = await _do_steps(connection, action, jobs, params, to_do)
    await settle_constraints(connection)
    if action.read_back is not None:
        rows = await first_rows(connection, [(action.read_back.sql, params[index]) for index in to_do])
        for index, row in zip(to_do, rows, strict=True):
            results[index]["read_back"] = _read_back(jobs[index], action.read_back, row, params[index])
    answers |= {index: Written(results[index]) for index in to_do}
    return [JobAnswer(job, answers[index]) for index, job in enumerate(jobs)]


async def _do_steps(
    connection: TargetConnection,
    action: SqlAction,
    jobs: Sequence[Job],
    params: list[Parameters],
    to_do: Sequence[int],
) -> dict[int, TargetRow]:
    """Index of a job → what each of its steps returned. What a step returns becomes a parameter of those after it.

    Raises Refused for a step that did nothing: no error is not yet a success.
    """
    results: dict[int, TargetRow] = {index: {} for index in to_do}
    for step in action.steps:
        # Lines return nothing that a later step could use: there is no one row of a document with several lines.
        if step.each == "lines":
            lines = [(index, line) for index in to_do for line in jobs[index].lines]
            done = await run_statements(connection, [(step.sql, params[index] | line) for index, line in lines])
            for (index, line), effect in zip(lines, done, strict=True):
                _check_effect(jobs[index], step, effect, line)
            continue
        rows: dict[int, TargetRow | None] = dict.fromkeys(to_do)
        if step.find is not None:
            existing = await first_rows(connection, [(step.find, params[index]) for index in to_do])
            rows = dict(zip(to_do, existing, strict=True))
        missing = [index for index in to_do if rows[index] is None]
        added = await run_statements(connection, [(step.sql, params[index]) for index in missing])
        for index, effect in zip(missing, added, strict=True):
            _check_effect(jobs[index], step, effect)
            rows[index] = effect.row
        for index, row in rows.items():
            if row is not None:
                results[index][step.name] = plain_row(row)
                params[index] |= {f"{step.name}.{column}": value for column, value in row.items()}
    return results


def _check_effect(job: Job, step: Step, effect: Effect, line: Parameters | None = None) -> None:
    """Raise Refused where a statement of a step did nothing: it returned or changed no row, or returned only false or
    null, as functions do that report a failure without an error.
    """
    says_no = effect.row is not None and all(value is None or value is False for value in effect.row.values())
    if not step.required or (effect.affected > 0 and not says_no):
        return
    returned = ", ".join(f"{column} {shown(value)}" for column, value in (effect.row or {}).items())
    what = f"returned {returned or 'no row'}" if effect.returns_rows else "changed no row"
    where = f" for the line {', '.join(f'{name} {shown(value)}' for name, value in line.items())}" if line else ""
    raise Refused(
        f"{job.key}: step {step.name} {what}{where}",
        remedy="correct the record, or the rule; `required: false` allows a step to do nothing",
    )


def group_by_lock(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Groups of jobs of one rule in which no two lock the same: the second must see what the first one added."""
    left = list(jobs)
    while left:
        rule, locked = left[0].rule, set[str]()
        group: list[Job] = []
        later: list[Job] = []
        for job in left:
            lock = str(job.params[job.rule.sql.lock]) if job.rule.sql is not None and job.rule.sql.lock else None
            if job.rule is rule and (not group or lock is not None) and lock not in locked:
                group.append(job)
                locked.add(lock or "")
            else:
                later.append(job)
        yield group
        left = later


def _read_back(job: Job, read_back: ReadBack, row: TargetRow | None, params: Parameters) -> TargetRow:
    """The row that was read back. Raises Refused or AmountDiffers where it is not what was sent."""
    if row is None:
        raise Refused(f"{job.key}: read back: what was written is not there")
    missing = [name for name in read_back.compare if name not in row]
    if missing:
        raise Refused(
            f"{job.key}: read_back returns no column {', '.join(missing)}", remedy="correct sql.read_back of the rule"
        )
    check_read_back(job, [Compared(name, name, row[name], params.get(name)) for name in read_back.compare])
    return plain_row(row)


def _nest_columns(row: TargetRow) -> TargetRow:
    """Columns named `step.column` under their step, as if the step had returned them."""
    nested: TargetRow = {}
    for name, value in row.items():
        step, _, column = name.rpartition(".")
        nested.setdefault(step or "found", {})[column] = value
    return nested
