"""Read `connectors/<system>/writeback.yaml` of all systems.

In: the folder of the connectors. Out: a `WritebackConfig` for each system that has the file. Promised: a wrong file
is a ConfigError that names file and field, with all errors at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import ValidationError

from streams.errors import ConfigError
from streams.writeback.check import find_errors
from streams.writeback.rules import WritebackConfig

GUIDE = "docs/guides/write-back.md shows what a rule may contain"

Resolve = Callable[[str, Path], str]
"""(text, file) → the text with `${env:NAME}` filled in."""


def load_rules(folder: Path, systems: list[str], resolve: Resolve = lambda text, _: text) -> dict[str, WritebackConfig]:
    """system → its write-back, for the systems that have a writeback.yaml. Raises ConfigError with all errors of all
    files.
    """
    configs: dict[str, WritebackConfig] = {}
    for system in systems:
        path = folder / system / "writeback.yaml"
        config = load_file(path, resolve)
        if config is None:
            continue
        if config.system != system:
            raise ConfigError(
                f"{path}: system is {config.system!r}, but the folder is {system}", remedy=f"write system: {system}"
            )
        configs[system] = config
    folders = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set[str]()
    errors = find_errors(configs, folders | set(systems))
    if errors:
        raise ConfigError(
            "; ".join(f"{folder / system / 'writeback.yaml'}: {'; '.join(lines)}" for system, lines in errors.items()),
            remedy=f"{GUIDE}, docs/model.md the fields",
        )
    return configs


def load_file(path: Path, resolve: Resolve = lambda text, _: text) -> WritebackConfig | None:
    """The content of one file, or None where there is no file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        content = _resolve_all(yaml.safe_load(text), lambda value: resolve(value, path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}", remedy="correct the YAML") from error
    try:
        return WritebackConfig.model_validate(content)
    except ValidationError as error:
        lines = [f"{'.'.join(str(step) for step in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(lines), remedy=GUIDE) from error


def _resolve_all(content: object, resolve: Callable[[str], str]) -> object:
    """Every text of the tree with its variables filled in.

    Variables are filled in after the YAML was parsed: a password with a `#` or a quote must not be read as YAML.
    """
    if isinstance(content, dict):
        return {name: _resolve_all(value, resolve) for name, value in content.items()}
    if isinstance(content, list):
        return [_resolve_all(value, resolve) for value in content]
    return resolve(content) if isinstance(content, str) and "${" in content else content
