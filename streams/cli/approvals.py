"""`opshub approvals`: list and show intents, approve and reject those that wait for a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from streams.cli.context import load_settings, who

if TYPE_CHECKING:
    from streams.hub.intent_review import IntentSubject, IntentView
    from streams.hub.intents import Approval, Question, Request
    from streams.writeback.commands import WouldSend

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Which = Annotated[str, typer.Argument(metavar="INTENT", help="Number or key of the intent.")]
By = Annotated[
    str | None,
    typer.Option("--by", help="Who decides; default: the user of this computer, whose account is logged in any case."),
]


def list_intents(
    as_json: AsJson = False,
    all_states: Annotated[bool, typer.Option("--all", help="Intents in every state.")] = False,
    state: Annotated[list[str] | None, typer.Option(help="Only this state; can be given more than once.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule: <system>/<rule>.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 100,
) -> None:
    """List the intents that wait for a decision.

    Example: opshub approvals list

    Example: opshub approvals list --state dead --rule demo-erp/order_from_opportunity
    """
    from streams.errors import ConfigError
    from streams.hub.record_names import record_names
    from streams.writeback import commands

    wrong = [name for name in state or [] if name not in commands.STATES]
    if wrong:
        raise ConfigError(f"there is no state {wrong[0]!r}", remedy=f"one of {', '.join(commands.STATES)}")
    states = [known for known in commands.STATES if all_states or known in (state or ["waiting"])]
    with commands.connect_hub(load_settings().hub) as hub:
        intents = commands.list_intents(hub, states, rule=rule, limit=limit)
        names = record_names(hub, [intent.entity_id for intent in intents])
    if as_json:
        typer.echo(json.dumps({"intents": [_as_json(intent) for intent in intents]}))
        return
    if not intents:
        typer.echo("there are no intents in these states" if all_states or state else "no intent waits for a decision")
        return
    for intent in intents:
        name = names[intent.entity_id].text if intent.entity_id in names else name_of(intent.about)
        typer.echo(f"{intent.id:>6}  {intent.state:10} {name}")
        typer.echo(f"{'':8}{'; '.join([intent.rule, *_status_lines(intent)])}")
    if any(intent.state == "waiting" for intent in intents):
        typer.echo(
            "`opshub approvals show NUMBER` shows what would be sent; `approve NUMBER` or `reject NUMBER` decides"
        )


def _status_lines(intent: IntentView) -> list[str]:
    """Why people are asked, who approved, until when."""
    lines = [intent.problem] if intent.problem else []
    if intent.people:
        names = sorted({decision.who for decision in intent.decisions if decision.what == "approve"})
        lines.append(f"{len(names)} of {intent.people} approved" + (f" ({', '.join(names)})" if names else ""))
    if intent.state == "waiting" and intent.expires_at:
        lines.append(f"expires {intent.expires_at.astimezone(UTC):%Y-%m-%d %H:%M UTC}")
    return lines


def name_of(about: IntentSubject) -> str:
    """The record of an intent as people know it: number, name, customer, amount."""
    words = [about.number, about.name if about.name != about.customer else None]
    text = " ".join(word for word in words if word) or about.entity
    if about.customer:
        text += f", {about.customer}"
    if about.amount is not None:
        text += f", {_money(about.amount, about.currency)}"
    return text


def _money(unscaled: int, currency: str | None) -> str:
    from streams.writeback.read_back import amount_text

    return amount_text(Decimal(unscaled).scaleb(-4), currency)


def _question_text(question: Question) -> str:
    """A question with the amount or discount that it is about."""
    parts = [question.reason]
    if question.amount is not None:
        parts.append(_money(question.amount, question.currency))
    if question.discount is not None:
        parts.append(f"{Decimal(question.discount).scaleb(-4).normalize():f} %")
    if question.people > 1:
        parts.append(f"{question.people} people")
    return ", ".join(parts)


def _decision_text(decision: Approval) -> str:
    account = f" (account {decision.account})" if decision.account not in (None, decision.who) else ""
    why = f": {decision.why}" if decision.why else ""
    about = "; ".join(_question_text(question) for question in decision.reasons)
    return f"{decision.at or '-'}  {decision.who}{account} {decision.what}{why}" + (f"  [{about}]" if about else "")


def _as_json(intent: IntentView) -> dict[str, Any]:
    """The intent as JSON, with amounts as decimal texts."""
    view: dict[str, Any] = _readable(msgspec.to_builtins(intent) | {"request": None, "result": None})
    return view | {"request": intent.request, "result": intent.result}


def _readable(value: Any) -> Any:
    """What the hub keeps of questions, with `amount` and `discount` as decimal texts instead of whole numbers."""
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: format(Decimal(item).scaleb(-4), "f").rstrip("0").rstrip(".")
        if name in ("amount", "discount") and isinstance(item, int)
        else _readable(item)
        for name, item in value.items()
    }


def show(which: Which, as_json: AsJson = False) -> None:
    """Show one intent: what would be or was sent, who decided, what happened.

    Example: opshub approvals show 17
    """
    from streams.inbox import write_back
    from streams.writeback import commands

    settings = load_settings()
    with commands.connect_hub(settings.hub) as hub:
        intent = commands.get_intent(hub, which)
        log = commands.get_log(hub, intent)
    would_send = None
    if intent.state in commands.UNFINISHED:
        would_send = write_back.would_send(settings, intent.id)
    if as_json:
        more = {"log": log} if would_send is None else {"log": log, "would_send": would_send}
        typer.echo(json.dumps(_as_json(intent) | msgspec.to_builtins(more)))
        return
    typer.echo(f"about       {name_of(intent.about)}")
    for name in ("id", "rule", "key", "state", "problem", "attempts", "created_at", "expires_at", "done_at"):
        value = getattr(intent, name)
        typer.echo(f"{name:11} {_shown(value)}")
    sections = {
        "reasons": [_question_text(question) for question in intent.reasons],
        "decisions": [_decision_text(decision) for decision in intent.decisions],
        "would send": _would_send_lines(would_send),
        "request": _request_lines(intent.request or []),
        "result": _json_lines(intent.result),
    }
    for title, lines in sections.items():
        if lines:
            typer.echo(f"{title}:")
            typer.echo("\n".join(f"  {line}" for line in lines))
    typer.echo("log:")
    for entry in log:
        detail = json.dumps(_readable(entry.detail), ensure_ascii=False) if entry.detail else ""
        typer.echo(f"  {entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {entry.who}  {entry.what}  {detail}")


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}"
    return "-" if value is None else str(value)


def _json_lines(value: object) -> list[str]:
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False).splitlines() if value else []


def _would_send_lines(would_send: WouldSend | None) -> list[str]:
    if would_send is None:
        return []
    return _request_lines(would_send.request or []) if would_send.reason is None else [would_send.reason]


def _request_lines(request: Request) -> list[str]:
    """The values that are sent, then each statement with its lines: in JSON a statement would be one long line."""
    lines = [line for item in request if "sql" not in item for line in _json_lines(item)]
    for item in request:
        if "sql" in item:
            lines += [f"-- {item['step']}", *item["sql"].splitlines()]
    return lines


def approve(
    which: Which,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Approve an intent. People are asked again if there are other reasons when it is delivered.

    Example: opshub approvals approve 17 --reason "called the customer"
    """
    _decide(which, "approve", reason, by, as_json)


def reject(
    which: Which,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Reject an intent: it is never delivered.

    Example: opshub approvals reject 17 --reason "ordered by mistake"
    """
    _decide(which, "reject", reason, by, as_json)


def _decide(which: str, what: Literal["approve", "reject"], reason: str, by: str | None, as_json: bool) -> None:
    from streams.inbox import write_back
    from streams.writeback import commands

    settings = load_settings()
    person, account = commands.person_and_account(by, who(), settings.approvers)
    with commands.connect_hub(settings.hub) as hub:
        intent = write_back.decide(hub, which, what, who=person, reason=reason, account=account)
    if as_json:
        typer.echo(json.dumps(_as_json(intent)))
        return
    more = ""
    if intent.state == "waiting":
        names = {
            decision.who
            for decision in intent.decisions
            if decision.what == "approve" and decision.reasons == intent.reasons
        }
        more = f": {len(names)} of {intent.people} people approved"
    elif intent.state == "approved":
        more = "; it is delivered now, unless there is another reason to ask by then"
    typer.echo(f"intent {intent.id} is {intent.state}{more}")
