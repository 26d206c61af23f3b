"""`opshub writeback`: the rules and their intents; pause and resume; what shadow mode would have done."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings, who

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.writeback.rule_book import NamedRule
    from streams.writeback.rules import WritebackRule

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="A system, or one rule as <system>/<rule>.")]


def _load_rules(settings: Settings) -> list[NamedRule]:
    from streams.paths import connectors_dir
    from streams.writeback.load import load_rules
    from streams.writeback.rule_book import rules_of

    return rules_of(load_rules(connectors_dir(settings), settings.systems))


def _mode(rule: WritebackRule) -> str:
    return f"live for {rule.share:.0%}" if rule.mode == "live" and rule.share < 1 else rule.mode


def status(as_json: AsJson = False) -> None:
    """Show every rule with its intents by state, and what is paused.

    Example: opshub writeback status
    """
    import msgspec

    from streams.hub.intent_review import intent_counts, pauses
    from streams.writeback.commands import connect_hub

    settings = load_settings()
    modes = {named.name: _mode(named.rule) for named in _load_rules(settings)}
    with connect_hub(settings.hub) as hub:
        counts = intent_counts(hub)
        paused = {pause.scope: pause for pause in pauses(hub)}
    states: dict[str, dict[str, int]] = {rule: {} for rule in modes}
    for row in counts:
        states.setdefault(row.rule, {})[row.state] = row.count
    if as_json:
        rules = [{"rule": rule, "mode": modes.get(rule), "intents": by_state} for rule, by_state in states.items()]
        typer.echo(json.dumps({"rules": rules, "pauses": msgspec.to_builtins(list(paused.values()))}))
        return
    for rule, by_state in states.items():
        how = modes.get(rule, "not in writeback.yaml any more")
        pause = paused.get(rule) or paused.get(rule.partition("/")[0])
        if pause is not None:
            why = f": {pause.reason}" if pause.reason else ""
            how += f", paused by {pause.who} since {pause.at:%Y-%m-%d %H:%M}{why}"
        intents = ", ".join(f"{count} {state}" for state, count in sorted(by_state.items()))
        typer.echo(f"{rule} ({how}): {intents or 'no intents yet'}")


def pause(
    scope: Scope, reason: Annotated[str, typer.Option("--reason", help="Why, for `opshub writeback status`.")] = ""
) -> None:
    """Stop deliveries to a system, or by one rule. New intents are kept, and delivered after `resume`.

    Example: opshub writeback pause demo-erp/order_from_opportunity --reason "stock-taking"
    """
    from streams.errors import ConfigError
    from streams.hub.intent_review import pause_scope
    from streams.writeback.commands import connect_hub

    settings = load_settings()
    rules = _load_rules(settings)
    scopes = list(dict.fromkeys(named.target for named in rules)) + [named.name for named in rules]
    if scope not in scopes:
        raise ConfigError(f"there is no system or rule {scope!r}", remedy=f"one of {', '.join(scopes)}")
    with connect_hub(settings.hub) as hub:
        pause_scope(hub, scope, who=who(), reason=reason)
    typer.echo(f"{scope} is paused; `opshub writeback resume {scope}` starts deliveries again")


def resume(scope: Scope) -> None:
    """Start deliveries again, with the intents that were kept meanwhile.

    Example: opshub writeback resume demo-erp
    """
    from streams.hub.intent_review import resume_scope
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        was_paused = resume_scope(hub, scope)
    typer.echo(f"{scope} is resumed" if was_paused else f"{scope} was not paused")


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
