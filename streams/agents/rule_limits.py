"""The limits of business rules, from the settings: for the workers and for `opshub flow check`."""

from __future__ import annotations

from streams.errors import ConfigError
from streams.flow.invariants import RULES, InvariantLimits
from streams.settings import Settings, SystemRules

_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US


def rule_limits(settings: Settings) -> InvariantLimits:
    """The limits for all systems, with those of single systems in them.

    Raises ConfigError for a system that is not captured.
    """
    unknown = sorted(settings.rules_of_systems.keys() - set(settings.systems))
    if unknown:
        raise ConfigError(
            f"OPSHUB_RULES_OF_SYSTEMS names {', '.join(unknown)}, which is not captured",
            remedy=f"name one of {', '.join(settings.systems)}, or add the system to OPSHUB_SYSTEMS",
        )
    systems = {name: _limits(settings, rules) for name, rules in settings.rules_of_systems.items()}
    return _limits(settings, SystemRules(), systems)


def _limits(
    settings: Settings, rules: SystemRules, systems: dict[str, InvariantLimits] | None = None
) -> InvariantLimits:
    """The limits for the records of one system: what `rules` names, else what holds for all."""
    named = rules.model_dump(exclude_none=True)
    values = {name: named.get(name, getattr(settings, name)) for name in _NAMES}
    return InvariantLimits(
        values["invoice_policy"],
        int(values["order_within_seconds"] * _SECOND_US),
        values["header_charge_percent"],
        int(values["refund_within_days"] * _DAY_US),
        frozenset(RULES[name] for name in named.get("off", settings.rules_off)),
        systems or {},
    )


_NAMES = ("invoice_policy", "order_within_seconds", "header_charge_percent", "refund_within_days")
