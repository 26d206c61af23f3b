"""Which pages the console has, and an address of each in the hub of the tests."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from starlette.routing import Route, compile_path

from streams.console.app import create_app
from streams.settings import Settings

LINK = re.compile(r'<a[^>]* href="([^"#]+)')
SKIPPED = ("/choose", "/sign-in", "/sign-out", "/tour/")
"""They answer with a redirection, or are of people who are not signed in."""
STREAM = "/events"
"""How the path of a stream ends: it may send nothing for a minute, and is no page."""


def page_patterns() -> list[str]:
    """Patterns of everything that GET can open and is no API and no file, as `/flows/{id}`."""
    settings = Settings(_env_file=None, state_dir=Path("/nonexistent"))  # type: ignore[call-arg]
    routes = [route for route in create_app(settings).routes if isinstance(route, Route)]
    found = {route.path for route in routes if "GET" in (route.methods or ()) and not route.path.startswith("/api/")}
    return sorted(path for path in found if not path.startswith(SKIPPED) and not path.endswith(STREAM))


def is_page(client: httpx.Client, path: str) -> str | None:
    """The text of a whole page; None for parts of pages, streams, downloads and redirections."""
    with client.stream("GET", path) as answer:
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return None
        text = answer.read().decode()
    return text if "<main" in text else None


def find_pages(address: str) -> dict[str, str]:
    """pattern → an address that leads to it: those without a parameter, and what links of pages lead to."""
    patterns = {pattern: compile_path(pattern)[0] for pattern in page_patterns()}
    found: dict[str, str] = {}
    waiting = [pattern for pattern in patterns if "{" not in pattern]
    with httpx.Client(base_url=address, timeout=60) as client:
        while waiting:
            path = waiting.pop(0)
            pattern = _pattern_of(patterns, path)
            if pattern is None or pattern in found:
                continue
            text = is_page(client, path)
            found[pattern] = path if text else ""
            for link in LINK.findall(text or ""):
                target = link.replace("&amp;", "&")
                if target.startswith("/") and _pattern_of(patterns, target) not in found:
                    waiting.append(target)
    return {pattern: path for pattern, path in found.items() if path}


def _pattern_of(patterns: dict[str, re.Pattern[str]], address: str) -> str | None:
    """The pattern that an address belongs to: one without parameters before one with."""
    path = address.partition("?")[0]
    if path.startswith("/api/") or path.startswith(SKIPPED):
        return None
    fitting = [pattern for pattern, regex in patterns.items() if regex.match(path)]
    return min(fitting, key=lambda pattern: pattern.count("{")) if fitting else None
