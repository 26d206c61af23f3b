"""Where the files that opshub ships are found, in a checkout and in an installed wheel alike.

A wheel carries `schemas/` and `connectors/` under `streams/_data/`; a checkout has them beside `streams/`.
"""

from __future__ import annotations

from pathlib import Path

from streams.errors import ConfigError
from streams.settings import Settings

_PACKAGE = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigError(
        f"the folder {name}/ that belongs to opshub is missing beside {_PACKAGE}",
        remedy="install opshub again, or run it from a complete checkout",
    )


def schemas_dir() -> Path:
    """Folder of the canonical Avro schemas, one .avsc for each record."""
    return _shipped("schemas")


def shipped_connectors_dir() -> Path:
    """Folder of the systems that opshub ships: the demo's, and templates for new ones."""
    return _shipped("connectors")


def connectors_dir(settings: Settings) -> Path:
    """Folder with a folder for each system: the settings' `connectors_dir`, else ./connectors, else the packaged demo.

    Raises ConfigError when the folder that was asked for does not exist.
    """
    if settings.connectors_dir is not None:
        if not settings.connectors_dir.is_dir():
            raise ConfigError(
                f"connectors_dir is set to {settings.connectors_dir}, which is no folder",
                remedy="point OPSHUB_CONNECTORS_DIR to the folder that holds a folder for each system",
            )
        return settings.connectors_dir
    here = Path("connectors")
    return here if here.is_dir() else _shipped("connectors")


def cache_dir(settings: Settings) -> Path:
    """Folder that keeps downloaded servers, shared by all clones of one user."""
    return (settings.cache_dir or Path.home() / ".cache" / "opshub").expanduser().absolute()
