"""`opshub dlq list | show | edit | retry | drop`: records that could not be processed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings, who
from streams.dead_letters import retry as retries
from streams.dead_letters import store
from streams.errors import ConfigError
from streams.hub.dead_letters import Filter, StoredDeadLetter
from streams.model.dead_letter import OPEN, STATES
from streams.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Topic = Annotated[str | None, typer.Option(help="Topic; * stands for any text.")]
Key = Annotated[str | None, typer.Option(help="Key of the Kafka record, as it is written there.")]
Stage = Annotated[str | None, typer.Option(help="decode, mapping, encode or unknown.")]
ErrorClass = Annotated[str | None, typer.Option("--class", help="Class of the error.")]
ReasonHas = Annotated[str | None, typer.Option("--reason-has", help="Text that the reason contains, in any case.")]
States = Annotated[list[str] | None, typer.Option("--state", help=f"{', '.join(STATES)}; can be given more than once.")]
Limit = Annotated[int, typer.Option(min=1, help="Most dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list which.")]
Number = Annotated[int, typer.Argument(help="Number of the dead letter, as `opshub dlq list` shows it.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(help="Numbers of dead letters; without any: those that the filters match.")
]


def list_dead_letters(
    topic: Topic = None,
    key: Key = None,
    stage: Stage = None,
    error_class: ErrorClass = None,
    reason_has: ReasonHas = None,
    states: States = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, the oldest first; by default those that are open.

    Example: opshub dlq list --stage mapping --topic 'raw.demo-crm.*'
    """
    settings = load_settings()
    wanted = _filter(None, topic, key, stage, error_class, reason_has, states or list(OPEN))
    dead_letters = store.find(settings, wanted, limit)
    matching = store.count(settings, wanted) if len(dead_letters) == limit else len(dead_letters)
    notes = [f"{len(dead_letters):,} of {matching:,}: --limit shows more"] if matching > len(dead_letters) else []
    _print(dead_letters, as_json, notes, _names(settings, dead_letters))


def _names(settings: Settings, dead_letters: list[StoredDeadLetter]) -> dict[int, str]:
    """Number → what people call the record, as far as it can be read."""
    from streams.inbox.dead_letters import Dictionaries
    from streams.inbox.sending import connect

    with connect(settings) as hub:
        return Dictionaries(settings).names(hub, dead_letters)


def show(number: Number, as_json: Json = False) -> None:
    """Show one dead letter whole: bytes, edit, reason, the records parked behind it, what people did to it.

    Example: opshub dlq show 7
    """
    from rich.console import Console

    from streams.error_policy import TABLE

    settings = load_settings()
    details = store.show(settings, number)
    advice = {kind.__name__: rule.advice for kind, rule in TABLE.items()}
    shown = store.shown(details.dead_letter) | {
        "record": _names(settings, [details.dead_letter]).get(number),
        "original": store.text_of(details.original),
        "edited_by": details.edited_by,
        "waiting_behind": details.waiting_behind,
        "audit": msgspec.to_builtins(details.audit),
        "advice": advice.get(details.dead_letter.error_class, ""),
    }
    if as_json:
        typer.echo(json.dumps(shown))
        return
    console = Console(soft_wrap=True)
    for name, value in shown.items():
        console.print(f"[bold]{name}[/]: ", end="")
        console.print(value if isinstance(value, str) else json.dumps(value), markup=False)


