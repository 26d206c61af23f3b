"""The rules of all targets by their full name, and which rule follows which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.writeback.rules import WritebackConfig, WritebackRule


class NamedRule(NamedTuple):
    """A rule with its full name, `<system>/<rule>`, and the system that it writes to."""

    name: str
    target: str
    rule: WritebackRule


class RuleBook:
    """The rules of all targets; `rules_of` gives them as a list."""

    def __init__(self, writebacks: Mapping[str, WritebackConfig]) -> None:
        self._rules: dict[str, WritebackRule] = {}
        self._following: dict[str, list[NamedRule]] = {}
        for named in rules_of(writebacks):
            self._rules[named.name] = named.rule
            if named.rule.after is not None and named.rule.mode != "off":
                self._following.setdefault(named.rule.after, []).append(named)

    def get(self, name: str) -> WritebackRule | None:
        """A rule by its full name."""
        return self._rules.get(name)

    def caused_once(self, target: str) -> list[str]:
        """The rules of a target with `becomes`: what caused an intent of theirs can be taken back."""
        return [name for name, rule in self._rules.items() if rule.becomes and name.startswith(f"{target}/")]

    def following(self, name: str) -> Sequence[NamedRule]:
        """The rules that come `after` this one and are not off."""
        return self._following.get(name, ())


def rules_of(writebacks: Mapping[str, WritebackConfig]) -> list[NamedRule]:
    """All rules, in the order of the files."""
    return [
        NamedRule(f"{system}/{name}", system, rule)
        for system, writeback in writebacks.items()
        for name, rule in writeback.rules.items()
    ]
