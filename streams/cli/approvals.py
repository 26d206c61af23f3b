"""`opshub approvals`: see what waits for a person's yes, and give it or not."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Which = Annotated[str, typer.Argument(help="Number or key of the intent.")]
Who = Annotated[str | None, typer.Option("--by", help="Who decides; default: the user of this computer.")]


def list_waiting(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Intents in any state, newest first.")] = False,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; can be given more than once.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule: <system>/<name>.")] = None,
    most: Annotated[int, typer.Option(help="At most so many.")] = 100,
) -> None:
    """Show what waits for a decision.

    Example: opshub approvals list
    """
    from streams.errors import ConfigError
    from streams.writeback.desk import STATES, Desk

    wrong = [one for one in state or [] if one not in STATES]
    if wrong:
        raise ConfigError(f"there is no state {wrong[0]!r}", remedy=f"one of {', '.join(STATES)}")
    with Desk(load_settings().hub) as desk:
        found = desk.intents(state or (list(STATES) if everything else ["waiting"]), rule=rule, most=most)
    if as_json:
        typer.echo(json.dumps({"intents": found}))
        return
    if not found:
        typer.echo("nothing waits for a decision" if not everything else "there are no intents yet")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "rule", "state", "why", "said yes", "until")
    for one in found:
        yes = [said["who"] for said in one["decisions"] if said["what"] == "approve"]
        needed = f"{len(set(yes))} of {one['people']}" if one["people"] else ""
        table.add_row(
            str(one["id"]), one["rule"], one["state"], one["problem"] or "", needed, (one["expires_at"] or "")[:16]
        )
    Console().print(table)


def show(which: Which, as_json: AsJson = False) -> None:
    """Show one intent: what would be or was sent, who decided, what happened.

    Example: opshub approvals show 17
    """
    from streams.writeback.desk import Desk

    with Desk(load_settings().hub) as desk:
        found = desk.intent(which)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name in ("id", "rule", "key", "state", "problem", "attempts", "created_at", "expires_at", "done_at"):
        typer.echo(f"{name:11} {found[name] if found[name] is not None else '-'}")
    for name in ("reasons", "decisions", "request", "result"):
        if found[name]:
            typer.echo(f"{name}:\n{json.dumps(found[name], indent=2, ensure_ascii=False)}")
    typer.echo("log:")
    for line in found["log"]:
        detail = json.dumps(line["detail"], ensure_ascii=False) if line["detail"] else ""
        typer.echo(f"  {line['at'][:19]}  {line['who']}  {line['what']}  {detail}")


def approve(
    which: Which,
    why: Annotated[str, typer.Option("--reason", help="For the audit log.")] = "",
    by: Who = None,
    as_json: AsJson = False,
) -> None:
    """Say yes. Delivery asks again if the reasons have changed by then.

    Example: opshub approvals approve 17 --reason "called the customer"
    """
    _decide(which, "approve", why, by, as_json)


def reject(
    which: Which,
    why: Annotated[str, typer.Option("--reason", help="For the audit log.")],
    by: Who = None,
    as_json: AsJson = False,
) -> None:
    """Say no: the intent is never delivered.

    Example: opshub approvals reject 17 --reason "ordered by mistake"
    """
    _decide(which, "reject", why, by, as_json)


def _decide(which: str, what: str, why: str, by: str | None, as_json: bool) -> None:
    from streams.writeback.desk import Desk

    with Desk(load_settings().hub) as desk:
        found: dict[str, Any] = desk.decide(which, by or getpass.getuser(), what, why)
    if as_json:
        typer.echo(json.dumps(found))
        return
    left = found["people"] - len({said["who"] for said in found["decisions"] if said["what"] == "approve"})
    more = f"; {left} more must say yes" if found["state"] == "waiting" and left > 0 else ""
    typer.echo(f"intent {found['id']} is {found['state']}{more}")