def edit(
    number: Number,
    file: Annotated[Path, typer.Argument(help="File with the new value; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Let the next retry of a dead letter use the value in this file; the original is kept beside it.

    Example: opshub dlq show 7 --json | jq -r .value | sed s/Closd/Closed/ | opshub dlq edit 7 -
    """
    try:
        value = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", remedy="name a file, or - for standard input"
        ) from error
    edited = store.edit(load_settings(), number, value.rstrip(b"\n"), who())
    _print([edited], as_json, [f"`opshub dlq retry {number}` retries it with this value"])


def retry(
    numbers: Numbers = None, topic: Topic = None, key: Key = None, stage: Stage = None, error_class: ErrorClass = None,
    reason_has: ReasonHas = None,
    every: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    force: Annotated[bool, typer.Option("--force", help=f"Also those that failed {retries.MOST_TRIES} times.")] = False,
    limit: Limit = 1000, dry_run: DryRun = False, as_json: Json = False,
) -> dict[str, object]:  # fmt: skip
    """Retry dead letters, each key in order. Records that are parked behind them follow: do not name them.

    Example: opshub dlq retry --stage mapping --dry-run
    """
    settings = load_settings()
    wanted = _required_filter(numbers, topic, key, stage, error_class, reason_has, every)
    chosen = retries.retry(settings, wanted, who(), limit=limit, force=force, dry_run=True)
    notes = retries.explain_skipped(settings, wanted, chosen, force=force)
    if not dry_run:
        chosen = retries.retry(settings, wanted, who(), limit=limit, force=force)
    if chosen:
        notes.insert(0, _counted(len(chosen), "retried", dry_run) + "; `opshub dlq list` shows those that failed again")
    _print(chosen, as_json, notes)
    return {"ids": [dead_letter.id for dead_letter in chosen]}


def drop(
    numbers: Numbers = None, topic: Topic = None, key: Key = None, stage: Stage = None, error_class: ErrorClass = None,
    reason_has: ReasonHas = None,
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit.")] = "",
    limit: Limit = 1000, dry_run: DryRun = False, as_json: Json = False,
) -> dict[str, object]:  # fmt: skip
    """Give dead letters up for good; the records that are parked behind them are processed.

    Example: opshub dlq drop 7 --reason 'test data'
    """
    wanted = _required_filter(numbers, topic, key, stage, error_class, reason_has, every)
    dropped = store.drop(load_settings(), wanted, reason, who(), limit=limit, dry_run=dry_run)
    _print(dropped, as_json, [_counted(len(dropped), "dropped", dry_run)] if dropped else [])
    return {"ids": [dead_letter.id for dead_letter in dropped]}


def _counted(count: int, verb: str, dry_run: bool) -> str:
    subject = "dead letter" if count == 1 else "dead letters"
    return f"{count:,} {subject} {'would be' if dry_run else 'is' if count == 1 else 'are'} {verb}"


def _required_filter(
    ids: list[int] | None,
    topic: str | None,
    key: str | None,
    stage: str | None,
    error_class: str | None,
    reason: str | None,
    every: bool,
) -> Filter:
    """Raises ConfigError where nothing says which dead letters are meant."""
    if not (ids or topic or key or stage or error_class or reason or every):
        raise ConfigError("which dead letters?", remedy="name their numbers, a filter, or --all")
    return _filter(ids, topic, key, stage, error_class, reason, None)


def _filter(
    ids: list[int] | None,
    topic: str | None,
    key: str | None,
    stage: str | None,
    error_class: str | None,
    reason: str | None,
    states: list[str] | None,
) -> Filter:
    for state in states or ():
        if state not in STATES:
            raise ConfigError(f"there is no state {state!r}", remedy=f"one of {', '.join(STATES)}")
    return Filter(tuple(ids or ()), tuple(states or ()), topic, key, stage, error_class, reason)


def _print(
    dead_letters: list[StoredDeadLetter], as_json: bool, notes: list[str], names: Mapping[int, str] | None = None
) -> None:
    """The list; `names`: what people call the records."""
    called = names or {}
    for note in notes:
        typer.echo(note, err=True)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "dead_letters": [
                        store.shown(dead_letter) | {"record": called.get(dead_letter.id)}
                        for dead_letter in dead_letters
                    ],
                    "notes": notes,
                }
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("no.", "record", "topic", "key", "state", "tried", "stage", "reason")
    for dead_letter in dead_letters:
        table.add_row(
            str(dead_letter.id),
            called.get(dead_letter.id, ""),
            dead_letter.topic,
            str(store.text_of(dead_letter.key))[:40],
            dead_letter.state,
            str(dead_letter.tried),
            dead_letter.stage,
            dead_letter.reason[:200],
        )
    console = Console(width=None if sys.stdout.isatty() else 240)  # a pipe has no width, and grep wants whole lines
    console.print(table if dead_letters else "no dead letters")
