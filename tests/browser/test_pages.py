"""Every page that the console has opens without an error, is accessible, and fits a phone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.accessibility import axe_findings
from tests.browser.process import Console
from tests.browser.sites import find_pages, page_patterns

ALLOWED: dict[str, set[str]] = {}
"""Pattern → axe's rules that a page may break, each with its reason beside it."""


@pytest.fixture(scope="session")
def pages(console: Console) -> dict[str, str]:
    return find_pages(console.address)


def name_of(pattern: str) -> str:
    return pattern.strip("/").replace("/", "-").replace("{", "").replace("}", "").partition(":")[0] or "overview"


@pytest.mark.parametrize("pattern", page_patterns())
def test_page_opens_is_accessible_and_fits(
    pattern: str, pages: dict[str, str], new_context: Callable[..., BrowserContext], photo: Callable[..., Path]
) -> None:
    path = pages.get(pattern)
    if path is None:
        pytest.skip("no whole page, or no link of a page leads to one in the hub of the tests")
    wrong = []
    for theme, language in product(("light", "dark"), ("en", "zh")):
        page = opened(new_context, path, theme, language)
        found = axe_findings(page)
        wrong += [
            f"{theme} {language}: {one}" for one in found if one.partition(":")[0] not in ALLOWED.get(pattern, ())
        ]
        if theme == "light" or language == "en":
            photo(f"{name_of(pattern)}.{theme}.{language}", page)
        page.context.close()
    phone = opened(new_context, path, "light", "en", viewport={"width": 375, "height": 812})
    overflow = phone.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if overflow > 0:
        wrong.append(f"a phone must scroll {overflow} pixels to the side")
    photo(f"{name_of(pattern)}.phone", phone)
    assert wrong == [], f"{path}:\n" + "\n".join(wrong)


def opened(new_context: Callable[..., BrowserContext], path: str, theme: str, language: str, **options: object) -> Page:
    context = new_context(color_scheme=theme, locale={"en": "en-GB", "zh": "zh-CN"}[language], **options)
    page = context.new_page()
    answer = page.goto(path)
    assert answer is not None and answer.status == 200, f"{path} answers {answer and answer.status}"
    return page
