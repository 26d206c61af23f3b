"""Checks that a new schema reads what every released schema wrote, by Avro's rules of schema resolution, offline.

In: Avro schemas as JSON values. Out: sentences that say what breaks, empty when all can be read
(BACKWARD_TRANSITIVE). Covers what our schemas use: records, enums, arrays, maps, unions, primitives and logical
types.

Stricter than Avro in one thing: a logical type may not change, since it changes what typed consumers get.

`python -m streams.emit.compatibility` checks `schemas/` against `schemas/released/`; CI runs it, and so does
`opshub plan`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.errors import ConfigError, OpshubError
from streams.model.entities import read_schema
from streams.paths import schemas_dir

_PROMOTED = {
    ("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"), ("float", "double"),
    ("string", "bytes"), ("bytes", "string"),
}  # fmt: skip
"""(written, read): what Avro reads as another primitive type."""

_LOGICAL = ("logicalType", "precision", "scale")


def unreadable(reader: object, writer: object, path: str = "") -> list[str]:
    """Why `reader` can not read data that `writer` wrote; each sentence names the field by its path."""
    return list(_unreadable(reader, writer, path))


def breaches(folder: Path | None = None) -> list[str]:
    """What in `folder` (default: the shipped schemas) can not read what a release wrote, with release and file."""
    folder = schemas_dir() if folder is None else folder
    problems: list[str] = []
    for release in sorted(folder.glob("released/*/"), key=lambda path: _version(path.name)):
        for old in sorted(release.glob("*.avsc")):
            new = folder / old.name
            if not new.exists():
                problems.append(f"{new}: it was released in {release.name} and is gone")
                continue
            problems += [f"{new}: {text} ({release.name})" for text in unreadable(read_schema(new), read_schema(old))]
    return problems


def require_compatible(folder: Path | None = None) -> None:
    """Raises ConfigError that lists all breaches, if there are any."""
    problems = breaches(folder)
    if problems:
        raise ConfigError(
            "schemas can not read what was released: " + "; ".join(problems),
            remedy="give a new field a default, leave the type of an old one alone",
        )


def _unreadable(reader: Any, writer: Any, path: str) -> Iterator[str]:
    if isinstance(writer, list):
        for written_branch in writer:
            yield from _unreadable(reader, written_branch, path)
        return
    if isinstance(reader, list):
        attempts = [list(_unreadable(read_branch, writer, path)) for read_branch in reader]
        if all(attempts):
            same = [
                problems
                for read_branch, problems in zip(reader, attempts, strict=True)
                if _kind(read_branch) == _kind(writer)
            ]
            yield from (
                same[0] if same else [f"{path or 'it'} was {_named(writer)} and is no longer one of {_named(reader)}"]
            )
        return
    read, written = _kind(reader), _kind(writer)
    if read != written and (written, read) not in _PROMOTED:
        yield f"{path or 'it'} was {_named(writer)} and is {_named(reader)}"
        return
    if any(_property(reader, name) != _property(writer, name) for name in _LOGICAL):
        yield f"{path or 'it'} was {_named(writer)} and is {_named(reader)}"
    elif read == "record":
        yield from _record(reader, writer, path)
    elif read == "enum":
        lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
        if lost and "default" not in reader:
            yield f"{path or 'it'} no longer has {', '.join(lost)}"
    elif read == "array":
        yield from _unreadable(reader["items"], writer["items"], f"{path}[]")
    elif read == "map":
        yield from _unreadable(reader["values"], writer["values"], f"{path}[]")


def _record(reader: dict[str, Any], writer: dict[str, Any], path: str) -> Iterator[str]:
    if writer["name"] not in (reader["name"], *(alias.rpartition(".")[2] for alias in reader.get("aliases", ()))):
        yield f"{path or 'the record'} was called {writer['name']} and is called {reader['name']}, without an alias"
    old = {field["name"]: field for field in writer["fields"]}
    for field in reader["fields"]:
        name = f"{path}.{field['name']}" if path else field["name"]
        was = next((old[known] for known in (field["name"], *field.get("aliases", ())) if known in old), None)
        if was is not None:
            yield from _unreadable(field["type"], was["type"], name)
        elif "default" not in field:
            yield f"{name} is new and has no default"


def _kind(avro: object) -> str:
    if isinstance(avro, dict):
        return str(avro["type"])
    return "union" if isinstance(avro, list) else str(avro)


def _property(avro: object, name: str) -> object:
    return avro.get(name) if isinstance(avro, dict) else None


def _named(avro: object) -> str:
    if isinstance(avro, list):
        return " | ".join(_named(each) for each in avro)
    if not isinstance(avro, dict):
        return _kind(avro)
    logical = avro.get("logicalType")
    if logical == "decimal":
        return f"decimal({avro['precision']},{avro.get('scale', 0)})"
    return str(logical or avro.get("name") or _kind(avro))


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in name.split(".") if number.isdecimal())


def main() -> int:
    try:
        require_compatible()
    except OpshubError as error:
        print(f"{error}\nremedy: {error.remedy}", file=sys.stderr)
        return error.exit_code
    print("every schema reads what was released")
    return 0


if __name__ == "__main__":
    sys.exit(main())
