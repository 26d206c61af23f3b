"""axe-core in a page: WCAG 2.2 AA and what axe calls best practice."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def axe_findings(page: Page, *, only_colours: bool = False) -> list[str]:
    """What axe finds: the rule, what it says, and the first elements. `only_colours`: the rules that may say otherwise
    in another theme of the same page.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_axe())
    which = {"type": "rule", "values": COLOURS} if only_colours else {"type": "tag", "values": TAGS}
    result = page.evaluate("which => axe.run(document, {runOnly: which, resultTypes: ['violations']})", which)
    return [
        f"{found['id']}: {found['help']}: " + "; ".join(node["html"][:160] for node in found["nodes"][:3])
        for found in result["violations"]
    ]
