"""`opshub writeback`: the rules and their intents; pause and resume; what shadow mode would have done."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings, who

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.writeback.rule_book import NamedRule

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="A system, or one rule as <system>/<rule>.")]


def _load_rules(settings: Settings) -> list[NamedRule]:
    from streams.paths import connectors_dir
    from streams.writeback.load import load_rules
    from streams.writeback.rule_book import rules_of

    return rules_of(load_rules(connectors_dir(settings), settings.systems))


def status(as_json: AsJson = False) -> None:
    """Show every rule with its intents by state, and what is paused.

    Example: opshub writeback status
    """
    import msgspec

    from streams.hub.intent_review import pauses, targets_away
    from streams.writeback.commands import connect_hub
    from streams.writeback.rule_states import rule_states

    settings = load_settings()
    with connect_hub(settings.hub) as hub:
        states = rule_states(hub, _load_rules(settings))
        paused = pauses(hub)
        away = targets_away(hub)
    if as_json:
        rules = [
            {"rule": state.rule, "mode": state.mode, "intents": state.intents, "estimated": state.estimated}
            for state in states
        ]
        typer.echo(
            json.dumps(
                {
                    "rules": rules,
                    "pauses": msgspec.to_builtins(paused),
                    "away": msgspec.to_builtins(away),
                }
            )
        )
        return
    for target in away:
        what = "refuses every request" if target.refuses else "does not answer"
        since, until = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for moment in (target.since, target.until))
        typer.echo(f"{target.target} {what} since {since} UTC, next try at {until}: {target.problem}")
    for state in states:
        how = state.mode or "not in writeback.yaml any more"
        if state.paused is not None:
            why = f": {state.paused.reason}" if state.paused.reason else ""
            how += f", paused by {state.paused.who} since {state.paused.at:%Y-%m-%d %H:%M}{why}"
        intents = ", ".join(
            f"{'≈' if name in state.estimated else ''}{count} {name}" for name, count in sorted(state.intents.items())
        )
        typer.echo(f"{state.rule} ({how}): {intents or 'no intents yet'}")


def pause(
    scope: Scope, reason: Annotated[str, typer.Option("--reason", help="Why, for `opshub writeback status`.")] = ""
) -> None:
    """Stop deliveries to a system, or by one rule. New intents are kept, and delivered after `resume`.

    Example: opshub writeback pause demo-erp/order_from_opportunity --reason "stock-taking"
    """
    from streams.writeback.commands import connect_hub
    from streams.writeback.rule_states import pause_rule

    settings = load_settings()
    with connect_hub(settings.hub) as hub:
        pause_rule(hub, _load_rules(settings), scope, who=who(), reason=reason)
    typer.echo(f"{scope} is paused; `opshub writeback resume {scope}` starts deliveries again")


def resume(scope: Scope) -> None:
    """Start deliveries again, with the intents that were kept meanwhile; also to a target that asked for a pause.

    Example: opshub writeback resume demo-erp
    """
    from streams.hub.intent_review import resume_scope
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        was_paused = resume_scope(hub, scope)
    typer.echo(f"{scope} is resumed" if was_paused else f"{scope} was not paused")


def retry(
    intents: Annotated[
        list[str] | None, typer.Argument(metavar="[INTENT]...", help="Numbers or keys of intents.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit log.")] = "",
    target: Annotated[str | None, typer.Option(help="All of this system.")] = None,
    rule: Annotated[str | None, typer.Option(help="All of this rule: <system>/<rule>.")] = None,
    problem_has: Annotated[str | None, typer.Option(help="All whose problem has this text.")] = None,
    not_done: Annotated[
        bool, typer.Option("--not-done", help="You looked: the target did not do it. It is sent without a look-up.")
    ] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the oldest first.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
    as_json: AsJson = False,
) -> dict[str, object]:
    """Send intents again that were given up (dead) or expired. What may have been done is looked up first.

    Example: opshub writeback retry 17 --reason "the customer is unblocked"

    Example: opshub writeback retry --target demo-erp --problem-has 401 --reason "new token"
    """
    from streams.errors import ConfigError
    from streams.writeback.commands import connect_hub, retry_intents

    if not (intents or target or rule or problem_has):
        raise ConfigError("which intents?", remedy="name their numbers, or give --target, --rule or --problem-has")
    if not reason and not dry_run:
        raise ConfigError("--reason is missing", remedy="say why, for the audit log")
    with connect_hub(load_settings().hub) as hub:
        chosen, skipped = retry_intents(
            hub, intents or None, who=who(), reason=reason, target=target, rule=rule, problem=problem_has,
            not_done=not_done, limit=limit, dry_run=dry_run,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"retried": [] if dry_run else chosen, "chosen": chosen, "skipped": skipped}))
        return {"ids": chosen}
    for which, why in skipped.items():
        typer.echo(f"{which}: {why}")
    count = f"{len(chosen)} intent{'' if len(chosen) == 1 else 's'}"
    numbers = f": {', '.join(map(str, chosen[:20]))}{', …' if len(chosen) > 20 else ''}" if chosen else ""
    typer.echo(f"{count} {'would be sent again' if dry_run else 'planned again'}{numbers}")
    return {"ids": chosen}


def try_rule(
    rule: Annotated[str, typer.Argument(help="<system>/<rule>.")],
    key: Annotated[str, typer.Argument(help="The record: its id, or system:key, as in demo-crm:1042.")],
    given: Annotated[str, typer.Option(help="What the rule that it comes `after` returned, as JSON.")] = "{}",
    as_json: AsJson = False,
) -> None:
    """Show the exact requests or statements that a rule would send for a record. Nothing is sent.

    Exit code 1 when something is missing, so that nothing would be sent.

    Example: opshub writeback try demo-erp/order_from_opportunity demo-crm:1042
    """
    import msgspec

    from streams.errors import ConfigError
    from streams.identity.masters import find_master
    from streams.paths import connectors_dir
    from streams.writeback.commands import connect_hub
    from streams.writeback.http import HttpAdapter
    from streams.writeback.load import load_rules
    from streams.writeback.rule_book import rules_of
    from streams.writeback.rules import SqlTarget
    from streams.writeback.sql import SqlAdapter
    from streams.writeback.trial import try_rule as run

    settings = load_settings()
    loaded = load_rules(connectors_dir(settings), settings.systems)
    rules = {named.name: named.rule for named in rules_of(loaded)}
    if rule not in rules:
        raise ConfigError(f"there is no rule {rule!r}", remedy=f"one of {', '.join(rules)}")
    try:
        returned = json.loads(given)
    except ValueError as error:
        raise ConfigError(f"--given is no JSON: {error}", remedy='write --given \'{"order": {"id": 7}}\'') from None
    with connect_hub(settings.hub) as hub:
        record = find_master(hub, key)
    target = loaded[rule.partition("/")[0]].target
    adapter = SqlAdapter(target, "try") if isinstance(target, SqlTarget) else HttpAdapter(target)
    trial = run(settings.hub, rule, rules[rule], adapter, record.entity, record.canonical, returned)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(trial), ensure_ascii=False, default=str))
    else:
        for note in trial.notes:
            typer.echo(f"note: {note}")
        for name, request in trial.requests.items():
            typer.echo(f"{name}\n{json.dumps(request, indent=2, ensure_ascii=False, default=str)}")
        typer.echo(f"nothing would be sent: {trial.missing}" if trial.missing else "nothing was sent")
    if trial.missing:
        raise typer.Exit(1)


def shadow(
    rule: Annotated[str | None, typer.Argument(help="Only this rule: <system>/<rule>.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Compare what shadow mode would have sent with what people did by hand, as the hub has it now.

    Example: opshub writeback shadow demo-erp/order_from_opportunity
    """
    import msgspec

    from streams.errors import ConfigError
    from streams.writeback.commands import compare_shadow

    settings = load_settings()
    rules = {named.name: named.rule for named in _load_rules(settings)}
    if rule is not None and rule not in rules:
        raise ConfigError(f"there is no rule {rule!r}", remedy=f"one of {', '.join(rules)}")
    comparisons = compare_shadow(settings.hub, rules, rule=rule, limit=limit)
    verdicts: dict[str, Counter[str]] = {}
    for comparison in comparisons:
        verdicts.setdefault(comparison.rule, Counter())[comparison.verdict] += 1
    if as_json:
        typer.echo(json.dumps({"verdicts": verdicts, "comparisons": msgspec.to_builtins(comparisons)}))
        return
    for comparison in comparisons:
        if comparison.verdict == "differs":
            fields = ", ".join(
                f"{field} {by_rule} (by hand {by_hand})" for field, (by_rule, by_hand) in comparison.fields.items()
            )
            record = comparison.by_hand or comparison.subject_id
            typer.echo(f"  {comparison.rule} intent {comparison.id}, {record}: {fields}")
    for name, counts in verdicts.items():
        typer.echo(f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    if not comparisons:
        typer.echo(
            "shadow mode has kept no intents: no rule has `mode: shadow` or a `share` below 1,"
            " or nothing happened since"
        )
