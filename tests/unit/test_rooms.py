"""The structure of `streams/` holds: rooms import what docs/architecture.md allows, nothing imports in a circle, files stay short."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STREAMS = ROOT / "streams"
EVERYWHERE = {"errors", "paths", "named_sql", "postgres_login", "mariadb_session"}
MOST_LINES = 400
GENERATED = {"streams/model/records.py"}


def table_of_rooms() -> dict[str, set[str] | None]:
    """Room → the rooms that it may import; None for wiring, which may import all."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.split("## Rooms\n", 1)[1].split("\n## ", 1)[0]
    rooms: dict[str, set[str] | None] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`(\w+)`", cells[0])
        if line.startswith("|") and names:
            allowed = cells[2]
            for name in names:
                rooms[name] = None if allowed == "*" else {one for one in re.split(r",\s*", allowed) if one}
    return rooms


def modules() -> dict[str, Path]:
    """Dotted name → file, of every module of the package."""
    found = {}
    for path in STREAMS.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path) -> set[str]:
    """Dotted names of this package that a file imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.startswith("streams.")}


def test_every_room_is_in_the_table() -> None:
    rooms = {path.relative_to(STREAMS).parts[0].removesuffix(".py") for path in STREAMS.rglob("*.py")} - {"__init__"}
    assert rooms == set(table_of_rooms())


def test_rooms_import_only_what_the_table_allows() -> None:
    table = table_of_rooms()
    wrong = []
    for path in STREAMS.rglob("*.py"):
        room = path.relative_to(STREAMS).parts[0].removesuffix(".py")
        allowed = table.get(room)
        if room == "__init__" or allowed is None:
            continue
        for name in sorted(imports_of(path)):
            target = name.split(".")[1]
            if target not in allowed | EVERYWHERE | {room}:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_rooms_do_not_import_in_a_circle() -> None:
    graph = {room: allowed for room, allowed in table_of_rooms().items() if allowed is not None}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_modules_do_not_import_in_a_circle() -> None:
    every = modules()
    graph = {name: {one for one in imports_of(path) if one in every and one != name} for name, path in every.items()}
    for name, path in every.items():
        if path.name == "__init__.py":
            graph[name] = {one for one in graph[name] if not one.startswith(f"{name}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_only_the_adapter_imports_faust() -> None:
    importing = [
        str(path.relative_to(STREAMS))
        for path in STREAMS.rglob("*.py")
        if re.search(r"^\s*(import|from) faust\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importing == ["runtime/faust_adapter.py"]


def test_files_stay_short() -> None:
    long = {}
    for folder in ("streams", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST_LINES and name not in GENERATED:
                long[name] = lines
    assert long == {}
