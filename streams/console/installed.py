"""The systems of the installation, read once for as long as their files do not change: compiling them takes time."""

from __future__ import annotations

import threading
from pathlib import Path

from streams.paths import connectors_dir
from streams.provision.systems import System, load_systems
from streams.settings import Settings

FILES = ("dictionary.yaml", "source.json", "writeback.yaml")

_Stamp = tuple[tuple[str, int], ...]
_kept: dict[tuple[Path, tuple[str, ...]], tuple[_Stamp, list[System]]] = {}
_lock = threading.Lock()


def installed_systems(settings: Settings) -> list[System]:
    """Every system of the settings. Raises ConfigError for a file that is missing or wrong."""
    folder = connectors_dir(settings)
    key = (folder.resolve(), tuple(settings.systems))
    stamp = _stamp(folder, settings.systems)
    with _lock:
        if key in _kept and _kept[key][0] == stamp:
            return _kept[key][1]
        systems = load_systems(settings)
        _kept[key] = (stamp, systems)
        return systems


def _stamp(folder: Path, systems: list[str]) -> _Stamp:
    files = [folder / name / file for name in systems for file in FILES]
    return tuple((str(file), file.stat().st_mtime_ns) for file in files if file.is_file())
