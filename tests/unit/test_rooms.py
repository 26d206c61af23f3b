"""Each room imports only what docs/architecture.md lets it import."""

from __future__ import annotations

import ast
from pathlib import Path

STREAMS = Path(__file__).parents[2] / "streams"

EVERYWHERE = {"errors", "paths"}
MAY_IMPORT = {
    "errors": set[str](),
    "paths": {"settings"},
    "settings": set[str](),
    "model": set[str](),
    "decode": {"model"},
    "mapping": {"model"},
    "identity": {"model", "hub"},
    "resolve": {"model", "mapping"},
    "flow": {"model"},
    "hub": {"model"},
    "emit": {"model", "settings"},
    "writeback": {"model", "hub"},
    "runtime": {"settings"},
    "stack": {"settings"},
    "simulator": {"settings"},
    "console": {"model", "hub", "writeback", "repair"},
    "provision": {"settings", "model", "decode", "mapping", "emit", "hub", "stack"},
    "repair": {"model", "hub", "settings", "provision", "mapping", "decode", "emit", "flow", "resolve", "walk"},
    "walk": {"model", "identity", "hub", "flow", "resolve", "runtime", "writeback", "repair"},
}
WIRING = {"agents", "app", "cli", "demo"}
"""These bring rooms together and may import all of them."""


def test_rooms_import_only_what_they_may() -> None:
    wrong = []
    for path in STREAMS.rglob("*.py"):
        parts = path.relative_to(STREAMS).parts
        room = parts[0].removesuffix(".py")
        if room in WIRING or room == "__init__":
            continue
        assert room in MAY_IMPORT, f"{room} is a room that nobody decided on"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                target = name.split(".")
                if (
                    target[0] == "streams"
                    and len(target) > 1
                    and target[1] not in MAY_IMPORT[room] | EVERYWHERE | {room}
                ):
                    wrong.append(f"{path.relative_to(STREAMS.parent)} imports {name}")
    assert wrong == []
