"""`opshub consume`: the records of a topic, decoded, for people and for scripts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir
from streams.errors import ConfigError

if TYPE_CHECKING:
    from rich.text import Text

    from streams.emit.consume import Consumed, Start


def consume(
    topic: Annotated[str, typer.Argument(help="Such as canonical.customer, or just customer.")],
    state_dir: StateDir = None,
    begin: Annotated[
        str,
        typer.Option("--from", help="beginning, latest, or a time such as 2026-05-01T08:00 (UTC when it has no zone)."),
    ] = "latest",
    most: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many records.")] = None,
    key: Annotated[str, typer.Option(help="Only records whose key has this text.")] = "",
    text: Annotated[str, typer.Option(help="Only records that have this text anywhere.")] = "",
    system: Annotated[str, typer.Option(help="Only records of this system (not for canonical records).")] = "",
    where: Annotated[
        list[str] | None, typer.Option(help="field=value: only records with this value; may be given more than once.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end of the topic, or stop there.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a record.")] = False,
) -> None:
    """Show the records of a topic; exit code 1 when one of them cannot be read.

    Examples:

    opshub consume customer --from beginning --no-follow

    opshub consume raw.demo-erp.erp.cust --where ctry=DE
    """
    from itertools import islice

    from streams.emit.consume import consume as read
    from streams.emit.tail import TailFilter, parse_fields
    from streams.model.records import BY_TOPIC

    settings = load_settings(state_dir=state_dir)
    if f"canonical.{topic}" in BY_TOPIC:
        topic = f"canonical.{topic}"
    unreadable = False
    wanted = TailFilter(key, text, system, parse_fields(where or []))
    records = read(settings.kafka, settings.registry, topic, start=parse_start(begin), follow=follow)
    for record in islice(filter(wanted.lets_through, records), most):
        unreadable = unreadable or record.error is not None
        if as_json:
            sys.stdout.write(record.to_json().decode() + "\n")
        else:
            _show(record)
        sys.stdout.flush()
    if unreadable:
        raise typer.Exit(1)


def parse_start(text: str) -> Start:
    """Where to begin: `beginning`, `latest` or a time. Raises ConfigError for anything else."""
    if text == "beginning":
        return "beginning"
    if text == "latest":
        return "latest"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--from {text!r} is neither beginning nor latest nor a time",
            remedy="a time looks like 2026-05-01T08:00:00Z",
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _show(record: Consumed) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    version = "" if record.version is None else f"  version {record.version}"
    head = f"{record.topic}[{record.partition}]@{record.offset}  {at}  {record.key}{version}"
    console.print(Text(head, style="bold"))
    if record.error is not None:
        console.print(Text(f"  cannot be read: {record.error}", style="red"))
    elif record.record is None:
        console.print(Text("  deleted", style="dim"))
    else:
        fields = msgspec.to_builtins(record.record, enc_hook=str)
        for name, value in fields.items():
            if value not in (None, []):
                console.print(_field(name, value))


def _field(name: str, value: object) -> Text:
    from rich.text import Text

    if isinstance(value, list) and isinstance(value[0], dict):
        lines = ["  ".join(f"{key}={text}" for key, text in item.items() if text is not None) for item in value]
        return Text.assemble((f"  {name}:", "cyan"), *(f"\n    {line}" for line in lines))
    return Text.assemble((f"  {name}: ", "cyan"), str(value))
