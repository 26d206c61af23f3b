"""The figures that the workers of a state folder report over HTTP."""

from __future__ import annotations

import atexit
import json
from functools import cache
from typing import Any

import httpx

from streams.settings import Settings


@cache
def _client() -> httpx.Client:
    """One client for all requests: creating one reads the certificates of all authorities, which takes longer than a
    request.
    """
    client = httpx.Client(trust_env=False)
    atexit.register(client.close)  # else the interpreter warns of its open sockets at exit
    return client


def worker_ports(settings: Settings) -> list[tuple[str, int]]:
    """(name, port) of each worker that wrote its port into the state folder."""
    ports = []
    for file in sorted((settings.state_dir / "run").glob("worker-*.port")):
        try:
            ports.append((file.stem.removeprefix("worker-"), int(json.loads(file.read_text(encoding="utf-8"))["port"])))
        except (OSError, ValueError, KeyError):
            continue
    return ports


def worker_stats(settings: Settings, *, reset: bool = False, timeout: float = 2.0) -> list[dict[str, Any]]:
    """The page /stats of each worker that answers. With `reset`, the workers start their latency figures again."""
    stats = []
    parameters = {"reset": "1"} if reset else None
    for _, port in worker_ports(settings):
        try:
            page = _client().get(f"http://{settings.host}:{port}/stats", params=parameters, timeout=timeout)
            stats.append(page.json())
        except (httpx.HTTPError, ValueError):
            continue
    return stats
