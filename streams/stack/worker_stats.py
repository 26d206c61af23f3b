"""What the workers of a state folder say of themselves, over HTTP."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx

from streams.settings import Settings


@cache
def _client() -> httpx.Client:
    """One for all: making one reads the certificates of all authorities, which takes longer than what is asked."""
    return httpx.Client(trust_env=False)


def worker_ports(settings: Settings) -> list[tuple[str, int]]:
    """(name, port) of each worker that noted its port in the state folder."""
    found = []
    for note in sorted((settings.state_dir / "run").glob("worker-*.port")):
        try:
            found.append((note.stem.removeprefix("worker-"), int(json.loads(note.read_text(encoding="utf-8"))["port"])))
        except (OSError, ValueError, KeyError):
            continue
    return found


def worker_stats(settings: Settings, *, reset: bool = False, timeout: float = 2.0) -> list[dict[str, Any]]:
    """What each worker that answers says of itself."""
    told = []
    asked = {"reset": "1"} if reset else None
    for _, port in worker_ports(settings):
        try:
            told.append(_client().get(f"http://{settings.host}:{port}/stats", params=asked, timeout=timeout).json())
        except (httpx.HTTPError, ValueError):
            continue
    return told
