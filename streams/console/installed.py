"""The systems and write-back rules of the installation, read once for as long as their files do not change: compiling
them takes time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from streams.paths import connectors_dir
from streams.provision.systems import System, load_systems
from streams.settings import Settings
from streams.writeback.load import load_rules
from streams.writeback.rule_book import NamedRule, rules_of

FILES = ("dictionary.yaml", "source.json", "writeback.yaml")

Value = TypeVar("Value")
_Stamp = tuple[tuple[str, int], ...]
_kept: dict[tuple[str, Path, tuple[str, ...]], tuple[_Stamp, Any]] = {}
_lock = threading.Lock()


def installed_systems(settings: Settings) -> list[System]:
    """Every system of the settings. Raises ConfigError for a file that is missing or wrong."""
    return _read_once("systems", settings, lambda: load_systems(settings))


def installed_rules(settings: Settings) -> list[NamedRule]:
    """The rules of all writeback.yaml. Raises DictionaryError, a ConfigError, for one that is wrong."""
    return _read_once("rules", settings, lambda: rules_of(load_rules(connectors_dir(settings), settings.systems)))


def _read_once(what: str, settings: Settings, read: Callable[[], Value]) -> Value:
    folder = connectors_dir(settings)
    key = (what, folder.resolve(), tuple(settings.systems))
    stamp = _stamp(folder, settings.systems)
    with _lock:
        if key in _kept and _kept[key][0] == stamp:
            kept: Value = _kept[key][1]
            return kept
        value = read()
        _kept[key] = (stamp, value)
        return value


def _stamp(folder: Path, systems: list[str]) -> _Stamp:
    files = [folder / name / file for name in systems for file in FILES]
    return tuple((str(file), file.stat().st_mtime_ns) for file in files if file.is_file())
