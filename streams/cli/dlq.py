"""`opshub dlq list | show | edit | retry | drop`: records that could not be processed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings, who
from streams.dead_letters.store import DeadLetters, Filter, Letter
from streams.errors import ConfigError
from streams.model.dead_letter import STATES

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Topic = Annotated[str | None, typer.Option(help="Topic; * stands for any text.")]
Key = Annotated[str | None, typer.Option(help="Key of the Kafka record, as it is written there.")]
Stage = Annotated[str | None, typer.Option(help="decode, mapping, encode or unknown.")]
Kind = Annotated[str | None, typer.Option("--class", help="Class of the error.")]
Reason = Annotated[str | None, typer.Option("--reason-has", help="Part of the reason.")]
State = Annotated[list[str] | None, typer.Option(help=f"{', '.join(STATES)}; can be given more than once.")]
Limit = Annotated[int, typer.Option(min=1, help="Most letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which.")]
Ids = Annotated[list[int] | None, typer.Argument(help="Numbers of letters; none: those that the filters name.")]


def list_letters(
    topic: Topic = None, key: Key = None, stage: Stage = None, kind: Kind = None, reason_has: Reason = None,
    state: State = None, limit: Limit = 50, as_json: Json = False,
) -> None:  # fmt: skip
    """List letters, the oldest first; by default those that are open.

    Example: opshub dlq list --stage mapping --topic 'raw.demo-crm.*'
    """
    wanted = _filter(None, topic, key, stage, kind, reason_has, state or ["dead", "parked", "retry"])
    letters = _letters()
    found = letters.find(wanted, limit)
    every = letters.count(wanted) if len(found) == limit else len(found)
    notes = [f"{len(found):,} of {every:,}: --limit shows more"] if every > len(found) else []
    _tell(found, as_json, notes)


def show(letter: Annotated[int, typer.Argument(help="Its number.")], as_json: Json = False) -> None:
    """Show one letter whole: bytes, edit, reason, what waits behind it, what was done to it."""
    from rich.console import Console

    from streams.error_policy import TABLE

    told = _letters().show(letter)
    advice = {kind.__name__: rule.advice for kind, rule in TABLE.items()}
    told["advice"] = advice.get(told["kind"], "")
    if as_json:
        typer.echo(json.dumps(told))
        return
    console = Console(soft_wrap=True)
    for name, value in told.items():
        console.print(f"[bold]{name}[/]: ", end="")
        console.print(value if isinstance(value, str) else json.dumps(value), markup=False)


def edit(
    letter: Annotated[int, typer.Argument(help="Its number.")],
    file: Annotated[Path, typer.Argument(help="File with the new value; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Let a letter be tried again as this file says; the original is kept beside it.

    Example: opshub dlq show 7 --json | jq -r .value | sed s/Closd/Closed/ | opshub dlq edit 7 -
    """
    try:
        value = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", remedy="name a file, or - for standard input"
        ) from error
    _tell([_letters().edit(letter, value.rstrip(b"\n"))], as_json, [f"`opshub dlq retry {letter}` tries it so"])


def retry(
    letters: Ids = None, topic: Topic = None, key: Key = None, stage: Stage = None, kind: Kind = None, reason_has: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also those that failed five times.")] = False,
    limit: Limit = 1000, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Try letters again, each key in order with all that waits behind it. What waits of a key needs not be named.

    Example: opshub dlq retry --stage mapping --dry-run
    """
    wanted = _chosen(letters, topic, key, stage, kind, reason_has, every)
    there = _letters()
    chosen = there.retry(wanted, limit=limit, force=force, dry_run=True)
    notes = there.left_alone(wanted, chosen, force=force)
    if not dry_run:
        chosen = there.retry(wanted, limit=limit, force=force)
    if chosen:
        notes.insert(0, _done(len(chosen), "tried again", dry_run) + "; `opshub dlq list` shows what failed again")
    _tell(chosen, as_json, notes)


def drop(
    letters: Ids = None, topic: Topic = None, key: Key = None, stage: Stage = None, kind: Kind = None, reason_has: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit.")] = "",
    limit: Limit = 1000, dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Give letters up for good; what waits behind them goes on."""
    wanted = _chosen(letters, topic, key, stage, kind, reason_has, every)
    chosen = _letters().drop(wanted, reason, limit=limit, dry_run=dry_run)
    _tell(chosen, as_json, [_done(len(chosen), "dropped", dry_run)] if chosen else [])


def _letters() -> DeadLetters:
    return DeadLetters(load_settings(), who())


def _done(count: int, what: str, dry_run: bool) -> str:
    return f"{count:,} {'would be' if dry_run else 'letter is' if count == 1 else 'letters are'} {what}"


def _chosen(
    ids: list[int] | None, topic: str | None, key: str | None, stage: str | None, kind: str | None, reason: str | None, every: bool
) -> Filter:  # fmt: skip
    if not (ids or topic or key or stage or kind or reason or every):
        raise ConfigError("which letters?", remedy="name their numbers, a filter, or --all")
    return _filter(ids, topic, key, stage, kind, reason, None)


def _filter(
    ids: list[int] | None, topic: str | None, key: str | None, stage: str | None, kind: str | None, reason: str | None,
    states: list[str] | None,
) -> Filter:  # fmt: skip
    for state in states or ():
        if state not in STATES:
            raise ConfigError(f"there is no state {state!r}", remedy=f"one of {', '.join(STATES)}")
    return Filter(tuple(ids or ()), tuple(states or ()), topic, key, stage, kind, reason)


def _tell(letters: list[Letter], as_json: bool, notes: list[str]) -> None:
    for note in notes:
        typer.echo(note, err=True)
    if as_json:
        typer.echo(json.dumps({"letters": [letter.shown() for letter in letters], "notes": notes}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("no.", "topic", "key", "state", "tried", "stage", "reason")
    for letter in letters:
        told: dict[str, Any] = letter.shown()
        table.add_row(
            str(letter.id),
            letter.topic,
            str(told["key"])[:40],
            letter.state,
            str(letter.tried),
            letter.stage,
            letter.reason[:200],
        )
    console = Console(width=None if sys.stdout.isatty() else 240)  # a pipe has no width, and grep wants whole lines
    console.print(table if letters else "no letters")
