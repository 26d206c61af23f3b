"""Refuse OPSHUB_… names that are no settings: a misspelt setting that is ignored keeps a default that nobody wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from streams.errors import ConfigError
from streams.settings import PREFIX, SECRETS, SETTINGS_FILE, Settings
from streams.settings.secret_files import SUFFIX, secrets_from_files

STACK_VARIABLES = frozenset({"OPSHUB_HUB_ADMIN_USER", "OPSHUB_HUB_ADMIN_PASSWORD", "OPSHUB_REGISTRY_PASSWORD"})
"""What `<state_dir>/env` and docker/env.example hold besides settings; people export whole files."""

HOOKS = re.compile(r"OPSHUB_(FAULT|TEST_\w+)\Z")
"""Hooks of the tests: fault points, and options of single tests."""

# Kubernetes gives each pod variables for the services of its namespace: a service `opshub-hub` makes
# OPSHUB_HUB_SERVICE_HOST, OPSHUB_HUB_PORT=tcp://… and OPSHUB_HUB_PORT_5432_TCP_ADDR.
_SERVICE_NAME = re.compile(r"OPSHUB_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)\Z")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

_LINE = re.compile(r"\s*(?:export\s+)?(OPSHUB_\w+)\s*=\s*(.*)", re.IGNORECASE)


class Variable(NamedTuple):
    """A name that is set. `place`: `environment`, or file and line."""

    name: str
    value: str
    place: str


def setting_variables() -> list[str]:
    """The environment variable of every setting."""
    return [PREFIX + name.upper() for name in Settings.model_fields]


def secret_variables() -> list[str]:
    """The environment variable of every setting that may come from a file."""
    return [PREFIX + name.upper() for name in SECRETS]


def secret_settings(environment: Mapping[str, str], file: Path = SETTINGS_FILE) -> dict[str, str]:
    """Setting → value, of those whose value is in a file. Raises ConfigError as `secrets_from_files` does."""
    # A variable wins over a line of opshub.env.
    lines = {name.upper(): value.strip("\"'") for name, value, place in _variables({}, file) if place}
    given = lines | {name.upper(): value for name, value in environment.items()}
    secrets = secrets_from_files(secret_variables(), given)
    return {name.removeprefix(PREFIX).lower(): value for name, value in secrets.items()}


def refuse_unknown_variables(
    environment: Mapping[str, str],
    placeholders: Callable[[], Collection[str]],
    file: Path = SETTINGS_FILE,
) -> None:
    """Raise ConfigError for OPSHUB_… names in the environment or in opshub.env that nothing reads.

    `placeholders` gives the names that the connectors' files read (`${env:NAME}`); it is called only when a name is
    unknown.
    """
    known = {*setting_variables(), *STACK_VARIABLES, *(variable + SUFFIX for variable in secret_variables())}
    unknown = [variable for variable in _variables(environment, file) if not _passes(variable, known)]
    if unknown:
        read_by_connectors = placeholders()
        unknown = [v for v in unknown if v.name.removesuffix(SUFFIX) not in read_by_connectors]
    if unknown:
        raise ConfigError(
            "unknown settings: " + "; ".join(_with_nearest(variable) for variable in unknown),
            remedy="correct or remove them; docs/settings.md lists all settings",
        )


def _variables(environment: Mapping[str, str], file: Path) -> Iterator[Variable]:
    for name, value in environment.items():
        if name.upper().startswith(PREFIX):
            yield Variable(name, value, "environment")
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        if match := _LINE.match(line):
            yield Variable(match.group(1), match.group(2), f"{file}, line {number}")


def _passes(variable: Variable, known: Collection[str]) -> bool:
    # Names of settings are read without regard to case.
    name = variable.name.upper()
    return bool(
        name in known
        or HOOKS.match(name)
        or _SERVICE_NAME.match(name)
        or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(variable.value))
    )


def _with_nearest(variable: Variable) -> str:
    nearest = get_close_matches(variable.name.upper(), setting_variables(), n=1, cutoff=0.5)
    return f"{variable.name} ({variable.place})" + (f", did you mean {nearest[0]}?" if nearest else "")
