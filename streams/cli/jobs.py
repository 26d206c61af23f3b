"""`opshub jobs list | show | cancel | start`: bulk work that a console does in the background."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.hub.jobs import Job

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Number = Annotated[int, typer.Argument(metavar="JOB", help="Number of the job, as `opshub jobs list` shows it.")]


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most jobs.")] = 50, as_json: AsJson = False
) -> None:
    """List jobs, the newest first.

    Example: opshub jobs list
    """
    from streams.cli.operations import run_here
    from streams.console.operations import jobs

    listed = run_here(load_settings(), jobs.list_jobs, jobs.WantedJobs(limit=limit)).jobs
    if as_json:
        typer.echo(json.dumps({"jobs": msgspec.to_builtins(listed)}))
        return
    for job in listed:
        typer.echo(_line(job))
    if not listed:
        typer.echo("there are no jobs; `opshub jobs start` makes one, and so does the console's inbox")


def show(
    number: Number,
    state: Annotated[str | None, typer.Option(help="Only items that are waiting, done, failed or skipped.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most items.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show one job, how far it is, and the result of each item.

    Example: opshub jobs show 3 --state failed
    """
    from streams.cli.operations import run_here
    from streams.console.operation import convert
    from streams.console.operations import jobs

    wanted = convert(jobs.WantedJob, {"id": number, "state": state, "limit": limit}, strict=True)
    shown = run_here(load_settings(), jobs.show_job, wanted)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(shown)))
        return
    typer.echo(_line(shown.job))
    for item in shown.items:
        typer.echo(f"{item.number:>8}  {item.state:8} {item.item}{f'  {item.detail}' if item.detail else ''}")


def cancel(number: Number, as_json: AsJson = False) -> None:
    """Stop a job before its next items. What is done stays done.

    Example: opshub jobs cancel 3
    """
    from streams.cli.operations import run_here
    from streams.console.operations import jobs

    job = run_here(load_settings(), jobs.cancel_job, jobs.CancelJob(number))
    typer.echo(json.dumps(msgspec.to_builtins(job)) if as_json else _line(job))


def start(
    action: Annotated[str, typer.Argument(help="retry_dead_letters, drop_dead_letters, approve, reject, "
                      "resolve_conflicts, keep_separate, retry_write_backs or search_matches.")],
    group: Annotated[str | None, typer.Option(help="A group of the inbox, by its id.")] = None,
    topic: Annotated[str | None, typer.Option(help="Of dead letters; * stands for any text.")] = None,
    reason_has: Annotated[str | None, typer.Option(help="Part of the reason or problem.")] = None,
    rule: Annotated[str | None, typer.Option(help="Of intents: <system>/<rule>.")] = None,
    entity: Annotated[str | None, typer.Option(help="Of conflicts.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose value stands in conflicts; target of write-backs.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Take decisions on conflicts back.")] = False,
    not_done: Annotated[bool, typer.Option("--not-done", help="You looked: the target did none of them.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also dead letters that failed too often.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept with each item.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what matches, with examples.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Do something to all that match, in the background: a running console does it.

    Example: opshub jobs start retry_dead_letters --topic 'raw.demo-crm.*' --dry-run
    """
    from streams.cli.operations import run_here
    from streams.console.operation import convert
    from streams.console.operations import jobs

    given: dict[str, Any] = {
        "action": action, "group": group, "topic": topic, "reason_has": reason_has, "rule": rule, "entity": entity,
        "system": system, "release": release, "not_done": not_done, "force": force, "reason": reason,
    }  # fmt: skip
    wanted = convert(jobs.NewJob, given, strict=True)
    if dry_run:
        preview = run_here(load_settings(), jobs.preview_job, wanted)
        if as_json:
            typer.echo(json.dumps(msgspec.to_builtins(preview)))
            return
        for example in preview.examples:
            typer.echo(f"  {example}")
        typer.echo(f"{preview.count:,} match" + ("" if preview.is_all else ", and more than one job takes"))
        return
    job = run_here(load_settings(), jobs.start_job, wanted)
    typer.echo(
        json.dumps(msgspec.to_builtins(job)) if as_json else f"{_line(job)}\n`opshub jobs show {job.id}` follows it"
    )


def _line(job: Job) -> str:
    text = f"{job.id:>6}  {job.state:9} {job.action}: {job.handled:,} of {job.total:,}"
    parts = [f"{count:,} {word}" for count, word in ((job.failed, "failed"), (job.skipped, "skipped")) if count]
    by = f", cancelled by {job.cancelled_by}" if job.cancelled_by else f", {job.problem}" if job.problem else ""
    more = f" ({', '.join(parts)})" if parts else ""
    return f"{text}{more}, by {job.who}{by}"
