"""`opshub writeback`: how the rules stand; pause and resume them; what shadow mode would have done."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings, who

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Scope = Annotated[str, typer.Argument(help="A system, or one rule as <system>/<rule>.")]


def _scopes() -> tuple[Any, dict[str, str]]:
    """The settings, and systems and rules, each with the mode of the rule."""
    from streams.paths import connectors_dir
    from streams.writeback.load import load_rules

    settings = load_settings()
    rules = load_rules(connectors_dir(settings), settings.systems)
    modes = {f"{system}/{name}": _mode(rule) for system, told in rules.items() for name, rule in told.rules.items()}
    return settings, dict.fromkeys(rules, "") | modes


def _mode(rule: Any) -> str:
    return f"live for {rule.share:.0%}" if rule.mode == "live" and rule.share < 1 else str(rule.mode)


def status(as_json: AsJson = False) -> None:
    """Show every rule with its intents by state, and what is paused.

    Example: opshub writeback status
    """
    from streams.writeback.desk import Desk

    settings, scopes = _scopes()
    with Desk(settings.hub) as desk:
        counts = desk.counts()
        pauses = {row["scope"]: row for row in desk.rows("pauses")}
    paused = list(pauses)
    told: dict[str, dict[str, int]] = {scope: {} for scope in scopes if "/" in scope}
    for row in counts:
        told.setdefault(row["rule"], {})[row["state"]] = row["count"]
    if as_json:
        typer.echo(
            json.dumps({"rules": told, "modes": {s: mode for s, mode in scopes.items() if mode}, "paused": paused})
        )
        return
    for rule, states in told.items():
        how = scopes.get(rule, "not in writeback.yaml any more")
        stopped = pauses.get(rule) or pauses.get(rule.partition("/")[0])
        if stopped:
            why = f": {stopped['reason']}" if stopped["reason"] else ""
            how += f", paused by {stopped['who']} since {stopped['at'][:16]}{why}"
        typer.echo(
            f"{rule} ({how}): "
            + (", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "nothing yet")
        )


def pause(scope: Scope, reason: Annotated[str, typer.Option(help="For those who wonder later.")] = "") -> None:
    """Deliver nothing there for now; what arises meanwhile is kept and delivered after `resume`.

    Example: opshub writeback pause demo-erp/order_from_opportunity --reason "stock-taking"
    """
    from streams.errors import ConfigError
    from streams.writeback.desk import Desk

    settings, scopes = _scopes()
    if scope not in scopes:
        raise ConfigError(f"there is no system or rule {scope!r}", remedy=f"one of {', '.join(scopes)}")
    with Desk(settings.hub) as desk:
        desk.pause(scope, who(), reason)
    typer.echo(f"{scope} is paused; `opshub writeback resume {scope}` goes on")


def resume(scope: Scope) -> None:
    """Deliver again, beginning with what gathered.

    Example: opshub writeback resume demo-erp
    """
    from streams.writeback.desk import Desk

    with Desk(load_settings().hub) as desk:
        was = desk.resume(scope)
    typer.echo(f"{scope} goes on" if was else f"{scope} was not paused")


def shadow(
    rule: Annotated[str | None, typer.Argument(help="Only this rule: <system>/<name>.")] = None,
    most: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Compare what shadow mode would have sent with what people did by hand, as the hub knows it now.

    Example: opshub writeback shadow demo-erp/order_from_opportunity
    """
    from collections import Counter

    import msgspec

    from streams.errors import ConfigError
    from streams.paths import connectors_dir
    from streams.writeback.desk import Desk
    from streams.writeback.load import load_rules

    settings = load_settings()
    loaded = load_rules(connectors_dir(settings), settings.systems)
    rules = {f"{system}/{name}": one for system, told in loaded.items() for name, one in told.rules.items()}
    if rule is not None and rule not in rules:
        raise ConfigError(f"there is no rule {rule!r}", remedy=f"one of {', '.join(rules)}")
    with Desk(settings.hub) as desk:
        found = desk.shadow(rules, rule=rule, most=most)
    counts: dict[str, Counter[str]] = {}
    for one in found:
        counts.setdefault(one.rule, Counter())[one.verdict] += 1
    if as_json:
        typer.echo(json.dumps({"rules": counts, "compared": msgspec.to_builtins(found)}))
        return
    for one in found:
        if one.verdict == "differs":
            fields = ", ".join(f"{field} {ours} (by hand {theirs})" for field, (ours, theirs) in one.fields.items())
            typer.echo(f"  {one.rule} intent {one.id}, {one.theirs or one.subject_id}: {fields}")
    for name, verdicts in counts.items():
        typer.echo(f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    if not found:
        typer.echo(
            "shadow mode has kept nothing: no rule has `mode: shadow` or a `share` below 1, or nothing happened since"
        )
