"""Secrets from files: a variable NAME may come as NAME_FILE=<path>, or as a file NAME in the folder of secrets.

In: names, the environment, the folder. Out: the values of those that come from files. Promised: a value that is given
twice is refused, a line break at a file's end is no part of the value, and no error shows a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from streams.errors import ConfigError

SUFFIX = "_FILE"
FOLDER_VARIABLE = "OPSHUB_SECRETS_DIR"
DEFAULT_FOLDER = Path("/run/secrets")
"""Where Docker Compose and Swarm mount secrets."""


def secrets_from_files(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Name → value, of the names that have a file. `environment` has the variables, NAME_FILE and OPSHUB_SECRETS_DIR.

    Raises ConfigError for a name that has two values, a file that cannot be read or is empty, and a folder that was
    asked for and does not exist.
    """
    folder = _folder(environment)
    values = {}
    for name in names:
        if (file := _file_of(name, environment, folder)) is not None:
            values[name] = _read(name, file)
    return values


def comes_from_file(name: str, environment: Mapping[str, str]) -> bool:
    """Whether a file has the value of a variable. Raises ConfigError as `secrets_from_files` does."""
    return _file_of(name, environment, _folder(environment)) is not None


def _folder(environment: Mapping[str, str]) -> Path | None:
    asked_for = environment.get(FOLDER_VARIABLE)
    if not asked_for:
        return DEFAULT_FOLDER if DEFAULT_FOLDER.is_dir() else None
    folder = Path(asked_for)
    if not folder.is_dir():
        raise ConfigError(
            f"{FOLDER_VARIABLE} is {folder}, which is no folder", remedy="mount the secrets there, or name another"
        )
    return folder


def _file_of(name: str, environment: Mapping[str, str], folder: Path | None) -> Path | None:
    """The file that has the value of a variable, if any."""
    places: list[tuple[str, Path | None]] = []
    if environment.get(name):
        places.append((f"the variable {name}", None))
    if named := environment.get(name + SUFFIX):
        places.append((f"{name}{SUFFIX} ({named})", Path(named)))
    if folder is not None and (folder / name).is_file():
        places.append((f"the file {folder / name}", folder / name))
    if len(places) > 1:
        raise ConfigError(
            f"{name} has several values: {' and '.join(place for place, _ in places)}", remedy="keep one of them"
        )
    return places[0][1] if places else None


def _read(name: str, file: Path) -> str:
    try:
        value = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(
            f"the file of {name}, {file}, cannot be read: {error.strerror}",
            remedy="mount it, and let the user that runs opshub read it",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file of {name}, {file}, is no text (UTF-8)", remedy="write it again") from error
    if not value:
        raise ConfigError(f"the file of {name}, {file}, is empty", remedy="write the value into it")
    return value
