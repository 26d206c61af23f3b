"""Every page that the console has opens without an error, is accessible in both themes and languages, and fits a phone.

A page is loaded once in each language; its theme and its width are changed in place. The contexts stay open from page
to page, so that style sheets and scripts are fetched once, as by people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import axe_findings
from tests.browser.conftest import DESKTOP, PHONE, watched_context
from tests.browser.process import Console
from tests.browser.sites import find_pages, page_patterns

ALLOWED: dict[str, set[str]] = {}
"""Pattern → axe's rules that a page may break, each with its reason beside it."""
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


@pytest.fixture(scope="session")
def pages(console: Console) -> dict[str, str]:
    return find_pages(console.address)


@pytest.fixture(scope="module")
def readers(browser: Browser, console: Console) -> Iterator[dict[str, tuple[Page, list[str]]]]:
    """Language → a page, and the errors that the browser reported on it."""
    made: dict[str, tuple[Page, list[str]]] = {}
    for language, locale in LOCALES.items():
        errors: list[str] = []
        context = watched_context(browser, console.address, errors, locale=locale, color_scheme="light")
        made[language] = context.new_page(), errors
    yield made
    for page, _ in made.values():
        page.context.close()


def name_of(pattern: str) -> str:
    return pattern.strip("/").replace("/", "-").replace("{", "").replace("}", "").partition(":")[0] or "overview"


@pytest.mark.parametrize("pattern", page_patterns())
def test_page_opens_is_accessible_and_fits(
    pattern: str,
    pages: dict[str, str],
    readers: dict[str, tuple[Page, list[str]]],
    photo: Callable[..., Path],
) -> None:
    path = pages.get(pattern)
    if path is None:
        pytest.skip("no whole page, or no link of a page leads to one in the hub of the tests")
    wrong: list[str] = []
    for language, (page, errors) in readers.items():
        errors.clear()
        answer = page.goto(path)
        assert answer is not None and answer.status == 200, f"{path} answers {answer and answer.status}"
        for theme, colours in (("light", False), ("dark", True)):
            use(page, color_scheme=theme)
            found = axe_findings(page, only_colours=colours)
            wrong += [
                f"{theme} {language}: {one}" for one in found if one.partition(":")[0] not in ALLOWED.get(pattern, ())
            ]
            if theme == "light" or language == "en":
                photo(f"{name_of(pattern)}.{theme}.{language}", page)
        use(page, color_scheme="light")
        if language == "en":
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if overflow > 0:
                wrong.append(f"a phone must scroll {overflow} pixels to the side")
            photo(f"{name_of(pattern)}.phone", page)
            page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        wrong += [f"{language}: the browser reports: {error}" for error in errors]
    assert wrong == [], f"{path}:\n" + "\n".join(wrong)


def use(page: Page, **media: Any) -> None:
    """Change the theme, and end what fades from one colour to another."""
    page.emulate_media(**media)
    page.evaluate("document.getAnimations().filter(a => a instanceof CSSTransition).forEach(a => a.finish())")
