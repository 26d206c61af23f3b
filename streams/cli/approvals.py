"""`opshub approvals`: see what waits for a person's yes, and give it or not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings, who

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Which = Annotated[str, typer.Argument(help="Number or key of the intent.")]
Who = Annotated[
    str | None,
    typer.Option("--by", help="Who decides; default: the user of this computer, whose account is noted in any case."),
]


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
    for one in found:
        typer.echo(f"{one['id']:>6}  {one['state']:10} {about(one)}")
        typer.echo(f"{'':8}{'; '.join([one['rule'], *_standing(one)])}")
    if any(one["state"] == "waiting" for one in found):
        typer.echo("`opshub approvals show NUMBER` tells what would be sent; approve NUMBER or reject NUMBER decides")


def _standing(intent: dict[str, Any]) -> list[str]:
    """Why people are asked, who said yes, until when."""
    told = [intent["problem"]] if intent["problem"] else []
    if intent["people"]:
        yes = {said["who"] for said in intent["decisions"] if said["what"] == "approve"}
        told.append(f"{len(yes)} of {intent['people']} said yes" + (f" ({', '.join(sorted(yes))})" if yes else ""))
    if intent["state"] == "waiting" and intent["expires_at"]:
        told.append(f"expires {_minute(intent['expires_at'])}")
    return told


def _minute(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def about(intent: dict[str, Any]) -> str:
    """What an intent is about, as people call it: number, name, customer, amount."""
    told = intent["about"]
    parts = [told.get("number"), told.get("name") if told.get("name") != told.get("customer") else None]
    words = " ".join(part for part in parts if part) or told.get("entity", "")
    if told.get("customer"):
        words += f", {told['customer']}"
    if told.get("amount") is not None:
        words += f", {Decimal(told['amount']).scaleb(-4):,.2f} {told.get('currency') or ''}".rstrip()
    return words


def show(which: Which, as_json: AsJson = False) -> None:
    """Show one intent: what would be or was sent, who decided, what happened.

    Example: opshub approvals show 17
    """
    from streams.writeback.desk import PENDING, Desk

    with Desk(load_settings().hub) as desk:
        found = desk.intent(which)
        if found["state"] in PENDING:
            found["would_send"] = desk.would_send(found["id"], *_rules())
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"about       {about(found)}")
    for name in ("id", "rule", "key", "state", "problem", "attempts", "created_at", "expires_at", "done_at"):
        typer.echo(f"{name:11} {found[name] if found[name] is not None else '-'}")
    for name in ("reasons", "decisions", "would_send", "request", "result"):
        told = found.get(name)
        if told:
            typer.echo(f"{name.replace('_', ' ')}:")
            typer.echo("\n".join(f"  {line}" for line in _lines(told)))
    typer.echo("log:")
    for line in found["log"]:
        detail = json.dumps(line["detail"], ensure_ascii=False) if line["detail"] else ""
        typer.echo(f"  {line['at'][:19]}  {line['who']}  {line['what']}  {detail}")


def _lines(told: Any) -> list[str]:
    """A tree of values as people read it: what is sent first, statements with their line ends last."""
    if isinstance(told, str):
        return told.strip().splitlines()
    if not isinstance(told, list) or not any(isinstance(one, dict) and "sql" in one for one in told):
        return json.dumps(told, indent=2, ensure_ascii=False).splitlines()
    values = [one for one in told if "sql" not in one]
    lines = [line for one in values for line in json.dumps(one, indent=2, ensure_ascii=False).splitlines()]
    for one in told:
        if "sql" in one:
            lines += [f"-- {one['step']}", *one["sql"].splitlines()]
    return lines


def _rules() -> tuple[dict[str, Any], dict[str, Any]]:
    """(rules by <system>/<name>, adapters by system) to tell what would be sent; none of them is opened."""
    from streams.paths import connectors_dir
    from streams.writeback.http import HttpAdapter
    from streams.writeback.load import load_rules
    from streams.writeback.rules import SqlTarget
    from streams.writeback.sql import SqlAdapter

    settings = load_settings()
    loaded = load_rules(connectors_dir(settings), settings.systems)
    rules = {f"{system}/{name}": rule for system, told in loaded.items() for name, rule in told.rules.items()}
    adapters = {
        system: SqlAdapter(told.target, "desk") if isinstance(told.target, SqlTarget) else HttpAdapter(told.target)
        for system, told in loaded.items()
    }
    return rules, adapters


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


def deciding(by: str | None, account: str, approvers: list[str]) -> tuple[str, str]:
    """(who decides, by whose account that counts). Only those whom the settings name are people of their own by `--by` alone.
    Raises ConfigError for one whom they do not name.
    """
    from streams.errors import ConfigError

    if by is None or not approvers:
        return by or account, account
    if by not in approvers:
        raise ConfigError(
            f"{by!r} is none of those who may be named with --by",
            remedy=f"one of {', '.join(approvers)} (OPSHUB_APPROVERS)",
        )
    return by, by


def _decide(which: str, what: str, why: str, by: str | None, as_json: bool) -> None:
    from streams.writeback.desk import Desk

    settings = load_settings()
    person, account = deciding(by, who(), settings.approvers)
    with Desk(settings.hub) as desk:
        found: dict[str, Any] = desk.decide(which, person, what, why, account=account)
    if as_json:
        typer.echo(json.dumps(found))
        return
    if found["state"] == "waiting":
        yes = {
            said["who"]
            for said in found["decisions"]
            if said["what"] == "approve" and said["reasons"] == found["reasons"]
        }
        more = f": {len(yes)} of {found['people']} people said yes"
    else:
        more = "; it is delivered now, unless another reason to ask has come up" if found["state"] == "approved" else ""
    typer.echo(f"intent {found['id']} is {found['state']}{more}")
