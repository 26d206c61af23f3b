"""`opshub audit`: what people did."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from streams.cli.context import load_settings
from streams.cli.operations import keyboard
from streams.cli.up import StateDir
from streams.console.audit_export import Form, export
from streams.console.operation import Via, run
from streams.console.operations.audit import WantedAudit, all_entries, list_audit
from streams.console.problems import WrongInput

Who = Annotated[str | None, typer.Option(help="Only deeds of this person.")]
What = Annotated[str | None, typer.Option(help="Only this deed, such as approve_intent.")]
About = Annotated[str | None, typer.Option(help="Only deeds on the thing with this id.")]
Way = Annotated[str | None, typer.Option(help="Only by page, api or command.")]
Since = Annotated[datetime | None, typer.Option(help="Only from this day or time on, UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Only before this day or time, UTC.")]


def list_entries(
    who: Who = None,
    what: What = None,
    about: About = None,
    via: Way = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    state_dir: StateDir = None,
) -> None:
    """List what people did, the newest first: by page, API and command.

    Example: opshub audit list --who anna --since 2026-11-01
    """
    wanted = _wanted(who, what, about, via, since, until, limit)
    with keyboard(load_settings(state_dir=state_dir)) as context:
        listed = run(context, list_audit, wanted)
    if as_json:
        print(msgspec.json.encode(listed).decode())
        return
    for item in listed.entries:
        end = f"  refused: {item.failed}" if item.failed else ""
        why = f"  ({item.why})" if item.why else ""
        print(f"{item.at:%Y-%m-%d %H:%M:%S}  {item.who}  {item.what}  {item.about or ''}{why}{end}")
    if not listed.entries:
        print("nobody did anything like that")


def export_entries(
    form: Annotated[str, typer.Option("--as", help="csv or jsonl.")] = "csv",
    who: Who = None,
    what: What = None,
    about: About = None,
    via: Way = None,
    since: Since = None,
    until: Until = None,
    state_dir: StateDir = None,
) -> None:
    """Write the audit to standard output, as CSV or one JSON object in each line.

    Example: opshub audit export --as jsonl --since 2026-11-01 > audit.jsonl
    """
    if form not in ("csv", "jsonl"):
        raise WrongInput(f"there is no export as {form}", remedy="csv or jsonl")
    chosen: Form = "csv" if form == "csv" else "jsonl"
    wanted = _wanted(who, what, about, via, since, until, 1)
    with keyboard(load_settings(state_dir=state_dir)) as context:
        for piece in export(all_entries(context, wanted), chosen):
            sys.stdout.write(piece)


def _wanted(
    who: str | None, what: str | None, about: str | None, via: str | None, since: datetime | None,
    until: datetime | None, limit: int,
) -> WantedAudit:  # fmt: skip
    from datetime import UTC

    ways: dict[str, Via] = {"page": "page", "api": "api", "command": "command"}
    if via is not None and via not in ways:
        raise WrongInput(f"there is no way {via}", remedy="page, api or command")
    return WantedAudit(
        who=who, what=what, about=about, via=ways[via] if via else None, limit=limit,
        since=since and since.replace(tzinfo=UTC), until=until and until.replace(tzinfo=UTC),
    )  # fmt: skip
