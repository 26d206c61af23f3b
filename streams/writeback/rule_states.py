"""Write-back rules with their intents and pauses, and what pauses them: for `opshub writeback` and the console."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.errors import ConfigError
from streams.hub.intent_review import Hub, Pause, intent_counts, pause_scope, pauses
from streams.writeback.rule_book import NamedRule
from streams.writeback.rules import WritebackRule

QUEUED = ("planned", "approved", "failed")
"""States of intents that wait for their target, and so behind a pause."""


class RuleState(msgspec.Struct, frozen=True):
    """One rule. `mode`: None for one that has intents and is not in writeback.yaml any more; `paused`: by whom, of the
    rule or of its whole target.
    """

    rule: str
    target: str
    mode: str | None
    intents: dict[str, int]
    estimated: list[str]
    """States whose number is an estimate: counting all of them would take too long."""
    paused: Pause | None

    @property
    def queue(self) -> int:
        """Intents that wait for their target."""
        return sum(self.intents.get(state, 0) for state in QUEUED)


def rule_states(hub: Hub, rules: Sequence[NamedRule]) -> list[RuleState]:
    """Every rule, and those that only have intents left."""
    modes = {named.name: mode_of(named.rule) for named in rules}
    paused = {pause.scope: pause for pause in pauses(hub)}
    states: dict[str, dict[str, int]] = {rule: {} for rule in modes}
    estimated: dict[str, list[str]] = {}
    for row in intent_counts(hub):
        states.setdefault(row.rule, {})[row.state] = row.count
        if not row.exact:
            estimated.setdefault(row.rule, []).append(row.state)
    return [
        RuleState(
            rule, rule.partition("/")[0], modes.get(rule), by_state, estimated.get(rule, []),
            paused.get(rule) or paused.get(rule.partition("/")[0]),
        )
        for rule, by_state in states.items()
    ]  # fmt: skip


def mode_of(rule: WritebackRule) -> str:
    """The mode in words."""
    return f"live for {rule.share:.0%}" if rule.mode == "live" and rule.share < 1 else rule.mode


def pause_rule(hub: Hub, rules: Sequence[NamedRule], scope: str, *, who: str, reason: str) -> None:
    """Pause deliveries to a system, or by one rule. Raises ConfigError when there is none of that name."""
    scopes = list(dict.fromkeys(named.target for named in rules)) + [named.name for named in rules]
    if scope not in scopes:
        raise ConfigError(f"there is no system or rule {scope!r}", remedy=f"one of {', '.join(scopes)}")
    pause_scope(hub, scope, who=who, reason=reason)
