"""`opshub writeback`: how the rules stand; pause and resume them; what shadow mode would have done."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Scope = Annotated[str, typer.Argument(help="A system, or one rule as <system>/<rule>.")]


def _scopes() -> tuple[Any, list[str]]:
    from streams.paths import connectors_dir
    from streams.writeback.rules import load_rules

    settings = load_settings()
    rules = load_rules(connectors_dir(settings), settings.systems)
    return settings, [*rules, *(f"{system}/{name}" for system, told in rules.items() for name in told.rules)]


def status(as_json: AsJson = False) -> None:
    """Show every rule with its intents by state, and what is paused.

    Example: opshub writeback status
    """
    from streams.writeback.desk import Desk

    settings, scopes = _scopes()
    with Desk(settings.hub) as desk:
        counts = desk.counts()
        paused = [row["scope"] for row in desk.rows("pauses")]
    told: dict[str, dict[str, int]] = {scope: {} for scope in scopes if "/" in scope}
    for row in counts:
        told.setdefault(row["rule"], {})[row["state"]] = row["count"]
    if as_json:
        typer.echo(json.dumps({"rules": told, "paused": paused}))
        return
    for rule, states in told.items():
        stopped = " (paused)" if rule in paused or rule.partition("/")[0] in paused else ""
        typer.echo(
            f"{rule}{stopped}: "
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
        desk.pause(scope, getpass.getuser(), reason)
    typer.echo(f"{scope} is paused; `opshub writeback resume {scope}` goes on")


def resume(scope: Scope) -> None:
    """Deliver again, beginning with what gathered.

    Example: opshub writeback resume demo-erp
    """
    from streams.writeback.desk import Desk

    with Desk(load_settings().hub) as desk:
        was = desk.resume(scope)
    typer.echo(f"{scope} goes on" if was else f"{scope} was not paused")
